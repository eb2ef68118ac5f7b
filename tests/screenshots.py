"""`make screenshots`: the pictures in docs/screenshots. The service and its downloads are real, the films made up."""

import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from downloads.engine.ffmpeg import prepare_toolbox
from tests.browser import ARGUMENTS, CHROMIUM
from tests.origin import Origin, make_media, media_folder
from tests.service import PROJECT, Service

FOLDER = PROJECT / "docs" / "screenshots"
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
SHOTS = {
    "page.png": {"viewport": {"width": 1280, "height": 800}, "locale": "en-US"},
    "phone-dark.png": {"viewport": {"width": 390, "height": 844}, "locale": "zh-CN", "color_scheme": "dark"},
}


def picture(toolbox, folder, number):
    """The path of a picture on the origin, each in other colours."""
    path = f"/companions/film-{number}.jpg"
    colours = f"gradients=size=640x360:seed={number + 7}:nb_colors=4:n=4"
    command = [toolbox.ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", colours, "-frames:v", "1", f"{folder}{path}"]
    subprocess.run(command, check=True)
    return path


def download(service, film, address):
    """Begin it and give it the facts of this film, as soon as the site has said others."""
    task_id = service.download(address)
    service.wait_for(task_id, "downloading", "completed")
    with sqlite3.connect(service.data / "db.sqlite3", timeout=20) as database:
        database.execute("UPDATE downloads_task SET site = ?, duration = ? WHERE id = ?", (*film[2:], task_id))
    return task_id


def fill(service, origin, toolbox, folder):
    """A list as one might see it; two downloads of it run."""

    def address(number, **options):
        title, author, *_ = (FINISHED + RUNNING)[number]
        shown = picture(toolbox, folder, number)
        return origin.url("/page/titled.html", title=title, author=author, picture=shown, **options)

    service.wait_for(service.download(origin.url("/page/feed.rss")))
    service.wait_for(service.download(origin.url("/hls/aes/index.m3u8", need_cookie=1)))
    for number, film in enumerate(FINISHED):
        service.wait_for(download(service, film, address(number)))
    for number, film in enumerate(RUNNING, len(FINISHED)):
        download(service, film, address(number, rate=14_000 - 2000 * number))


def shoot(browser, service, name, options):
    """Take one picture when the chart has something to show."""
    page = browser.new_context(base_url=service.url, **options).new_page()
    page.goto("/")
    page.locator("#chart canvas").wait_for()
    page.wait_for_timeout(4000)
    page.evaluate("document.activeElement.blur()")
    return page.screenshot(path=FOLDER / name)


def shrink(toolbox, path):
    """256 colours are enough."""
    small = path.with_name(f"small-{path.name}")
    colours = "split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none"
    subprocess.run([toolbox.ffmpeg, "-v", "error", "-y", "-i", path, "-vf", colours, small], check=True)
    small.replace(path)


def main():
    if CHROMIUM is None:
        sys.exit("There is no Chromium here: apt-get install chromium")
    folder = make_media(media_folder())
    with tempfile.TemporaryDirectory() as place, Origin(folder) as origin, sync_playwright() as playwright:
        toolbox = prepare_toolbox(Path(place) / "tools")
        service = Service(Path(place) / "data").start()
        try:
            fill(service, origin, toolbox, folder)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for name, options in SHOTS.items():
                shoot(browser, service, name, options)
                shrink(toolbox, FOLDER / name)
        finally:
            service.stop()


if __name__ == "__main__":
    main()
