"""`make screenshots`: the pictures in docs/screenshots. The service and its downloads are real, the films made up.

So is the past that the dashboard sums up. The pictures are only taken when asked for, since no two are the same.
"""

import os
import socket
import subprocess
import sys

import pytest

from tests.administrator import PASSWORD, Administrator
from tests.browser import needs_chromium
from tests.service import PROJECT

pytestmark = [
    needs_chromium,
    pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="pictures are taken by: make screenshots"),
]

FOLDER = PROJECT / "docs" / "screenshots"
LARGEST = 100_000  # bytes
# Title, uploader, site, seconds; the oldest first
FINISHED = [
    ("Nocturne in E-flat major, Op. 9 No. 2", "Conservatory Hall", "music.example.com", 271),
    ("تعلم الرسم بالألوان المائية", "قناة الفن", "atelier.example.org", 842),
    ("【4K】深夜东京街头漫步：雨中的新宿", "城市漫步者", "video.example.cn", 5012),
]
RUNNING = [
    ("The bread that takes three days", "Slow Flour", "kitchen.example.com", 911),
    ("A day on the night train across the Alps 🏔️", "Window Seat", "rails.example.com", 1497),
]
# Run by `manage.py shell`: for each of the last days what might have been
PAST = """
from datetime import timedelta
from django.utils import timezone
from downloads.engine.errors import SENTENCES, Reason
from downloads.models import Task

sites = ["video.example.cn", "rails.example.com", "music.example.com", "kitchen.example.com"]
reasons = [Reason.GEO_BLOCKED, Reason.PRIVATE, Reason.GEO_BLOCKED]
now, tasks = timezone.now(), []
for day in range(1, 30):
    ended = {"started_at": now - timedelta(days=day), "finished_at": now - timedelta(days=day)}
    for number in range(1 + (day * 7 + day // 3) % 9):
        size, site = (20 + day * number * 37 % 180) * 2**20, sites[(day + number) % 3 if number % 4 else 3]
        name = f"{day}-{number}.mp4"
        facts = {"title": name, "site": site, "file_name": name, "file_size": size, "stored_bytes": size}
        tasks.append(Task(url=f"https://{site}/{name}", status="completed", **facts, **ended))
    if day % 9 == 4:
        reason, site = reasons[day // 9 % 3], sites[day // 9 % 3]
        error = {"error_reason": reason, "error_code": "DOWNLOAD_FAILED", "error_message": SENTENCES[reason]}
        facts = {"title": "A walk through the old town", "site": site}
        tasks.append(Task(url=f"https://{site}/walk", status="failed", **facts, **error, **ended))
Task.objects.bulk_create(tasks)
"""


# Nobody wants to know on which machine the pictures were taken
ANONYMOUS = """names => {
  const texts = document.createTreeWalker(document.querySelector("#content"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode())
    for (const [name, shown] of names) texts.currentNode.data = texts.currentNode.data.replaceAll(name, shown);
}"""


def picture(tools, media, number):
    """The path of a picture on the origin, each in other colours."""
    path = f"/companions/film-{number}.jpg"
    colours = f"gradients=size=640x360:seed={number + 7}:nb_colors=4:n=4"
    command = [tools.ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", colours, "-frames:v", "1", f"{media}{path}"]
    subprocess.run(command, check=True)
    return path


def download(service, film, address):
    """Begin it and give it the facts of this film, as soon as the site has said others."""
    task_id = service.download(address)
    service.wait_for(task_id, "downloading", "completed")
    service.rows("UPDATE downloads_task SET site = ?, duration = ? WHERE id = ?", *film[2:], task_id)
    return task_id


def fill(service, origin, tools, media):
    """A list as one might see it; two downloads of it run."""

    def address(number, **options):
        title, author, *_ = (FINISHED + RUNNING)[number]
        shown = picture(tools, media, number)
        return origin.url("/page/titled.html", title=title, author=author, picture=shown, **options)

    service.wait_for(service.download(origin.url("/page/feed.rss")))
    service.wait_for(service.download(origin.url("/hls/aes/index.m3u8", need_cookie=1)))
    for number, film in enumerate(FINISHED):
        service.wait_for(download(service, film, address(number)))
    for number, film in enumerate(RUNNING, len(FINISHED)):
        download(service, film, address(number, rate=14_000 - 2000 * number))


def remember(service):
    """A past of a month."""
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", PAST]
    subprocess.run(command, cwd=PROJECT, env=service.environment, check=True, capture_output=True)


def shrink(tools, path):
    """256 colours are enough."""
    small = path.with_name(f"small-{path.name}")
    colours = "split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none"
    subprocess.run([tools.ffmpeg, "-v", "error", "-y", "-i", path, "-vf", colours, small], check=True)
    small.replace(path)


def take(page, tools, name):
    """Take the picture of what is seen now."""
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=FOLDER / name)
    shrink(tools, FOLDER / name)
    assert (FOLDER / name).stat().st_size < LARGEST


def test_pictures_are_taken(visit, service, origin, media, tools):
    fill(service, origin, tools, media)
    phone = {"viewport": {"width": 390, "height": 844}, "locale": "zh-CN", "color_scheme": "dark"}
    for name, options in {"page.png": {"viewport": {"width": 1280, "height": 800}}, "phone-dark.png": phone}.items():
        page = visit("/", **options)
        page.locator("#chart canvas").wait_for()
        page.wait_for_timeout(4000)  # until the chart has something to show
        take(page, tools, name)

    remember(service)
    with Administrator(service):
        page = visit("/admin/", viewport={"width": 1280, "height": 860})
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.locator("#chart-bytes canvas").wait_for()
        page.wait_for_timeout(500)  # until both are drawn
        page.evaluate(ANONYMOUS, [[str(service.data), "/var/lib/downie"], [socket.gethostname(), "host"]])
        take(page, tools, "dashboard.png")
