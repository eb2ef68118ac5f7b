"""The page as a person meets it: how its tests find things there. The browser itself is a fixture in `conftest.py`."""

import re
import shutil

import pytest
from playwright.sync_api import expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SLOW = 300_000  # bytes a second: long enough to see a download run
PASTE = "Paste a link to a video or a song"
# The browser's own notes: on an answer that is an error, as that of a look-up that fails is, and on a user who was
# somewhere else already when the page wanted to put them into its field.
SAYS_SO_ITSELF = re.compile(r"the server responded with a status of (4\d\d|500)|Autofocus processing was blocked")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
expect.set_options(timeout=20_000)


def leave(page, origin):
    """Close the page, and let its profile be as a new one."""
    context = page.context
    context.set_offline(False)
    context.clear_cookies()
    devtools = context.new_cdp_session(page)
    devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
    _ = [each.close() for each in context.pages]


def paste(page, link):
    page.get_by_placeholder(PASTE).fill(link)
    page.keyboard.press("Enter")


def row_of(page, link):
    return page.locator("#tasks > li").filter(has=page.locator(f'a.site[href="{link}"]'))


def state_of(page, link):
    return row_of(page, link).locator(".state")


def choose(page, link, words):
    """Do what the menu of a row offers."""
    row_of(page, link).locator(".menu > summary").click()
    row_of(page, link).locator(".menu .item", has_text=words).click()
