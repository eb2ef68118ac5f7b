"""The browser extension in a real Chromium: set up by its options, used by its toolbar button, with a real service."""

import json
import re
import shutil
import subprocess
import sys
from itertools import count
from zipfile import ZipFile

import pytest
from playwright.sync_api import expect, sync_playwright

from downloads.management.commands.sentences import chinese
from downloads.states import Status, Stop
from tests.browser import ARGUMENTS, CHROMIUM
from tests.keys import bearer, make_key
from tests.receiver import Receiver, answers
from tests.service import PROJECT, wait_until

EXTENSION = PROJECT / "extension"
MANIFEST = json.loads((EXTENSION / "manifest.json").read_text())
MESSAGES = {path.parent.name: json.loads(path.read_text()) for path in EXTENSION.glob("_locales/*/messages.json")}
SCRIPTS = "".join(path.read_text() for path in EXTENSION.glob("*.js"))
PAGES = "".join(path.read_text() for path in EXTENSION.glob("*.html"))
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
numbers = count(1)
expect.set_options(timeout=20_000)


class Extension:
    """The extension in a browser of its own, with a fresh profile."""

    def __init__(self, playwright, profile, locale):
        self.context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            locale=locale,
            args=[
                *ARGUMENTS,
                "--headless=new",
                f"--lang={locale}",
                f"--disable-extensions-except={EXTENSION}",
                f"--load-extension={EXTENSION}",
                "--enable-unsafe-extension-debugging",  # a test may press the toolbar button then
            ],
        )
        self.devtools = self.context.browser.new_browser_cdp_session()
        workers = self.context.service_workers
        self.worker = workers[0] if workers else self.context.wait_for_event("serviceworker")
        self.address = self.worker.url.removesuffix("background.js")
        self.id = self.address.split("/")[2]
        self.first_page = wait_until(self._options_page)

    def _options_page(self):
        self.context.pages[0].wait_for_timeout(20)
        return next((page for page in self.context.pages if page.url == f"{self.address}options.html"), None)

    def open(self, name):
        page = self.context.new_page()
        page.goto(self.address + name)
        return page

    def allow(self, *hosts):
        """What the browser asks cannot be answered by a test; it asks nothing that was answered on this page before."""
        page = self.context.new_page()
        page.goto(f"chrome://extensions/?id={self.id}")
        for host in hosts:
            page.evaluate("([id, host]) => chrome.developerPrivate.addHostPermission(id, host)", [self.id, host])
        page.close()

    def set_up(self, server, key=""):
        page = self.open("options.html")
        page.get_by_label("Server address").fill(server)
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Save and test").click()
        return page

    def press_button(self, page):
        """Press the toolbar button over this page; the window that opens."""
        page.bring_to_front()
        tabs = self.devtools.send("Target.getTargets", {"filter": [{"type": "tab"}]})["targetInfos"]
        tab = next(tab["targetId"] for tab in tabs if tab["url"] == page.url)
        before = self._popups()
        self.devtools.send("Extensions.triggerAction", {"id": self.id, "targetId": tab})
        (target,) = wait_until(lambda: self._popups() - before)
        popup = Popup(self.devtools, target)
        wait_until(lambda: popup.text("h1"))
        return popup

    def _popups(self):
        targets = self.devtools.send("Target.getTargets")["targetInfos"]
        return {each["targetId"] for each in targets if each["url"] == f"{self.address}popup.html"}

    def origins(self):
        return self.worker.evaluate("chrome.permissions.getAll()")["origins"]

    def badge(self):
        return self.worker.evaluate("chrome.action.getBadgeText({})")

    def choose(self, **info):
        """What the browser does when an entry of the context menu is chosen."""
        self.worker.evaluate("info => chrome.contextMenus.onClicked.dispatch(info, {})", info)


class Popup:
    """The window of the toolbar button. It is no tab, and so no page for Playwright."""

    def __init__(self, devtools, target):
        self.devtools = devtools
        self.answers = {}
        self.devtools.on("Target.receivedMessageFromTarget", self._hear)
        self.session = devtools.send("Target.attachToTarget", {"targetId": target, "flatten": False})["sessionId"]

    def _hear(self, event):
        answer = json.loads(event["message"])
        self.answers[answer.get("id")] = answer

    def send(self, method, **parameters):
        number = next(numbers)
        message = json.dumps({"id": number, "method": method, "params": parameters})
        self.devtools.send("Target.sendMessageToTarget", {"sessionId": self.session, "message": message})
        return wait_until(lambda: self.devtools.send("Target.getTargets") and self.answers.get(number))["result"]

    def run(self, script):
        answer = self.send("Runtime.evaluate", expression=script, userGesture=True, returnByValue=True)
        return answer["result"].get("value")

    def text(self, selector="body"):
        return self.run(f"document.querySelector({selector!r})?.innerText ?? ''")

    def click(self, selector):
        self.run(f"document.querySelector({selector!r}).click()")

    def choose_option(self, selector, value):
        select = f"document.querySelector({selector!r})"
        wait_until(lambda: self.run(f"[...{select}.options].some(option => option.value === {value!r})"))
        self.run(f"Object.assign({select}, {{ value: {value!r} }}).dispatchEvent(new Event('change'))")

    def wait_for(self, selector, text):
        return wait_until(lambda: text in (said := self.text(selector)) and said, 15, self.text)


@pytest.fixture(scope="module")
def install(tmp_path_factory):
    """Starts a browser with the extension."""
    with sync_playwright() as playwright:
        installed = []

        def install(locale):
            installed.append(Extension(playwright, tmp_path_factory.mktemp("profile"), locale))
            return installed[-1]

        yield install
        for extension in installed:
            extension.context.close()


@pytest.fixture(scope="module")
def guarded(service):
    """A running service with keys; `key` is one such as the options tell the user to make."""
    service.key, service.reading_key = make_key(service, "read", "add"), make_key(service, "read")
    service.http.headers.update(bearer(make_key(service)))
    # Another name than that of the sites, which are at 127.0.0.1: what holds for the server does not hold for them.
    service.name = f"http://localhost:{service.port}"
    yield service
    del service.http.headers["Authorization"]


@pytest.fixture(scope="module")
def in_english(install):
    extension = install("en-US")
    extension.allow("http://localhost/*", "http://127.0.0.1/*", "*://127.0.0.1/*")
    return extension


@pytest.fixture
def extension(in_english, guarded):
    """The extension, set up for the service, with everything forgotten that a test before made it remember."""
    page = in_english.set_up(guarded.name, guarded.key)
    expect(page.get_by_text("Connected to Downie Enhanced 1.0.0.")).to_be_visible()
    in_english.worker.evaluate("chrome.storage.session.clear()")
    yield in_english
    for page in in_english.context.pages[1:]:
        page.close()


@pytest.fixture
def link(origin):
    """Makes links that no other test uses."""

    def link(path="/page/video.html", **query):
        return origin.url(path, test=next(numbers), **query)

    return link


def task_of(service, link):
    return wait_until(lambda: next((task for task in tasks(service) if task["url"] == link), None))


def tasks(service):
    return service.http.get("/api/downloads/tasks").json()


# What is in it


def used_messages():
    """Every key that scripts, pages and manifest use; where one is put together, every one that can come of it."""
    named = re.findall(r'"((?:menu|problem|quality)_\w+)"', SCRIPTS)
    said = [key for call in re.findall(r"\bsay\(([^()]+)", SCRIPTS) for key in re.findall(r'"(\w+)"', call)]
    shown = re.findall(r'data-message="(\w+)"', PAGES)
    of_manifest = re.findall(r"__MSG_(\w+)__", json.dumps(MANIFEST))
    states = [f"state_{status}" for status in Status]
    stops = [f"stopping_{stop}" for stop in Stop if stop]
    return {*named, *said, *shown, *of_manifest, *states, *stops, "quality_best", "quality_auto", "quality_worst"}


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_every_message_is_there_and_none_is_left_over(locale):
    assert set(MESSAGES[locale]) == used_messages()


@pytest.mark.parametrize("key", MESSAGES["en"])
def test_a_translation_is_one_and_has_the_blanks_of_its_message(key):
    english, own = (MESSAGES[locale][key]["message"] for locale in ("en", "zh_CN"))

    assert own != english
    assert sorted(re.findall(r"\$\d", own)) == sorted(re.findall(r"\$\d", english))


def test_the_sentences_of_the_service_are_there_in_chinese():
    assert (EXTENSION / "sentences.zh-CN.json").read_text() == chinese(), "make messages writes them"


def test_nothing_is_asked_for_when_it_is_installed():
    assert set(MANIFEST["permissions"]) == {"activeTab", "alarms", "contextMenus", "storage"}
    assert MANIFEST["optional_permissions"] == ["cookies"]
    assert MANIFEST["optional_host_permissions"] == ["*://*/*"]
    assert not {"host_permissions", "content_scripts", "web_accessible_resources"} & set(MANIFEST)


def test_no_code_comes_from_elsewhere():
    policy = MANIFEST["content_security_policy"]["extension_pages"]

    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe" not in policy
    assert not re.search(r"\b(eval|Function|innerHTML|insertAdjacentHTML|outerHTML)\b", SCRIPTS)
    assert not re.search(r'<script(?! type="module" src="\w+\.js"></script>)|\bon\w+=|style=|https?://', PAGES)


def test_make_packs_it(tmp_path):
    shutil.copytree(EXTENSION, tmp_path / "extension")
    shutil.copy(PROJECT / "Makefile", tmp_path)

    subprocess.run(["make", "extension", f"PYTHON={sys.executable}"], cwd=tmp_path, check=True, capture_output=True)

    with ZipFile(tmp_path / "dist" / "downie-extension.zip") as packed:
        names = {name for name in packed.namelist() if not name.endswith("/")}
    there = {str(path.relative_to(EXTENSION)) for path in EXTENSION.rglob("*") if path.is_file()}
    assert names == there - {"README.md"}


# In the browser


@needs_chromium
def test_chromium_has_no_complaint_and_nothing_to_warn_of(extension):
    page = extension.context.new_page()
    page.goto("chrome://extensions/")

    about = page.evaluate("id => chrome.developerPrivate.getExtensionInfo(id)", extension.id)

    assert about["manifestErrors"] == about["runtimeErrors"] == about["permissions"]["simplePermissions"] == []


@needs_chromium
def test_the_button_sends_the_page_and_shows_how_far_it_is(extension, guarded, link, media):
    page = extension.context.new_page()
    page.goto(link(rate=1_500_000))
    popup = extension.press_button(page)
    popup.wait_for("h1", "A page with a video")
    popup.choose_option("[name=quality]", "720p")

    popup.click("#send button")

    popup.wait_for("#news", "Sent.")
    popup.wait_for("#tasks .state", "Downloading")
    assert wait_until(lambda: extension.badge() == "1")
    wait_until(lambda: popup.run("document.querySelector('#tasks progress').value") > 0)
    popup.wait_for("#tasks .state", "Completed")
    assert popup.text("#tasks .title").startswith("A page with a video")
    task = task_of(guarded, page.url)
    assert (task["status"], task["quality"]) == ("completed", "720p")
    assert guarded.file(task["id"]).read_bytes() == (media / "direct" / "video.mp4").read_bytes()
    assert wait_until(lambda: extension.badge() == "")
    assert popup.run("document.querySelector('#server').href") == f"{guarded.name}/"


@needs_chromium
def test_a_preset_is_offered_and_a_quality_only_beside_it(extension, guarded, link):
    guarded.http.put("/api/downloads/presets/phone", json={"quality": "360p"})
    page = extension.context.new_page()
    page.goto(link())
    popup = extension.press_button(page)
    popup.wait_for("#presets", "phone")
    popup.choose_option("[name=quality]", "720p")
    popup.choose_option("[name=preset]", "phone")

    popup.click("#send button")

    popup.wait_for("#news", "Sent.")
    assert task_of(guarded, page.url)["quality"] == "360p"


@needs_chromium
def test_cookies_are_sent_for_the_site_that_the_user_names(extension, guarded, link, origin):
    extension.context.add_cookies([{"name": "pass", "value": "open", "domain": "127.0.0.1", "path": "/"}])
    options = extension.open("options.html")
    page = extension.context.new_page()
    page.goto(link(need_cookie=1))
    popup = extension.press_button(page)
    popup.wait_for("#send", "With the cookies of 127.0.0.1")
    popup.click("#send button")
    popup.wait_for("#tasks .problem", "The site refuses to hand out this video; cookies of your account may help.")

    popup.click("[name=cookies]")
    expect(options.get_by_role("listitem")).to_contain_text("127.0.0.1")
    popup.click("#send button")

    popup.wait_for("#tasks .state", "Completed")
    assert {request.headers.get("Cookie") for request in origin.requests if request.status == 200} >= {"pass=open"}

    options.get_by_role("button", name="Turn off for 127.0.0.1").click()
    expect(options.get_by_text("No site so far.")).to_be_visible()
    assert wait_until(lambda: extension.origins() == ["http://localhost/*"])
    assert not extension.worker.evaluate("chrome.permissions.contains({permissions: ['cookies']})")


@needs_chromium
def test_the_context_menu_sends_links_and_what_players_play(extension, guarded, link):
    page, direct, behind, frame = link(), link("/direct/small.mp4"), link(), link()

    extension.choose(menuItemId="page", pageUrl=page)
    extension.choose(menuItemId="link", pageUrl=page, linkUrl=behind)
    extension.choose(menuItemId="media", pageUrl=page, srcUrl=direct)
    extension.choose(menuItemId="media", pageUrl=page, frameUrl=frame, srcUrl="blob:http://127.0.0.1/1")

    for url in (page, behind, direct, frame):
        assert guarded.wait_for(task_of(guarded, url)["id"])["status"] == "completed"


@needs_chromium
def test_what_goes_wrong_in_the_context_menu_is_on_the_badge_and_in_the_window(extension, guarded, link):
    extension.choose(menuItemId="link", linkUrl="http://user:word@127.0.0.1/video")
    assert wait_until(lambda: extension.badge() == "!")
    page = extension.context.new_page()
    page.goto(link())

    popup = extension.press_button(page)

    popup.wait_for("#problem", "User names and passwords in an address are not accepted; use cookies to sign in.")
    assert wait_until(lambda: extension.badge() == "")


@needs_chromium
def test_a_tab_without_a_web_page_is_nothing_to_send(extension):
    page = extension.context.new_page()
    page.goto("about:blank")

    popup = extension.press_button(page)

    popup.wait_for("h1", "There is no web page in this tab that could be sent.")
    assert popup.run("document.querySelector('#send').hidden")


@needs_chromium
def test_each_refusal_says_what_to_do(extension, guarded, origin):
    def refusal(server, key=""):
        alert = extension.set_up(server, key).get_by_role("alert")
        expect(alert).not_to_be_empty()
        return alert.text_content()

    make = "Make one with manage.py apikey create browser --scopes read,add and enter it in the options."
    no_key = f"The server takes nothing from a browser extension without an API key. {make}"
    assert refusal(guarded.name) == no_key
    assert refusal(guarded.name, guarded.key[:-1]).startswith(
        "The server does not know this API key: it may have expired"
    )
    assert refusal(guarded.name, guarded.reading_key).startswith(
        "This API key may not do that: it needs the scopes read and add."
    )
    assert refusal(origin.base).startswith(f"What answers at {origin.base} is not Downie Enhanced")
    assert refusal(f"{origin.base}/downie/").startswith(f"What answers at {origin.base}/downie is not")
    assert refusal("127.0.0.1:1").startswith("http://127.0.0.1:1 cannot be reached")
    assert refusal("ftp://localhost").startswith("This is not the address of a server")


@needs_chromium
def test_without_a_key_the_window_says_so_and_nothing_is_sent(extension, guarded, link):
    extension.worker.evaluate("chrome.storage.local.remove('key')")
    page = extension.context.new_page()
    page.goto(link())
    popup = extension.press_button(page)

    popup.click("#send button")

    popup.wait_for("#problem", "The server takes nothing from a browser extension without an API key.")
    assert page.url not in [task["url"] for task in tasks(guarded)]


@needs_chromium
def test_the_browser_has_to_allow_the_server(extension, guarded):
    server = f"http://[::1]:{guarded.port}"
    page = extension.open("options.html")
    page.evaluate("chrome.permissions.request = async () => false")  # what it says when the user declines
    page.get_by_label("Server address").fill(server)
    page.get_by_role("button", name="Save and test").click()

    expect(page.get_by_role("alert")).to_contain_text(f"The browser does not let the extension speak to {server}.")


@needs_chromium
def test_a_redirect_takes_neither_key_nor_cookies_elsewhere(extension, guarded, link):
    with Receiver() as elsewhere, Receiver() as server:
        server.answer = answers(307, Location=elsewhere.url)
        page = extension.set_up(server.url.removesuffix("/hook"), guarded.key)
        expect(page.get_by_role("alert")).not_to_be_empty()

        extension.choose(menuItemId="link", linkUrl=link())
        wait_until(lambda: extension.badge() == "!")

    assert {message.path for message in server.got} == {"/api/downloads/add"}
    assert elsewhere.got == []


@needs_chromium
def test_in_chinese_everything_is_chinese(install, guarded, link):
    extension = install("zh-CN")
    extension.allow("http://localhost/*")
    options = extension.first_page
    options.get_by_label("服务器地址").fill(guarded.name)
    options.get_by_label("API 密钥").fill(guarded.key)
    options.get_by_role("button", name="保存并测试").click()
    expect(options.get_by_text("已连接到 Downie Enhanced 1.0.0。")).to_be_visible()
    page = extension.context.new_page()
    page.goto(link("/page/none.html"))
    popup = extension.press_button(page)

    popup.click("#send button")

    popup.wait_for("#tasks .state", "失败")
    popup.wait_for("#tasks .problem", "该页面上没有找到视频，并且不支持该网站。")
    assert popup.run("document.documentElement.lang") == "zh-CN"
