"""What encodes H.264: the processor, or hardware where there is some and the administrator wants it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from downloads.engine.ffmpeg import FfmpegFailed, Toolbox, run_briefly

_TRIAL: Final = ("-f", "lavfi", "-i", "color=size=320x240:rate=25:duration=0.2")
_TRIAL_LIMIT = 10.0  # seconds


class Encoder(StrEnum):
    """Who encodes; by the names under which people know their hardware."""

    SOFTWARE = "software"
    NVENC = "nvenc"  # Nvidia
    QSV = "qsv"  # Intel
    VAAPI = "vaapi"  # AMD and Intel on Linux
    VIDEOTOOLBOX = "videotoolbox"  # Apple


@dataclass(frozen=True)
class _Way:
    """ffmpeg's options for an encoder, and the filters that pictures go through last. The qualities look alike."""

    options: tuple[str, ...]
    filters: tuple[str, ...] = ("format=yuv420p",)


_WAYS: Final = {
    Encoder.SOFTWARE: _Way(("-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-profile:v", "high")),
    Encoder.NVENC: _Way(("-c:v", "h264_nvenc", "-preset", "p4", "-rc", "vbr", "-cq", "23", "-profile:v", "high")),
    Encoder.QSV: _Way(("-c:v", "h264_qsv", "-preset", "veryfast", "-global_quality", "23", "-profile:v", "high")),
    Encoder.VAAPI: _Way(
        ("-vaapi_device", "/dev/dri/renderD128", "-c:v", "h264_vaapi", "-qp", "23", "-profile:v", "high"),
        ("format=nv12", "hwupload"),
    ),
    Encoder.VIDEOTOOLBOX: _Way(("-c:v", "h264_videotoolbox", "-q:v", "60", "-profile:v", "high")),
}


def options_of(encoder: Encoder) -> tuple[str, ...]:
    """What ffmpeg is told for it."""
    return _WAYS[encoder].options


def filters_of(encoder: Encoder) -> tuple[str, ...]:
    """Through what pictures go before it, behind all other filters."""
    return _WAYS[encoder].filters


def why_not(encoder: Encoder, toolbox: Toolbox) -> str:
    """What ffmpeg says against this encoder when it shall encode a few pictures here; nothing if it can."""
    arguments = [*_TRIAL, *options_of(encoder), "-vf", ",".join(filters_of(encoder)), "-f", "null", "-"]
    try:
        run_briefly(toolbox.ffmpeg, arguments, timeout=_TRIAL_LIMIT)
    except FfmpegFailed as error:
        return error.detail
    return ""
