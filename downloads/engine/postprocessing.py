"""What is made of a downloaded file: only the sound, an MP4, or the file that plays on everything.

Not by yt-dlp's own post-processors: they report no progress, leave a half-written file under its final name when they
are killed, and take an MP4 with any codec inside for finished.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Final

from downloads.engine.ffmpeg import FfmpegFailed, Media, NotMedia, Stream, Toolbox, input_arguments, probe, run_ffmpeg
from downloads.engine.formats import PostProcessing

_PROBE_TIMEOUT = 60.0  # seconds
_LENGTH_SLACK, _LENGTH_TOLERANCE = 1.0, 0.02  # seconds, and the part of the source's duration, whichever is more

# The container in which a codec is at home, by file extension, and what ffprobe calls that container.
_NATURAL: Final = {"aac": "m4a", "alac": "m4a", "opus": "opus", "mp3": "mp3", "vorbis": "ogg", "flac": "flac"}
_PROBED_AS: Final = {"m4a": "m4a", "opus": "ogg", "mp3": "mp3", "ogg": "ogg", "flac": "flac"}

# What players expect inside an MP4. ffmpeg would write more (Vorbis, DTS, MPEG-2), which hardly anything plays.
_MP4_VIDEO: Final = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
_MP4_AUDIO: Final = frozenset({"aac", "mp3", "opus", "ac3", "eac3", "alac", "flac"})

_PLAYS_EVERYWHERE_PROFILES: Final = frozenset({"Constrained Baseline", "Baseline", "Main", "High"})
_PLAYS_EVERYWHERE_LEVEL = 42  # 4.2: the highest that phones, consoles and television sets of the last ten years share
_LONG_SIDE, _SHORT_SIDE = 1920, 1080
_FPS = 30.0
_CINEMA_FPS = 23.9  # 24000/1001, rounded down: the slowest rate that is made on purpose
_FPS_TOLERANCE = 0.1  # a mean over a file of 30 frames a second is often a little above 30

_ENCODE_VIDEO: Final = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-profile:v", "high")
_EVEN: Final = "scale=w=trunc(iw/2)*2:h=trunc(ih/2)*2:out_range=tv"
# `iw` and `ih` are those after ffmpeg has turned a rotated video upright, which is why this is not computed here.
_FIT: Final = (
    f"scale=w='if(gte(iw,ih),min(iw,{_LONG_SIDE}),min(iw,{_SHORT_SIDE}))'"
    f":h='if(gte(iw,ih),min(ih,{_SHORT_SIDE}),min(ih,{_LONG_SIDE}))'"
    ":force_original_aspect_ratio=decrease:force_divisible_by=2:out_range=tv"
)
_HDR_TRANSFERS: Final = frozenset({"smpte2084", "arib-std-b67"})


class ProcessingFailed(Exception):
    """The wanted file cannot be made. The text is one sentence; `detail` is what ffmpeg said, for a log."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


@dataclass(frozen=True)
class Plan:
    """What ffmpeg is to do: the arguments between input and output, and the extension of the result.

    `encodes` is false where every stream is copied as it is, which takes seconds and costs no quality.
    """

    extension: str
    arguments: tuple[str, ...]
    encodes: bool


@dataclass(frozen=True)
class _Track:
    """A stream of the source, and the arguments that say what becomes of it."""

    stream: Stream
    arguments: tuple[str, ...]
    is_copied: bool


def process(source: Path, wanted: PostProcessing, toolbox: Toolbox, *, on_progress: Callable[[float], None]) -> Path:
    """Make what is wanted of `source`, in the same folder, and say where it is: `source` itself if it is that already.

    The result is written to `processing.<ext>` and renamed to `processed.<ext>` when it is whole. Leftovers of both
    names are removed first. `source` stays. `on_progress` gets the fraction done, 0 to 1; when a copy turns out to be
    impossible and everything is encoded instead, it starts again from 0.

    Raises:
        ProcessingFailed: the source is no media, lacks what is wanted, or ffmpeg cannot convert it.
    """
    if wanted is PostProcessing.NONE:
        return source
    _remove_leftovers(source)
    try:
        media = probe(toolbox, source, timeout=_PROBE_TIMEOUT)
        work = plan(media, wanted)
        if work is None:
            return source
        try:
            return _carry_out(work, source, media, toolbox, on_progress)
        except (FfmpegFailed, NotMedia) as error:
            return _carry_out(_second_plan(media, wanted, work, error), source, media, toolbox, on_progress)
    except (FfmpegFailed, NotMedia) as error:
        raise ProcessingFailed(str(error), error.detail) from error


def plan(media: Media, wanted: PostProcessing, *, copying: bool = True) -> Plan | None:
    """How to make what is wanted of `media`, or `None` where it is that already. Runs nothing.

    Without `copying` every stream is encoded, whatever it is. Kept are metadata and chapters; covers, subtitles and
    data are left behind.

    Raises:
        ProcessingFailed: audio is wanted of a source without any.
    """
    match wanted:
        case PostProcessing.NONE:
            return None
        case PostProcessing.AUDIO:
            return _audio_plan(media, copying=copying)
        case PostProcessing.MP4:
            video = [_mp4_video(stream, copying=copying) for stream in media.videos[:1]]
            audio = [_mp4_audio(stream, n, copying=copying) for n, stream in enumerate(media.audios)]
        case PostProcessing.PERMUTE:
            video = [_permute_video(stream, copying=copying) for stream in media.videos[:1]]
            audio = [_permute_audio(stream, copying=copying) for stream in media.audios[:1]]
    return _mp4_plan(media, video + audio)


def _audio_plan(media: Media, *, copying: bool) -> Plan | None:
    if not media.audios:
        raise ProcessingFailed("The video has no sound, so no audio file can be made of it.")
    stream = media.audios[0]
    extension = _NATURAL.get(stream.codec) if copying else None
    if extension is not None and _is_pure_audio(media, extension):
        return None
    codec = ("-c:a", "copy") if extension else ("-c:a", "aac", "-b:a", "192k")
    extension = extension or "m4a"
    fast_start = ("-movflags", "+faststart") if extension == "m4a" else ()
    return Plan(extension, ("-map", f"0:{stream.index}", *codec, *fast_start), encodes="copy" not in codec)


def _is_pure_audio(media: Media, extension: str) -> bool:
    return (
        not media.videos
        and len(media.audios) == 1
        and media.extension == extension
        and _PROBED_AS[extension] in media.container.split(",")
    )


def _mp4_plan(media: Media, tracks: list[_Track]) -> Plan | None:
    encodes = not all(track.is_copied for track in tracks)
    if not encodes and _is_finished_mp4(media) and _holds_only(media, tracks):
        return None
    maps = [argument for track in tracks for argument in ("-map", f"0:{track.stream.index}")]
    codecs = [argument for track in tracks for argument in track.arguments]
    return Plan("mp4", (*maps, *codecs, "-sn", "-dn", "-movflags", "+faststart"), encodes)


def _is_finished_mp4(media: Media) -> bool:
    apple_likes_it = all(stream.tag == "hvc1" for stream in media.videos if stream.codec == "hevc")
    return media.extension == "mp4" and media.brand != "qt" and media.is_fast_start and apple_likes_it


def _holds_only(media: Media, tracks: list[_Track]) -> bool:
    return [*media.videos, *media.audios] == [track.stream for track in tracks]


def _mp4_video(stream: Stream, *, copying: bool) -> _Track:
    if copying and stream.codec in _MP4_VIDEO:
        return _copied_video(stream)
    return _encoded_video(stream, _EVEN)


def _mp4_audio(stream: Stream, position: int, *, copying: bool) -> _Track:
    is_copied = copying and stream.codec in _MP4_AUDIO
    codec = ("copy",) if is_copied else ("aac", f"-b:a:{position}", "192k")
    return _Track(stream, (f"-c:a:{position}", *codec), is_copied)


def _permute_video(stream: Stream, *, copying: bool) -> _Track:
    if copying and _plays_everywhere(stream):
        return _copied_video(stream)
    return _encoded_video(stream, *_at_most_30(stream.fps), _FIT)


def _permute_audio(stream: Stream, *, copying: bool) -> _Track:
    is_copied = copying and (stream.codec, stream.profile, stream.channels) == ("aac", "LC", 2)
    return _Track(stream, ("-c:a", "copy") if is_copied else ("-c:a", "aac", "-b:a", "160k", "-ac", "2"), is_copied)


def _plays_everywhere(stream: Stream) -> bool:
    short, long = sorted((stream.width, stream.height))
    return (
        stream.codec == "h264"
        and stream.profile in _PLAYS_EVERYWHERE_PROFILES
        and stream.pix_fmt == "yuv420p"
        and 0 < stream.level <= _PLAYS_EVERYWHERE_LEVEL
        and long <= _LONG_SIDE
        and short <= _SHORT_SIDE
        and stream.fps <= _FPS + _FPS_TOLERANCE
    )


def _copied_video(stream: Stream) -> _Track:
    tag = ("-tag:v", "hvc1") if stream.codec == "hevc" else ()  # Apple's players know no other
    return _Track(stream, ("-c:v", "copy", *tag), is_copied=True)


def _encoded_video(stream: Stream, *filters: str) -> _Track:
    chain = ",".join([*filters, *_to_sdr(stream.transfer), "format=yuv420p"])
    return _Track(stream, (*_ENCODE_VIDEO, "-vf", chain), is_copied=False)


def _at_most_30(fps: float) -> list[str]:
    """Leave out frames at a steady beat (59.94 to 29.97, 50 to 25), because an uneven one is seen as a stutter."""
    if fps <= _FPS + _FPS_TOLERANCE:
        return []
    slower = fps / ceil(fps / _FPS)
    rate = Fraction(slower if slower >= _CINEMA_FPS else _FPS).limit_denominator(1001)
    return [f"fps={rate}"]


def _to_sdr(transfer: str) -> list[str]:
    """Map the brightness of HDR to what 8 bits can show; merely cutting off bits would leave it grey and dull."""
    if transfer not in _HDR_TRANSFERS:
        return []
    return [
        f"zscale=tin={transfer}:min=bt2020nc:pin=bt2020:t=linear:npl=100",
        "format=gbrpf32le",
        "zscale=p=bt709",
        "tonemap=hable:desat=0",
        "zscale=t=bt709:m=bt709:r=tv",
    ]


def _second_plan(media: Media, wanted: PostProcessing, first: Plan, error: FfmpegFailed | NotMedia) -> Plan:
    """After a copy that failed (a stream that its container cannot describe, say): encode everything."""
    second = plan(media, wanted, copying=False)
    if second is None or second == first or "No space left" in error.detail:
        raise error
    return second


def _carry_out(work: Plan, source: Path, media: Media, toolbox: Toolbox, on_progress: Callable[[float], None]) -> Path:
    unfinished = source.with_name(f"processing.{work.extension}")
    arguments = [*input_arguments(source), *work.arguments, f"file:{unfinished}"]
    try:
        run_ffmpeg(toolbox, arguments, duration=media.duration, on_progress=on_progress)
        # ffmpeg can report success for a file without a single packet in it, or with a few of the frames.
        _check_length(probe(toolbox, unfinished, timeout=_PROBE_TIMEOUT), media, work)
        return unfinished.replace(source.with_name(f"processed.{work.extension}"))
    except BaseException:
        with suppress(FileNotFoundError):
            unfinished.unlink()
        raise


def _check_length(result: Media, source: Media, work: Plan) -> None:
    """Refuse what is shorter than its source; sound by itself may be, since the pictures may go on after it."""
    if work.extension in _PROBED_AS or not source.duration:
        return
    missing = source.duration - (result.duration or 0)
    if missing > max(_LENGTH_SLACK, source.duration * _LENGTH_TOLERANCE):
        raise FfmpegFailed("ffmpeg could not convert the whole file.", f"{missing:.1f} s are missing")


def _remove_leftovers(source: Path) -> None:
    for pattern in ("processing.*", "processed.*"):
        for leftover in source.parent.glob(pattern):
            if leftover != source:
                leftover.unlink()
