"""The admin's first page in a browser: the charts are drawn, and the strict policy has nothing to complain about."""

import re

import pytest
from playwright.sync_api import expect

from tests.administrator import PASSWORD, Administrator
from tests.browser import needs_chromium

pytestmark = needs_chromium


@pytest.fixture
def administrator(service):
    with Administrator(service) as administrator:
        yield administrator


@pytest.mark.usefixtures("administrator")
def test_a_download_is_seen_in_charts_and_figures(visit, service, origin):
    service.wait_for(service.download(origin.url("/direct/small.mp4")))
    service.wait_for(service.download(origin.url("/direct/missing.mp4")))
    page = visit("/admin/", color_scheme="dark", viewport={"width": 390, "height": 800})
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile("^All (is well|works)")
    )  # yt-dlp may be old by now
    expect(page.locator(".worker")).to_contain_text("alive · 0 of 4 downloads at once")
    downloads, sizes = page.locator("#chart-downloads canvas"), page.locator("#chart-bytes canvas")
    assert [is_drawn(chart) for chart in (downloads, sizes)] == [True, True]
    today = page.locator("#chart-downloads .u-over")
    today.hover(position={"x": today.bounding_box()["width"] - 4, "y": 60})
    expect(page.locator("#chart-says")).to_contain_text("Completed 1 · Failed 1")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def is_drawn(chart):
    """Whether anything is in the colour of finished downloads by night, #6bb8d6."""
    return chart.evaluate(
        """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            for (let at = 0; at < data.length; at += 4)
                if (data[at] === 0x6b && data[at + 1] === 0xb8 && data[at + 2] === 0xd6) return true;
            return false;
        }"""
    )
