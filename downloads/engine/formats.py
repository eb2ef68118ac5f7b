"""From our words for a quality to yt-dlp's words for choosing formats.

The user's choice picks from these tables; no text of a request ever becomes a part of a format expression.
"""

from enum import StrEnum
from typing import Final

from downloads.engine.choices import AudioFormat, Choices, Container, VideoCodec


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

# yt-dlp prefers the named codec, then older ones, then newer ones. `vp9.2` is VP9 in any depth. The sound is that of
# the container in which the codec usually comes, so that no pair needs Matroska that does not have to.
_CODECS: Final = {
    VideoCodec.H264: ("vcodec:h264", "acodec:aac"),
    VideoCodec.HEVC: ("vcodec:hevc", "acodec:aac"),
    VideoCodec.VP9: ("vcodec:vp9.2", "acodec:opus"),
    VideoCodec.AV1: ("vcodec", "acodec"),  # the best in yt-dlp's own order
}
# The source that needs no encoding
_SOUND_CODECS: Final = {
    AudioFormat.M4A: "acodec:aac",
    AudioFormat.MP3: "acodec:mp3",
    AudioFormat.OPUS: "acodec:opus",
    AudioFormat.FLAC: "acodec",  # flac and uncompressed sound are the first in yt-dlp's own order
    AudioFormat.WAV: "acodec",
}


def format_options(
    quality: Quality,
    post_processing: PostProcessing,
    choices: Choices = Choices(),  # noqa: B008  frozen
) -> dict[str, object]:
    """The parameters `format`, `format_sort` and `merge_output_format` for a `YoutubeDL`.

    `res:N` in yt-dlp means: the best at or below N, and where there is none, the smallest above it, by the shorter side
    of the picture. That is why heights are sorted by and not filtered: a filter would fail on vertical videos and
    where heights are unknown. Of the finer choices the height comes first, then the codec, then what the container
    holds.

    `merge_output_format` stays `None` unless Matroska is wanted, which holds everything: only then does yt-dlp judge by
    the files' extensions where its small table of codecs does not know the pair (HEVC from a playlist with AAC: MP4),
    before it falls back on Matroska. A list that ends in `mkv` skips that step, one that does not can choose a
    container that fails.
    """
    if post_processing is PostProcessing.AUDIO:
        selector, sort = _AUDIO, _audio_sort(quality, choices.audio_format)
    else:
        selector, sort = _VIDEO, _video_sort(quality, post_processing, choices)
    is_mkv = post_processing is PostProcessing.NONE and choices.container is Container.MKV
    return {"format": selector, "format_sort": sort, "merge_output_format": "mkv" if is_mkv else None}


def _audio_sort(quality: Quality, wanted: AudioFormat) -> list[str]:
    codec = [_SOUND_CODECS[wanted]] if wanted in _SOUND_CODECS else []
    if quality is Quality.WORST:
        # Language before size, or the smallest of a film's dubs would win over the original.
        return ["+res", "lang", *codec, "+size", "+br"]
    if quality is Quality.AUTO:
        return [_SOUND_SOURCE, *(codec or ["acodec:aac"])]
    return [_SOUND_SOURCE, *codec]


def _video_sort(quality: Quality, post_processing: PostProcessing, choices: Choices) -> list[str]:
    height = _height(quality, choices.max_height)
    if post_processing is PostProcessing.PERMUTE:
        return _permute_sort(quality, height)
    codecs = _wanted_codecs(post_processing, choices)
    if quality is Quality.WORST:
        return ["+res", "lang", *codecs, "+size", "+br", "+fps"]
    if quality is Quality.AUTO:
        return [
            f"res:{min(height or _EVERYWHERE, _EVERYWHERE)}",
            "hdr:sdr",
            *(codecs or _CODECS[VideoCodec.H264]),
            "ext",
        ]
    return _tallest_sort(quality, height, codecs, choices)


def _tallest_sort(quality: Quality, height: int | None, codecs: tuple[str, ...], choices: Choices) -> list[str]:
    size = f"res:{height}" if height else "res"
    if choices.video_codec is not VideoCodec.ANY:
        return [size, *codecs, "fps"]
    if codecs:
        return [size, "fps", *codecs]
    if quality is Quality.BEST:
        return [size] if height else []  # yt-dlp's own order, or the extractor's, is the best there is
    # Above 1080p a preference for H.264 would only pair VP9 with AAC, which no container but Matroska holds.
    prefers_h264 = height is not None and height <= _EVERYWHERE and choices.container is not Container.MKV
    return [size, "fps", *(_CODECS[VideoCodec.H264] if prefers_h264 else ())]


def _height(quality: Quality, limit: int) -> int | None:
    """The most that is wanted; `None` for no limit at all."""
    return min(filter(None, (_HEIGHTS.get(quality), limit)), default=None)


def _wanted_codecs(post_processing: PostProcessing, choices: Choices) -> tuple[str, ...]:
    """What is asked for by name, or else what the wanted container holds; nothing where neither is said."""
    if choices.video_codec is not VideoCodec.ANY:
        return _CODECS[choices.video_codec]
    container = choices.container if post_processing is PostProcessing.NONE else Container.SOURCE
    if post_processing is PostProcessing.MP4 or container is Container.MP4:
        return _CODECS[VideoCodec.H264]
    if container is Container.WEBM:
        return ("vext:webm", "vcodec", "acodec:opus")  # AV1 often comes as MP4: after VP9, but before H.264
    return ()


def _permute_sort(quality: Quality, height: int | None) -> list[str]:
    """Prefer what needs no encoding: H.264, AAC, no HDR, at most 30 frames a second, no taller than 1080p."""
    if quality is Quality.WORST:
        return ["+res", "lang", "hdr:sdr", "vcodec:h264", "fps:30", "acodec:aac", "+size", "+br"]
    return [f"res:{min(height or _EVERYWHERE, _EVERYWHERE)}", "hdr:sdr", "vcodec:h264", "fps:30", "acodec:aac", "ext"]
