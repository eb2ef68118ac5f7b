"""From our words for a quality to yt-dlp's words for choosing formats.

The user's choice picks from these tables; no text of a request ever becomes a part of a format expression.
"""

from enum import StrEnum
from typing import Final


class Quality(StrEnum):
    """How good the picture is to be. A height is the most that is wanted, measured on the shorter side."""

    AUTO = "auto"
    BEST = "best"
    P2160 = "2160p"
    P1440 = "1440p"
    P1080 = "1080p"
    P720 = "720p"
    P480 = "480p"
    P360 = "360p"
    WORST = "worst"


class PostProcessing(StrEnum):
    """What is made of the file once it is here."""

    NONE = "none"
    AUDIO = "audio"
    MP4 = "mp4"
    PERMUTE = "permute"


QUALITIES: Final = (
    Quality.AUTO,
    Quality.BEST,
    Quality.P1080,
    Quality.P720,
    Quality.P480,
    Quality.P360,
    Quality.WORST,
)
"""What `/qualities` lists, in the order of the API text."""

EXTRA: Final = (Quality.P2160, Quality.P1440)
"""What we accept beyond the API text."""

_VIDEO = "bv*+ba/b"
_AUDIO = "ba/ba*/b"

_HEIGHTS = {
    Quality.P2160: 2160,
    Quality.P1440: 1440,
    Quality.P1080: 1080,
    Quality.P720: 720,
    Quality.P480: 480,
    Quality.P360: 360,
}
_EVERYWHERE = 1080  # what plays everywhere has at most this height, and H.264 is hardly offered above it

# Where a site has no pure audio, the sound is cut out of a video. 720p carries the full sound nearly everywhere, and is
# a small part of what the tallest one weighs. Pure audio has no height, so that this sorts nothing there.
_SOUND_SOURCE = "res:720"


def format_options(quality: Quality, post_processing: PostProcessing) -> dict[str, object]:
    """The parameters `format`, `format_sort` and `merge_output_format` for a `YoutubeDL`.

    `res:N` in yt-dlp means: the best at or below N, and where there is none, the smallest above it, by the shorter side
    (so a vertical 720x1280 is 720). Sorting fails on no site, whereas a filter such as `[height<=720]` finds nothing
    where heights are unknown.

    `merge_output_format` stays `None`: only then does yt-dlp judge by the files' extensions where its small table of
    codecs does not know the pair (HEVC from a playlist with AAC: MP4), before it falls back on Matroska, which holds
    everything. A list that ends in `mkv` skips that step, one that does not can choose a container that fails.
    """
    if post_processing is PostProcessing.AUDIO:
        selector, sort = _AUDIO, _audio_sort(quality)
    else:
        selector, sort = _VIDEO, _video_sort(quality, post_processing)
    return {"format": selector, "format_sort": sort, "merge_output_format": None}


def _audio_sort(quality: Quality) -> list[str]:
    if quality is Quality.WORST:
        # Language before size, or the smallest of a film's dubs would win over the original.
        return ["+res", "lang", "+size", "+br"]
    if quality is Quality.AUTO:
        return [_SOUND_SOURCE, "acodec:aac"]
    return [_SOUND_SOURCE]


def _video_sort(quality: Quality, post_processing: PostProcessing) -> list[str]:
    if post_processing is PostProcessing.PERMUTE:
        return _permute_sort(quality)
    if quality is Quality.WORST:
        return ["+res", "lang", *_h264_if(post_processing is PostProcessing.MP4), "+size", "+br", "+fps"]
    if quality is Quality.AUTO:
        return [f"res:{_EVERYWHERE}", "hdr:sdr", "vcodec:h264", "acodec:aac", "ext"]
    height = _HEIGHTS.get(quality)
    if post_processing is PostProcessing.MP4:
        return [f"res:{height}" if height else "res", "fps", *_h264_if(wanted=True)]
    if height is None:
        return []  # yt-dlp's own order, or the extractor's, is the best there is
    # Above 1080p a preference for H.264 would only pair VP9 with AAC, which no container but Matroska holds.
    return [f"res:{height}", "fps", *_h264_if(height <= _EVERYWHERE)]


def _permute_sort(quality: Quality) -> list[str]:
    """Prefer what needs no encoding: H.264, AAC, no HDR, at most 30 frames a second, no taller than 1080p."""
    if quality is Quality.WORST:
        return ["+res", "lang", "hdr:sdr", "vcodec:h264", "fps:30", "acodec:aac", "+size", "+br"]
    height = min(_HEIGHTS.get(quality, _EVERYWHERE), _EVERYWHERE)
    return [f"res:{height}", "hdr:sdr", "vcodec:h264", "fps:30", "acodec:aac", "ext"]


def _h264_if(wanted: bool) -> list[str]:  # noqa: FBT001 - the name of the function says what is true
    return ["vcodec:h264", "acodec:aac"] if wanted else []
