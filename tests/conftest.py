"""What tests share: generated media, an origin that serves them, and the real service."""

import signal

import pytest

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
