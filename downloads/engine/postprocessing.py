"""Making what is wanted of a downloaded file: only the sound, an MP4, or the file that plays on everything.

Not by yt-dlp's own post-processors: they report no progress, leave a half-written file under its final name when they
are killed, and take an MP4 with any codec inside for finished.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from downloads.engine.encoders import Encoder
from downloads.engine.ffmpeg import (
    NO_SPACE,
    TOO_LARGE,
    FfmpegFailed,
    Media,
    NotMedia,
    Toolbox,
    input_arguments,
    probe,
    run_ffmpeg,
)
from downloads.engine.formats import PostProcessing
from downloads.engine.plans import Details, Plan, ProcessingFailed, plan

_PROBE_TIMEOUT = 60.0  # seconds
_CUT_TOLERANCE = 1.0  # seconds by which a cut file may differ from what it should last
_LENGTH_SLACK, _LENGTH_TOLERANCE = 1.0, 0.02  # seconds, and the part of the source's duration, whichever is more


def process(
    source: Path,
    wanted: PostProcessing,
    toolbox: Toolbox,
    *,
    on_progress: Callable[[float], None],
    details: Details = Details(),  # noqa: B008  frozen
) -> Path:
    """Make what is wanted of `source`, in the same folder, and say where it is: `source` itself if it is that already.

    The result is written to `processing.<ext>` and renamed to `processed.<ext>` when it is whole. Leftovers of both
    names are removed first. `source` stays. `on_progress` gets the fraction done, 0 to 1; when a copy turns out to be
    impossible and everything is encoded instead, it starts again from 0.

    Raises:
        ProcessingFailed: the source is no media, lacks what is wanted, or ffmpeg cannot convert it.
    """
    if not details.convert(wanted):
        return source
    _remove_leftovers(source)
    try:
        media = probe(toolbox, source, timeout=_PROBE_TIMEOUT)
        work = plan(media, wanted, details)
        if work is None:
            return source
        try:
            return _carry_out(work, source, media, toolbox, on_progress)
        except (FfmpegFailed, NotMedia) as error:
            by_software = replace(details, encoder=Encoder.SOFTWARE)
            second = _second_plan(plan(media, wanted, by_software, copying=False), work, error)
            return _carry_out(second, source, media, toolbox, on_progress)
    except (FfmpegFailed, NotMedia) as error:
        raise ProcessingFailed(str(error), error.detail) from error


def _second_plan(second: Plan | None, first: Plan, error: FfmpegFailed | NotMedia) -> Plan:
    """After a copy that failed (a stream that its container cannot describe, say), or hardware: encode everything."""
    if second is None or second == first or NO_SPACE in error.detail or TOO_LARGE in error.detail:
        raise error
    return second


def _carry_out(work: Plan, source: Path, media: Media, toolbox: Toolbox, on_progress: Callable[[float], None]) -> Path:
    unfinished = source.with_name(f"processing.{work.extension}")
    arguments = [*input_arguments(source), *work.arguments, f"file:{unfinished}"]
    try:
        run_ffmpeg(toolbox, arguments, duration=work.lasts or media.duration, on_progress=on_progress)
        # ffmpeg can report success for a file without a single packet in it, or with a few of the frames.
        _prove(probe(toolbox, unfinished, timeout=_PROBE_TIMEOUT), media, work)
        return unfinished.replace(source.with_name(f"processed.{work.extension}"))
    except BaseException:
        with suppress(FileNotFoundError):
            unfinished.unlink()
        raise


def _prove(made: Media, source: Media, work: Plan) -> None:
    """Prove that the result is as long as was planned; that it is media at all, `probe` has proven.

    A video without a cut lasts as long as its source; sound by itself may not, since pictures may go on after it.

    Raises:
        NotMedia: it is not.
    """
    if work.lasts is not None:
        if abs((made.duration or 0) - work.lasts) > _CUT_TOLERANCE:
            raise NotMedia(f"The cut file lasts {made.duration or 0:.1f} instead of {work.lasts:.1f} seconds.")
    elif made.videos and source.duration:
        missing = source.duration - (made.duration or 0)
        if missing > max(_LENGTH_SLACK, source.duration * _LENGTH_TOLERANCE):
            raise NotMedia("The file could not be converted as a whole.", f"{missing:.1f} s are missing")


def _remove_leftovers(source: Path) -> None:
    for pattern in ("processing.*", "processed.*"):
        for leftover in source.parent.glob(pattern):
            if leftover != source:
                leftover.unlink()
