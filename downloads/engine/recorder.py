"""Streams that ffmpeg reads: live ones, recorded as they are, and sections of longer ones. It reaches only the relay.

A recording that goes on in a later attempt begins some seconds before the live edge: a little may be there twice, and
what was sent meanwhile is missing.

A section begins at the key frame before the wanted second, as nothing is encoded. An MP4 says in an edit list where to
begin, and players do; in WebM and Matroska there is none, so these begin up to some seconds early.
"""

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from downloads.engine.choices import Section
from downloads.engine.cures import CappedYoutubeDL
from downloads.engine.errors import Phase, Reason
from downloads.engine.ffmpeg import (
    CONTAINERS,
    FfmpegFailed,
    NotMedia,
    Report,
    Toolbox,
    follow_ffmpeg,
    input_arguments,
    probe,
    run_ffmpeg,
)
from downloads.engine.lookup import Wrong
from downloads.engine.messages import Found
from downloads.engine.recording import Recording, Wishes
from downloads.engine.relay import Relay

Format = Mapping[str, Any]
Arguments = tuple[str, ...]

STALL_LIMIT: Final = 45.0  # seconds without anything new
FINISH_GRACE: Final = 5.0  # seconds between asking ffmpeg to finish, TERM and KILL
PROBE_LIMIT: Final = 60.0  # seconds
DURATION_TOLERANCE: Final = 0.02  # of a section
DURATION_SLACK: Final = 2.0  # seconds
KEY_FRAME_SLACK: Final = 15.0  # seconds: how much earlier a section may begin where there is no edit list

_PLAYLISTS: Final = frozenset({"m3u8", "m3u8_native"})
_PROTOCOLS: Final = frozenset({"http", "https", *_PLAYLISTS})
# What yt-dlp's own downloader knows of keys and addresses beyond a playlist
_OWN_WAYS: Final = ("hls_aes", "extra_param_to_segment_url", "extra_param_to_key_url")
# What segments are called says nothing of what they are, and many sites call them what they like. ffmpeg is picky about
# it because a playlist could name local files and other protocols, which the white lists forbid.
_OF_PLAYLISTS: Final = (
    *("-extension_picky", "0", "-allowed_extensions", "ALL", "-allowed_segment_extensions", "ALL"),
    *("-http_persistent", "0", "-seg_max_retry", "2", "-f", "hls"),
)
_FROM_THE_FIRST: Final = ("-live_start_index", "0")
# A file that is cut off can be read up to its last second
_AT_ONCE: Final = {"ts": ("-flush_packets", "1"), "mkv": ("-flush_packets", "1", "-cluster_time_limit", "1000")}
# What MPEG-TS holds, in the words of extractors: names, and those of the standard for MP4 (RFC 6381)
_IN_TS: Final = ("none", "avc", "h264", "hev", "hvc", "h265", "mp4a", "aac", "mp3", "ac-3", "ec-3", "ac3", "eac3")
_MP4S: Final = frozenset({"mp4", "m4v", "m4a", "mov"})
_WEBMS: Final = frozenset({"webm", "weba"})
_THEMSELVES: Final = frozenset({"m4a", "mp3", "aac", "ogg", "opus", "flac", "wav"})
_WITH_EDIT_LIST: Final = frozenset({".mp4", ".m4a"})


class SectionUnreadable(Exception):
    """No section of this stream can be read; the whole can be cut."""


def can_read(info: Mapping[str, Any], formats: Sequence[Format]) -> bool:
    """Whether ffmpeg reads these formats of a video: files and HLS by http(s), without a site's own ways.

    DASH it takes apart in another way than yt-dlp does.
    """
    merged = [{**info, **each} for each in formats]
    return all(each.get("protocol") in _PROTOCOLS and not any(map(each.get, _OWN_WAYS)) for each in merged)


def formats_to_record(ydl: CappedYoutubeDL, info: Mapping[str, Any]) -> list[Format]:
    """The formats of a live stream that are wanted, of those that ffmpeg reads; empty where it reads none."""
    wanted: list[Format] = info.get("requested_formats") or [info]
    if can_read(info, wanted):
        return wanted
    readable = [each for each in info.get("formats") or [] if can_read(info, [each])]
    chosen = ydl._select_formats(readable, ydl.format_selector) if readable else []  # noqa: SLF001
    return chosen[-1].get("requested_formats") or chosen[-1:] if chosen else []


class Recorder:
    """Reads the formats of one video: one with picture and sound, or one of each."""

    def __init__(
        self, ydl: CappedYoutubeDL, formats: Sequence[Format], toolbox: Toolbox, on_progress: Callable[[Report], None]
    ) -> None:
        """Read by the means of this yt-dlp; `on_progress` hears four times a second how much there is."""
        self._ydl = ydl
        self._formats = formats
        self._toolbox = toolbox
        self._on_progress = on_progress

    def record(self, recording: Recording, found: Found, wishes: Wishes, finish: threading.Event) -> None:
        """Record one more part, until the stream ends, there is enough, or `finish` is set: then the recording is over.

        Raises:
            Wrong: the stream stalled or broke off. What there is stays.
            RequestError: the same, where the network or a server said why.
        """
        if finish.is_set() or recording.is_enough(wishes):
            recording.end()
            return
        seconds, size, is_first = recording.seconds, recording.bytes, not recording.parts
        extension = "ts" if all(map(_fits_ts, self._formats)) else "mkv"
        part = recording.begin_part(found, extension)

        def report(progress: Report) -> None:
            recording.grow(seconds + progress.seconds)
            self._on_progress(Report(seconds + progress.seconds, size + progress.bytes))

        begin = _FROM_THE_FIRST if wishes.from_start and is_first else ()
        ends = [
            *(("-t", f"{wishes.seconds - seconds:.3f}") if wishes.seconds else ()),
            *(("-fs", str(wishes.bytes - size)) if wishes.bytes else ()),
        ]
        with Relay(self._ydl, self._formats) as relay:
            inputs = self._inputs(relay, of_playlists=begin, of_second=("-isync", "0"))
            arguments = [*inputs, "-c", "copy", *ends, *_AT_ONCE[extension], f"file:{part}"]
            failed = self._run(relay, arguments, report, finish)
        if finish.is_set() or recording.is_enough(wishes) or (failed is None and relay.is_over):
            recording.end()
        else:
            raise _why(failed, relay)

    def fetch(self, section: Section, length: float, folder: Path) -> Path:
        """A file of this section alone; `length` is how long it is to be in seconds, 0 where that is unknown.

        Raises:
            SectionUnreadable: the stream cannot be read from its middle.
            Wrong: it stalled.
            RequestError: the network or a server failed.
        """
        file = folder / f"section.{_container(self._formats)}"
        file.unlink(missing_ok=True)
        with Relay(self._ydl, self._formats) as relay:
            arguments = [*self._inputs(relay, of_all=_seek(section)), "-c", "copy", *_output(file)]
            failed = self._run(relay, arguments, self._on_progress, threading.Event())
        if failed is None and _is_section(self._toolbox, file, length) and (length or not relay.failures):
            return file
        raise relay.failures[-1] if relay.failures else SectionUnreadable

    def _inputs(
        self, relay: Relay, *, of_playlists: Arguments = (), of_all: Arguments = (), of_second: Arguments = ()
    ) -> list[str]:
        """The inputs and what is taken of them, after the white lists and these options."""
        arguments: list[str] = []
        for number, each in enumerate(self._formats):
            is_playlist = each["protocol"] in _PLAYLISTS
            demuxers = ("hls", *CONTAINERS) if is_playlist else CONTAINERS
            arguments += ["-protocol_whitelist", "http,tcp,crypto", "-format_whitelist", ",".join(demuxers)]
            arguments += [*_OF_PLAYLISTS, *of_playlists] if is_playlist else []
            arguments += [*of_all, *(of_second if number else ()), "-i", relay.address(number)]
        if len(self._formats) == 1:
            return [*arguments, "-map", "0:v:0?", "-map", "0:a:0?"]
        return [*arguments, "-map", "0:v:0", "-map", "1:a:0"]

    def _run(
        self, relay: Relay, arguments: Sequence[str], report: Callable[[Report], None], finish: threading.Event
    ) -> FfmpegFailed | None:
        watch = _Watch(relay, finish)

        def hear(progress: Report) -> None:
            watch.hear(progress)
            report(progress)

        environment = {"http_proxy": relay.url}
        try:
            follow_ffmpeg(self._toolbox, arguments, report=hear, look=watch.look, environment=environment)
        except FfmpegFailed as error:
            return error
        return None


class _Watch:
    """Looks after a running ffmpeg: lets it finish when that is asked for, and ends it when there is nothing to get."""

    def __init__(self, relay: Relay, finish: threading.Event) -> None:
        self._relay = relay
        self._finish = finish
        self._heard = Report(0, 0)
        self._news_at = time.monotonic()
        self._asked_at: float | None = None

    def hear(self, report: Report) -> None:
        if report != self._heard:
            self._heard, self._news_at = report, time.monotonic()

    def look(self, process: subprocess.Popen[bytes]) -> None:
        now = time.monotonic()
        if self._asked_at is not None:
            _press(process, now - self._asked_at)
        elif self._finish.is_set():
            self._asked_at = now
            with suppress(BrokenPipeError):  # it ends by itself
                if process.stdin:
                    process.stdin.write(b"q")
                    process.stdin.flush()
        elif self._relay.refusal:
            raise self._relay.refusal
        elif now - self._news_at > STALL_LIMIT:
            raise Wrong(Reason.STALLED, Phase.DOWNLOAD)


def _press(process: subprocess.Popen[bytes], waited: float) -> None:
    """TERM, then KILL: a read from the network that does not return keeps ffmpeg from hearing anything else."""
    if waited > 2 * FINISH_GRACE:
        process.kill()
    elif waited > FINISH_GRACE:
        process.terminate()


def cut(toolbox: Toolbox, whole: Path, section: Section, length: float, on_progress: Callable[[float], None]) -> Path:
    """A file of this section of a local file, which stays; `on_progress` gets the fraction done, 0 to 1.

    Raises:
        FfmpegFailed: it cannot be cut.
    """
    file = whole.with_name(f"section{whole.suffix}")
    file.unlink(missing_ok=True)
    arguments = [*_seek(section), *input_arguments(whole), "-map", "0", "-c", "copy", *_output(file)]
    run_ffmpeg(toolbox, arguments, duration=length or None, on_progress=on_progress)
    return file


def _seek(section: Section) -> Arguments:
    end = () if section.end is None else ("-to", f"{section.end:.3f}")
    return ("-ss", f"{section.start:.3f}", *end)


def _output(file: Path) -> Arguments:
    return (*(("-movflags", "+faststart") if file.suffix in _WITH_EDIT_LIST else ()), f"file:{file}")


def _is_section(toolbox: Toolbox, file: Path, length: float) -> bool:
    """Whether this can be the section. What ffmpeg could not seek in comes out empty, or as something else."""
    try:
        media = probe(toolbox, file, timeout=PROBE_LIMIT)
    except NotMedia:
        return False
    if not length or media.duration is None:
        return True
    slack = max(DURATION_SLACK, length * DURATION_TOLERANCE)
    early = 0 if file.suffix in _WITH_EDIT_LIST else KEY_FRAME_SLACK
    return -slack <= media.duration - length <= slack + early


def _why(failed: FfmpegFailed | None, relay: Relay) -> Exception:
    """Why a recording broke off."""
    detail = failed.detail if failed else "the stream broke off without an end"
    if "No space left" in detail:
        return Wrong(Reason.NO_SPACE, Phase.DOWNLOAD, detail)
    return relay.failures[-1] if relay.failures else Wrong(Reason.INCOMPLETE, Phase.DOWNLOAD, detail)


def _fits_ts(form: Format) -> bool:
    return all(str(form.get(kind)).startswith(_IN_TS) for kind in ("vcodec", "acodec"))


def _container(formats: Sequence[Format]) -> str:
    """The extension of a file that holds these, as they are called."""
    names = {str(each.get("ext")) for each in formats}
    if len(names) == 1 and names <= _THEMSELVES:
        return names.pop()
    if names <= _MP4S:
        return "mp4"
    return "webm" if names <= _WEBMS else "mkv"
