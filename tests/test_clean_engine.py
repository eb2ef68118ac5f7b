"""The engine reads nothing of the user's own yt-dlp, curl or browser, and gets only what its task needs."""

import pytest

from tests.origin import Listener

MARK = "from pathlib import Path\nPath({marker!r}).touch()\n"
EXTRACTOR = "from yt_dlp.extractor.common import InfoExtractor\nclass EvilIE(InfoExtractor):\n    _VALID_URL = r'.*'\n"
CONFIGURATIONS = (
    ".config/yt-dlp/config",
    ".config/yt-dlp.conf",
    ".yt-dlp/config",
    "yt-dlp.conf",
    "xdg/yt-dlp/config",
    "xdg/yt-dlp.conf",
)
PLUGINS = (
    ".config/yt-dlp/plugins/evil",
    ".yt-dlp/plugins/evil",
    "yt-dlp-plugins/evil",
    "xdg/yt-dlp/plugins/evil",
    "path",
)


@pytest.fixture
def home(tmp_path):
    """A home folder with everything in it that yt-dlp would take from one."""
    home = tmp_path / "home"
    for name in CONFIGURATIONS:
        write(home / name, "--write-info-json\n--exec 'touch " + str(home / "ran") + "'\n")
    for name in PLUGINS:
        code = MARK.format(marker=str(home / "plugged")) + EXTRACTOR
        write(home / name / "yt_dlp_plugins" / "extractor" / "evil.py", code)
    write(home / ".netrc", "default login ann password hunter2\n").chmod(0o600)
    write(home / ".curlrc", "--proxy http://127.0.0.1:1\n")
    return home


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_configuration_plugins_and_environment_of_the_user_have_no_effect(fresh_service, origin, home):
    with Listener() as proxy:
        names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        fresh_service.environment |= dict.fromkeys(names, f"http://127.0.0.1:{proxy.port}")
        fresh_service.environment |= {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "xdg"),
            "PYTHONPATH": str(home / "path"),
            "NO_PROXY": "",
            "NETRC": str(home / ".netrc"),
        }
        fresh_service.start()
        task = fresh_service.wait_for(fresh_service.download(origin.url("/page/video.html")))
        assert task["status"] == "completed", task
        assert proxy.connections == 0
    assert not (home / "plugged").exists()
    assert not (home / "ran").exists()
    assert not list(fresh_service.data.rglob("*.info.json"))
    assert not [request for request in origin.requests if "Authorization" in request.headers]


def test_a_child_knows_no_secret_of_the_service(fresh_service, origin):
    fresh_service.environment["DOWNIE_SECRET_KEY"] = secret = "hunter2" * 8
    fresh_service.start()
    task_id = fresh_service.download(origin.url("/direct/video.mp4", rate=100_000), cookies="pass=sesame")
    fresh_service.wait_for_bytes(task_id, 1)
    environments = [process.environ() for process in fresh_service.engine_processes()]
    assert len(environments) > 1
    assert secret not in str(environments)
    assert "sesame" not in str(environments)
    assert not [process for process in fresh_service.engine_processes() if "sesame" in str(process.cmdline())]
