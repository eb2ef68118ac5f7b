"""How a downloaded file becomes what is wanted: which streams are copied, which are encoded, and into what."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Final

from downloads.engine.choices import AudioFormat, Container
from downloads.engine.cutting import Cut
from downloads.engine.encoders import Encoder, filters_of, options_of
from downloads.engine.ffmpeg import Media, Stream
from downloads.engine.formats import PostProcessing

# The container in which a codec is at home, by file extension, and what ffprobe calls that container.
_NATURAL: Final = {"aac": "m4a", "alac": "m4a", "opus": "opus", "mp3": "mp3", "vorbis": "ogg", "flac": "flac"}
_PROBED_AS: Final = {"m4a": "m4a", "opus": "ogg", "mp3": "mp3", "ogg": "ogg", "flac": "flac", "wav": "wav"}

_AAC: Final = ("aac", "-b:a", "192k")
# libopus refuses the other layouts of the same channels, such as 5.1 with its rear ones at the sides.
_OPUS_LAYOUTS: Final = "aformat=channel_layouts=7.1|5.1|stereo|mono"
_PCM: Final = ("pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le")
_CD_BITS = 16  # of a sample; what lossy codecs lose is far above the steps of 16 bits


@dataclass(frozen=True)
class _Sound:
    """A form of sound alone: what is copied into it, and what all else is encoded to."""

    extension: str
    codecs: tuple[str, ...]
    encoder: tuple[str, ...]
    filters: tuple[str, ...] = ()


_SOUNDS: Final = {
    AudioFormat.M4A: _Sound("m4a", ("aac", "alac"), _AAC),
    AudioFormat.MP3: _Sound("mp3", ("mp3",), ("libmp3lame", "-q:a", "0")),  # V0: about 245 kbit/s
    AudioFormat.OPUS: _Sound("opus", ("opus",), ("libopus", "-b:a", "160k"), (_OPUS_LAYOUTS,)),
    AudioFormat.FLAC: _Sound("flac", ("flac",), ("flac", "-sample_fmt", "s16")),
    AudioFormat.WAV: _Sound("wav", _PCM, ("pcm_s16le",)),
}
_DEEP_ENCODERS: Final = {AudioFormat.FLAC: ("flac", "-sample_fmt", "s32"), AudioFormat.WAV: ("pcm_s24le",)}

# What players expect inside an MP4. ffmpeg would write more (Vorbis, DTS, MPEG-2), which hardly anything plays.
_MP4_VIDEO: Final = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
_MP4_AUDIO: Final = frozenset({"aac", "mp3", "opus", "ac3", "eac3", "alac", "flac"})
_WEBM_VIDEO: Final = frozenset({"vp8", "vp9", "av1"})  # what the format allows, and no more
_WEBM_AUDIO: Final = frozenset({"opus", "vorbis"})
# Subtitles that Matroska takes as they are; those of an MP4 are made over.
_MKV_SUBTITLES: Final = frozenset(
    {"subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
)
_CONTAINER_OF: Final = {"mp4": Container.MP4, "webm": Container.WEBM}

_PLAYS_EVERYWHERE_PROFILES: Final = frozenset({"Constrained Baseline", "Baseline", "Main", "High"})
_PLAYS_EVERYWHERE_LEVEL = 42  # 4.2: the highest that phones, consoles and television sets of the last ten years share
_LONG_SIDE, _SHORT_SIDE = 1920, 1080
_FPS = 30.0
_CINEMA_FPS = 23.9  # 24000/1001, rounded down: the slowest rate that is made on purpose
_FPS_TOLERANCE = 0.1  # a mean over a file of 30 frames a second is often a little above 30

# Five times as fast as libvpx's usual way, for a third more bytes
_FAST_VP9: Final = ("-deadline", "realtime", "-cpu-used", "6", "-row-mt", "1")
_ENCODE_VP9: Final = ("-c:v", "libvpx-vp9", "-crf", "31", "-b:v", "0", *_FAST_VP9)
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


@dataclass(frozen=True, kw_only=True)
class Details:
    """What is wanted beside the processing itself.

    `audio_format` counts where audio is wanted, `container` where the file is to stay as it comes; the `cut` leaves out
    its parts in any case. The `encoder` makes H.264 where it has to be made.
    """

    audio_format: AudioFormat = AudioFormat.SOURCE
    container: Container = Container.SOURCE
    cut: Cut | None = None
    encoder: Encoder = Encoder.SOFTWARE

    def convert(self, wanted: PostProcessing) -> bool:
        """Whether anything but the file as it came may be wanted."""
        return wanted is not PostProcessing.NONE or self.container is not Container.SOURCE or self.cut is not None


@dataclass(frozen=True)
class Plan:
    """What ffmpeg is to do: the arguments between input and output, and the extension of the result.

    `encodes` is false where every stream is copied as it is, which takes seconds and costs no quality. `lasts` is how
    many seconds the result has to last, where something is cut out.
    """

    extension: str
    arguments: tuple[str, ...]
    encodes: bool
    lasts: float | None = None


@dataclass(frozen=True)
class _Track:
    """A stream of the source, and the arguments that say what becomes of it."""

    stream: Stream
    arguments: tuple[str, ...]
    is_copied: bool


@dataclass(frozen=True)
class _Making:
    """How tracks are made: whether copying may be tried, and what is cut out. `place` is ffmpeg's name for a stream."""

    copying: bool
    cut: Cut | None
    encoder: Encoder

    @property
    def copies_picture(self) -> bool:
        return self.copying and (self.cut is None or self.cut.at_key_frames)

    def changes_nothing(self, tracks: list[_Track]) -> bool:
        return self.cut is None and all(track.is_copied for track in tracks)

    def copied(self, stream: Stream, place: str) -> _Track:
        drop = (f"-bsf:{place}", self.cut.of_packets) if self.cut else ()
        return _Track(stream, (f"-c:{place}", "copy", *drop), is_copied=True)

    def copied_video(self, stream: Stream) -> _Track:
        track = self.copied(stream, "v")
        tag = ("-tag:v", "hvc1") if stream.codec == "hevc" else ()  # Apple's players know no other
        return replace(track, arguments=(*track.arguments, *tag))

    def h264(self, stream: Stream, *filters: str) -> _Track:
        return self._encoded(stream, options_of(self.encoder), filters, filters_of(self.encoder))

    def vp9(self, stream: Stream, *filters: str) -> _Track:
        return self._encoded(stream, _ENCODE_VP9, filters, ["format=yuv420p"])

    def _encoded(self, stream: Stream, options: tuple[str, ...], filters: Iterable[str], last: Iterable[str]) -> _Track:
        frames = self.cut.of_frames if self.cut else []
        chain = ",".join([*frames, *filters, *_to_sdr(stream.transfer), *last])
        return _Track(stream, (*options, "-vf", chain), is_copied=False)

    def encoded_audio(
        self, stream: Stream, place: str, encoder: tuple[str, ...], filters: tuple[str, ...] = ()
    ) -> _Track:
        chain = ",".join([*(self.cut.of_samples if self.cut else ()), *filters])
        filtering = (f"-filter:{place}", chain) if chain else ()
        return _Track(stream, (f"-c:{place}", *encoder, *filtering), is_copied=False)


def plan(
    media: Media,
    wanted: PostProcessing,
    details: Details = Details(),
    *,
    copying: bool = True,
) -> Plan | None:
    """How to make what is wanted of `media`, or `None` where it is that already. Runs nothing.

    Without `copying` every stream is encoded, whatever it is. Kept are metadata and chapters; covers and data are
    left behind, and so are subtitles, but for those that Matroska holds.

    Raises:
        ProcessingFailed: audio is wanted of a source without any.
    """
    work = _plan_of(media, wanted, details, _Making(copying, details.cut, details.encoder))
    if work and details.cut:  # the source's chapters would be in the wrong places
        return replace(work, arguments=(*work.arguments, "-map_chapters", "-1"), lasts=details.cut.remaining)
    return work


def _plan_of(media: Media, wanted: PostProcessing, details: Details, making: _Making) -> Plan | None:
    match wanted:
        case PostProcessing.NONE:
            return _kept_plan(media, details.container, making)
        case PostProcessing.AUDIO:
            return _audio_plan(media, details.audio_format, making)
        case PostProcessing.MP4:
            return _mp4_plan(media, making)
        case PostProcessing.PERMUTE:
            video = [_permute_video(stream, making) for stream in media.videos[:1]]
            audio = [_permute_audio(stream, making) for stream in media.audios[:1]]
            return _finished_mp4_plan(media, video + audio, making)


def _audio_plan(media: Media, wanted: AudioFormat, making: _Making) -> Plan | None:
    if not media.audios:
        raise ProcessingFailed("The video has no sound, so no audio file can be made of it.")
    stream = media.audios[0]
    sound = _sound(stream, wanted)
    is_copied = making.copying and stream.codec in sound.codecs
    if is_copied and making.cut is None and _is_pure_audio(media, sound.extension):
        return None
    track = making.copied(stream, "a") if is_copied else making.encoded_audio(stream, "a", sound.encoder, sound.filters)
    fast_start = ("-movflags", "+faststart") if sound.extension == "m4a" else ()
    return Plan(sound.extension, ("-map", f"0:{stream.index}", *track.arguments, *fast_start), encodes=not is_copied)


def _sound(stream: Stream, wanted: AudioFormat) -> _Sound:
    """What to make of this stream. Its own codec stays where it has a container of its own; all else becomes AAC."""
    if wanted is AudioFormat.SOURCE:
        return _Sound(_NATURAL.get(stream.codec, "m4a"), tuple(_NATURAL), _AAC)
    sound = _SOUNDS[wanted]
    if stream.bits > _CD_BITS and wanted in _DEEP_ENCODERS:
        return replace(sound, encoder=_DEEP_ENCODERS[wanted])
    return sound


def _is_pure_audio(media: Media, extension: str) -> bool:
    return (
        not media.videos
        and len(media.audios) == 1
        and media.extension == extension
        and _PROBED_AS[extension] in media.container.split(",")
    )


def _kept_plan(media: Media, container: Container, making: _Making) -> Plan | None:
    """Keep the streams as they are, as far as the container holds them; a container is for a video, not for sound."""
    if container is Container.SOURCE and making.cut is None:
        return None
    if not media.videos:
        return _audio_plan(media, AudioFormat.SOURCE, making) if making.cut else None
    if container is Container.SOURCE:
        container = _CONTAINER_OF.get(media.extension, Container.MKV)
    return _CONTAINER_PLANS[container](media, making)


def _mp4_plan(media: Media, making: _Making) -> Plan | None:
    video = [_mp4_video(stream, making) for stream in media.videos[:1]]
    audio = [_mp4_audio(stream, n, making) for n, stream in enumerate(media.audios)]
    return _finished_mp4_plan(media, video + audio, making)


def _finished_mp4_plan(media: Media, tracks: list[_Track], making: _Making) -> Plan | None:
    if making.changes_nothing(tracks) and _is_finished_mp4(media) and _holds_only(media, tracks):
        return None
    return _plan("mp4", tracks, "-sn", "-dn", "-movflags", "+faststart")


def _webm_plan(media: Media, making: _Making) -> Plan | None:
    tracks = [_webm_video(stream, making) for stream in media.videos[:1]]
    tracks += [_webm_audio(stream, n, making) for n, stream in enumerate(media.audios)]
    if making.changes_nothing(tracks) and media.extension == "webm" and _holds_only(media, tracks):
        return None
    return _plan("webm", tracks, "-sn", "-dn")


def _mkv_plan(media: Media, making: _Making) -> Plan | None:
    if making.changes_nothing([]) and making.copying and media.extension == "mkv" and "matroska" in media.container:
        return None
    tracks = [
        making.copied(stream, f"v:{n}") if making.copies_picture else making.h264(stream, _EVEN)
        for n, stream in enumerate(media.videos)
    ]
    tracks += [
        making.copied(stream, f"a:{n}") if making.copying else making.encoded_audio(stream, f"a:{n}", _AAC)
        for n, stream in enumerate(media.audios)
    ]
    if making.cut is None:  # cut files have none, since nobody but YouTube's videos is cut
        tracks += _mkv_extras(media)
    return _plan("mkv", tracks, "-dn")


def _mkv_extras(media: Media) -> list[_Track]:
    texts = [stream for stream in media.streams if stream.codec in {*_MKV_SUBTITLES, "mov_text"}]
    tracks = [
        _Track(stream, (f"-c:s:{n}", "srt" if stream.codec == "mov_text" else "copy"), is_copied=True)
        for n, stream in enumerate(texts)
    ]
    fonts = [stream for stream in media.streams if stream.kind == "attachment"]
    return tracks + [_Track(stream, ("-c:t", "copy"), is_copied=True) for stream in fonts]


_CONTAINER_PLANS: Final = {Container.MP4: _mp4_plan, Container.WEBM: _webm_plan, Container.MKV: _mkv_plan}


def _plan(extension: str, tracks: list[_Track], *options: str) -> Plan:
    maps = [argument for track in tracks for argument in ("-map", f"0:{track.stream.index}")]
    codecs = [argument for track in tracks for argument in track.arguments]
    return Plan(extension, (*maps, *codecs, *options), encodes=not all(track.is_copied for track in tracks))


def _is_finished_mp4(media: Media) -> bool:
    apple_likes_it = all(stream.tag == "hvc1" for stream in media.videos if stream.codec == "hevc")
    return media.extension == "mp4" and media.brand != "qt" and media.is_fast_start and apple_likes_it


def _holds_only(media: Media, tracks: list[_Track]) -> bool:
    return [*media.videos, *media.audios] == [track.stream for track in tracks]


def _mp4_video(stream: Stream, making: _Making) -> _Track:
    if making.copies_picture and stream.codec in _MP4_VIDEO:
        return making.copied_video(stream)
    return making.h264(stream, _EVEN)


def _mp4_audio(stream: Stream, position: int, making: _Making) -> _Track:
    if making.copying and stream.codec in _MP4_AUDIO:
        return making.copied(stream, f"a:{position}")
    return making.encoded_audio(stream, f"a:{position}", ("aac", f"-b:a:{position}", "192k"))


def _webm_video(stream: Stream, making: _Making) -> _Track:
    if making.copies_picture and stream.codec in _WEBM_VIDEO:
        return making.copied_video(stream)
    return making.vp9(stream, _EVEN)


def _webm_audio(stream: Stream, position: int, making: _Making) -> _Track:
    if making.copying and stream.codec in _WEBM_AUDIO:
        return making.copied(stream, f"a:{position}")
    encoder = ("libopus", f"-b:a:{position}", "160k")
    return making.encoded_audio(stream, f"a:{position}", encoder, (_OPUS_LAYOUTS,))


def _permute_video(stream: Stream, making: _Making) -> _Track:
    if making.copies_picture and _plays_everywhere(stream):
        return making.copied_video(stream)
    return making.h264(stream, *_at_most_30(stream.fps), _FIT)


def _permute_audio(stream: Stream, making: _Making) -> _Track:
    if making.copying and (stream.codec, stream.profile, stream.channels) == ("aac", "LC", 2):
        return making.copied(stream, "a")
    return making.encoded_audio(stream, "a", ("aac", "-b:a", "160k", "-ac", "2"))


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
