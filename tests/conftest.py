"""What tests share: generated media, an origin that serves them, and the real service."""

import re
import signal
import subprocess
from itertools import count
from urllib.parse import urlsplit

import hypothesis
import pytest
from playwright.sync_api import sync_playwright

from downloads.engine.ffmpeg import prepare_toolbox
from downloads.engine.process import Engine
from downloads.models import ONLY, Tuning
from tests import ytdlp
from tests.browser import ARGUMENTS, CHROMIUM, SAYS_SO_ITSELF, leave
from tests.jobs import Jobs
from tests.origin import Origin, make_media, media_folder
from tests.service import Service

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

# A suite that a shell started in the background ignores SIGINT, and so would the services that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


# These take long, so they come first: no processor waits for the last of them. Every second one of them mostly waits.
LONGEST = [
    "test_chaos",
    "test_contract",
    "test_chaos_of_many_processes",
    "test_hostile_sites",
    "test_resume",
    "test_page_add_in_browser",
    "test_address_policy",
    "test_page_in_browser",
    "test_full_disk",
    "test_page_list_in_browser",
    "test_keys",
    "test_on_postgres",
    "test_many_processes",
    "test_life_of_a_task",
]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def media():
    """A folder with the generated media."""
    return make_media(media_folder())


@pytest.fixture
def origin(media):
    """A local HTTP origin of this test's own."""
    with Origin(media) as origin:
        yield origin


@pytest.fixture
def fresh_service(tmp_path):
    """A service of this test's own, which it may kill and start again; not started yet."""
    service = Service(tmp_path / "data")
    yield service
    service.stop()


@pytest.fixture(scope="session")
def running_service(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("service") / "data").start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def service(running_service):
    """A running service that knows nothing yet, shared by the tests of a file; they may not stop it."""
    running_service.forget()
    return running_service


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """The programs that come with the installation."""
    return prepare_toolbox(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory, tools):
    """A warm engine, shared by the tests of a file."""
    engine = Engine(tmp_path_factory.mktemp("engine") / "home", tools.folder)
    engine.warm_up()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """A way to run jobs without a service, shared by the tests of a file."""
    with Jobs(tmp_path_factory.mktemp("jobs")) as jobs:
        yield jobs


@pytest.fixture
def cured(monkeypatch):
    """yt-dlp with every cure, until the end of the test."""
    ytdlp.cure(monkeypatch)


@pytest.fixture
def downloader(tmp_path, tools):
    """A way to make a yt-dlp that downloads to `media.*` in the test's folder; it is closed at the end."""
    opened = []

    def make(**options):
        opened.append(ytdlp.make(tmp_path, tools, **options))
        return opened[-1]

    yield make
    _ = [ydl.close() for ydl in opened]


@pytest.fixture(scope="session")
def long_origin(media, tmp_path_factory, tools):
    """An origin with a video that takes long to convert, `/direct/long.webm`."""
    folder = tmp_path_factory.mktemp("long")
    (folder / "direct").mkdir()
    source, target = media / "direct" / "vp9.webm", folder / "direct" / "long.webm"
    subprocess.run([tools.ffmpeg, "-v", "error", "-stream_loop", "60", "-i", source, "-c", "copy", target], check=True)
    with Origin(folder) as origin:
        yield origin


@pytest.fixture(scope="module")
def browser():
    """A browser, shared by the tests of a file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def profile(browser, service):
    """Gives a browser profile with these options; one that a test has left is cheaper than a new one."""
    kept = {}

    def profile(number, **options):
        key = (number, repr(sorted(options.items())))
        if key not in kept:
            kept[key] = browser.new_context(base_url=service.url, **options)
        return kept[key]

    return profile


@pytest.fixture
def visit(profile, service):
    """Opens a page in a profile of its own; afterwards no page may have complained or asked another host."""
    pages, complaints, hosts = [], [], set()

    def visit(path="/", *, sockets=None, **options):
        page = profile(len(pages), **{"locale": "en-US", "reduced_motion": "reduce"} | options).new_page()
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).netloc))
        if sockets:
            page.route_web_socket(re.compile("/ws$"), sockets)
        page.goto(path)
        return page

    yield visit
    for page in pages:
        leave(page, service.url)
    assert [text for text in complaints if not SAYS_SO_ITSELF.search(text)] == []
    assert hosts - {""} == {urlsplit(service.url).netloc}


numbers = count(1)


@pytest.fixture
def link(origin):
    """Makes links that no other test uses."""

    def link(path="/direct/small.mp4", **query):
        return origin.url(path, test=next(numbers), **query)

    return link


@pytest.fixture
def tune(db):
    """Sets what an administrator would, by the names of the columns; this process forgets it at the end."""

    def tune(**columns):
        return Tuning.objects.update_or_create(pk=ONLY, defaults=columns)[0]

    yield tune
    Tuning.objects.forget()
