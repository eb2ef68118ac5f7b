"""The clients in the specification's text, as they stand; exchanged are the video's address, the service's address and,
in the curl lines, the task's id. What Node lacks and a browser has (an address that `fetch` is relative to) is put
before the JavaScript one.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEXTS = Path(__file__).parent / "specification"
EXAMPLE = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def text_of(name, service, url):
    text = (TEXTS / name).read_text()
    return text.replace("localhost:8000", f"localhost:{service.port}").replace(EXAMPLE, url)


def run(*command, text=None):
    result = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_python_client_works_unchanged(service, origin):
    said = run(sys.executable, "-", text=text_of("client.py.txt", service, origin.url("/direct/small.mp4")))
    title, started = said.splitlines()
    assert title == "视频标题: small"
    task_id = started.removeprefix("下载已启动: ")
    assert service.wait_for(task_id)["status"] == "completed"


@pytest.mark.skipif(not shutil.which("node"), reason="Node is not installed")
def test_the_javascript_client_works_unchanged(service, origin):
    before = f"""
        const browserFetch = globalThis.fetch;
        globalThis.fetch = (path, options) => browserFetch(new URL(path, "{service.url}"), options);
    """
    after = f"""
        const socket = connectWebSocket();
        const log = console.log;
        console.log = (...words) => {{ log(...words); if (`${{words}}`.endsWith(": 100%")) process.exit(0); }};
        socket.onopen = async () => startDownload(await createDownload("{origin.url("/direct/small.mp4")}"));
    """
    text = before + text_of("client.js", service, "") + after
    said = run("node", "--experimental-websocket", "--input-type=module", text=text)
    assert re.search(r"^Task [0-9a-f]{12}: 100%$", said, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_curl_lines_work_unchanged(service, origin):
    extract, add, start, show, listing = (
        f"curl{rest}" for rest in text_of("client.sh", service, origin.url("/direct/small.mp4")).split("\ncurl")[1:]
    )
    assert json.loads(run("sh", "-c", without_comment(extract)))["title"] == "small"
    task_id = json.loads(run("sh", "-c", without_comment(add)))["task_id"]
    start, show = (without_comment(line).replace("abc123def456", task_id) for line in (start, show))
    assert json.loads(run("sh", "-c", start)) == {"message": "Download started", "task_id": task_id}
    service.wait_for(task_id)
    assert json.loads(run("sh", "-c", show))["status"] == "completed"
    assert task_id in [task["id"] for task in json.loads(run("sh", "-c", without_comment(listing)))]


def without_comment(command):
    return re.sub(r"\n#.*$", "", command)
