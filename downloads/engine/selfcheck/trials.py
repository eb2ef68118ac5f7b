"""Real downloads from a site of our own, by children of a real engine."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from downloads.engine import messages
from downloads.engine.ffmpeg import Toolbox
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.process import Child, Engine
from downloads.engine.selfcheck.findings import CheckFailed
from downloads.engine.selfcheck.site import CLIP, DASH, HLS, PAGE, SECONDS, SEGMENT, Site

TIME_LIMIT: Final = 20.0  # seconds for each step of a trial
HALF: Final = SECONDS // 2  # segments that come before a kill
LOOK_EVERY: Final = 0.05


class Trials:
    """Each method is one trial, and raises CheckFailed where the result is not the clip."""

    def __init__(self, engine: Engine, toolbox: Toolbox, site: Site, folder: Path) -> None:
        """Work in this folder."""
        self._engine = engine
        self._toolbox = toolbox
        self._site = site
        self._folder = folder

    def direct(self) -> None:
        """A file at an address, killed halfway: goes on from the bytes that it has."""
        size = self._size(CLIP)
        self._kill({CLIP: size // 2}, CLIP, bytes_before=size // 8)
        result = self._download(CLIP)
        self._prove_same_bytes(result)
        if not any(name == CLIP and start > 0 for name, start in self._site.starts):
            raise CheckFailed("it began again from the first byte")

    def hls(self) -> None:
        """HLS with AES-128 over 8 threads, killed halfway: goes on with the segment that is missing."""
        segments = [SEGMENT % number for number in range(SECONDS)]
        first, rest = segments[:HALF], segments[HALF:]
        size = sum(map(self._size, first))
        self._kill({name: self._size(name) // 2 for name in rest}, HLS, bytes_before=size * 3 // 4)
        result = self._download(HLS)
        self._prove_same_streams(result)
        if sum(self._site.sent[name] for name in first) > size * 3 // 2:
            raise CheckFailed("it fetched again what it had")

    def dash(self) -> None:
        """DASH: sound and picture are fetched apart and put together."""
        self._prove_same_streams(self._download(DASH))

    def page(self) -> None:
        """A page without an extractor of its own: the video in it is found."""
        self._prove_same_bytes(self._download(PAGE))

    def _kill(self, held: dict[str, int], name: str, bytes_before: int) -> None:
        """Begin a download that cannot end, and kill it when it has this many bytes on the disk."""
        with self._site.holding(held):
            child = self._engine.start(self._job(name))
            try:
                self._wait(child, lambda: self._on_disk(name) >= bytes_before)
            finally:
                child.kill()
                child.stop()

    def _download(self, name: str) -> Path:
        child = self._engine.start(self._job(name))
        try:
            done = self._wait(child, lambda: False)
        finally:
            child.stop()
        if done is None:
            raise CheckFailed("the child ended without a word")
        return self._folder / name / done.name

    def _wait(self, child: Child, is_enough: Callable[[], bool]) -> messages.Done | None:
        deadline = time.monotonic() + TIME_LIMIT
        while not is_enough():
            for event in child.events(LOOK_EVERY):
                if isinstance(event, messages.Failed):
                    raise CheckFailed(f"{event.failure.sentence} {event.failure.detail}".strip())
                if isinstance(event, messages.Done):
                    return event
            if child.ended:
                raise CheckFailed("the child ended without a word")
            if time.monotonic() > deadline:
                raise CheckFailed(f"nothing came of it within {TIME_LIMIT:.0f} s")
        return None

    def _job(self, name: str) -> messages.Job:
        return messages.Job(
            task_id="self-check",
            url=self._site.url(name),
            quality=Quality.BEST,
            post_processing=PostProcessing.NONE,
            folder=str(self._folder / name),
            tools=str(self._toolbox.folder),
            cache=str(self._folder / "cache"),
            allowed_networks=("127.0.0.0/8",),
        )

    def _size(self, name: str) -> int:
        return (self._site.folder / name).stat().st_size

    def _on_disk(self, name: str) -> int:
        """The size of the largest partial file that a download has so far."""
        sizes = [0]
        for file in (self._folder / name).rglob("*.part*"):
            with suppress(FileNotFoundError):  # a fragment that has just got its final name
                sizes.append(file.stat().st_size)
        return max(sizes)

    def _prove_same_bytes(self, result: Path) -> None:
        clip = self._site.folder / CLIP
        if sha256(result.read_bytes()).digest() != sha256(clip.read_bytes()).digest():
            raise CheckFailed("the file differs from the one on the site")

    def _prove_same_streams(self, result: Path) -> None:
        if self._streams(result) != self._streams(self._site.folder / CLIP):
            raise CheckFailed("picture or sound differ from those on the site")

    def _streams(self, file: Path) -> bytes:
        """A hash of every picture, and one of the sound, whatever container they are in."""
        pictures = ["-map", "0:v:0", "-c:v", "rawvideo", "-fps_mode", "passthrough"]
        sound = ["-map", "0:a:0", "-c:a", "copy"]
        command: list[Path | str] = [self._toolbox.ffmpeg, "-v", "error", "-i", file]
        command += [*pictures, *sound, "-f", "streamhash", "-"]
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIME_LIMIT, check=True)
        return run.stdout
