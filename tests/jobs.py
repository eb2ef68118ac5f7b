"""Jobs for a real engine, without a service around it, and what comes of them."""

import itertools
import json
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from downloads.engine import choices, messages
from downloads.engine.ffmpeg import prepare_toolbox, probe
from downloads.engine.process import Engine


@dataclass
class Outcome:
    """What a child said, and the folder that it worked in."""

    events: list
    folder: Path
    toolbox: object

    @property
    def done(self):
        last = self.events[-1]
        assert isinstance(last, messages.Done), last
        return last

    @property
    def failure(self):
        return self.events[-1].failure

    @property
    def file(self):
        return self.folder / self.done.name

    @cached_property
    def media(self):
        return probe(self.toolbox, self.file, timeout=10)

    @property
    def codecs(self):
        return [stream.codec for stream in self.media.streams]

    @property
    def side_files(self):
        return {side.suffix: self.folder / side.name for side in self.done.side_files}

    @property
    def pictures(self):
        return [self.folder / event.name for event in self.events if isinstance(event, messages.Pictured)]

    def said(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def packets(self, stream):
        return packets(self.toolbox, self.file, stream)

    def described(self):
        """Everything that ffprobe says of streams, tags and chapters."""
        return described(self.toolbox, self.file)


class Jobs:
    """Runs jobs, each in a folder of its own."""

    def __init__(self, home):
        self.home = Path(home)
        self.toolbox = prepare_toolbox(self.home / "tools")
        self._engine = Engine(self.home / "engine", self.toolbox.folder)
        self._numbers = itertools.count(1)

    def __enter__(self):
        self._engine.warm_up()
        return self

    def __exit__(self, *_):
        server = self._engine._server._process
        self._engine.close()
        server.wait(5)

    def start(self, url, *, looked_up=None, **fields):
        """A child on this link, and its folder. `looked_up` is a result of yt-dlp's; fields are the job's own, as plain
        JSON, and the finer choices."""
        wishes = {name: fields.pop(name) for name in choices.Choices.__struct_encode_fields__ if name in fields}
        folder = self.home / f"work-{next(self._numbers)}"
        plain = {
            "type": "download",
            "task_id": "0123456789ab",
            "url": url,
            "quality": "best",
            "post_processing": "none",
            "folder": str(folder),
            "tools": str(self.toolbox.folder),
            "cache": str(self.home / "cache"),
            "allowed_networks": ["127.0.0.1/32"],
            "looked_up": json.dumps(looked_up) if looked_up else "",
            "choices": wishes,
            "sponsorblock_api": "http://127.0.0.1:9",
        }
        return self._engine.start(msgspec.convert(plain | fields, messages.Job)), Path((plain | fields)["folder"])

    def run(self, url, **fields):
        """What became of it."""
        child, folder = self.start(url, **fields)
        try:
            return Outcome(list(heard(child)), folder, self.toolbox)
        finally:
            child.stop()

    def run_ffmpeg(self, *arguments):
        subprocess.run([self.toolbox.ffmpeg, *arguments], check=True)

    def packets_of(self, path, stream):
        return packets(self.toolbox, path, stream)


def heard(child, limit=40):
    deadline = time.monotonic() + limit
    while not child.ended and time.monotonic() < deadline:
        yield from child.events(0.2)


def video(url, *, formats=None, **facts):
    """A result of yt-dlp's for a video of twelve seconds, whose one format is at this address."""
    known = {
        "id": "abcdefghijk",
        "title": "A video",
        "extractor": "youtube",
        "extractor_key": "Youtube",
        "webpage_url": "https://www.youtube.com/watch?v=abcdefghijk",
        "webpage_url_domain": "youtube.com",
        "duration": 12,
        "formats": formats or [{"format_id": "18", "url": url, "ext": url.partition("?")[0].rpartition(".")[2]}],
    }
    return known | facts


def packets(toolbox, path, stream):
    """A checksum over the packets of a stream (`v`, `a`, `a:1`): the same before and after, where it was copied."""
    command = [toolbox.ffmpeg, "-v", "error", "-i", path, "-map", f"0:{stream}", "-c", "copy", "-f", "streamhash", "-"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.partition("=")[2]


def described(toolbox, path):
    command = [toolbox.ffprobe, "-v", "error", "-of", "json", "-show_streams", "-show_format", "-show_chapters", path]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
