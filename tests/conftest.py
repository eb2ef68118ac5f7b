"""What tests share: generated media, an origin that serves them, and the real service."""

import signal
import subprocess

import pytest

from downloads.engine.ffmpeg import prepare_toolbox
from tests import ytdlp
from tests.origin import Origin, make_media, media_folder
from tests.service import Service

# A suite that a shell started in the background ignores SIGINT, and so would the services that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A running service, shared by the tests of a file."""
    service = Service(tmp_path_factory.mktemp("service") / "data").start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """The programs that come with the installation."""
    return prepare_toolbox(tmp_path_factory.mktemp("tools"))


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
