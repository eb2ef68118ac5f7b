"""Which formats a real yt-dlp chooses for each of our qualities, on made-up sites of every shape."""

import copy

import pytest
import yt_dlp

from downloads.engine.choices import from_builtins
from downloads.engine.formats import EXTRA, QUALITIES, PostProcessing, Quality, format_options


def make_format(name, height=None, vcodec="none", acodec="none", ext="mp4", **more):
    size = {"height": height, "width": height * 16 // 9} if height else {}
    rate = {"fps": 30} if vcodec != "none" else {}
    url = f"http://127.0.0.1/{name}"
    return {"format_id": name, "url": url, "ext": ext, "vcodec": vcodec, "acodec": acodec, **size, **rate, **more}


H264_RATES = ((144, 80), (240, 150), (360, 400), (480, 700), (720, 1500), (1080, 3000))
VP9_RATES = ((144, 70), (240, 120), (360, 300), (480, 550), (720, 1100), (1080, 2200), (1440, 6000), (2160, 12000))

SEPARATE = [  # as YouTube does it
    make_format("139", acodec="mp4a.40.5", ext="m4a", tbr=48),
    make_format("140", acodec="mp4a.40.2", ext="m4a", tbr=129),
    make_format("250", acodec="opus", ext="webm", tbr=70),
    make_format("251", acodec="opus", ext="webm", tbr=145),
    make_format("18", 360, "avc1.42001E", "mp4a.40.2", tbr=500),
    *(make_format(f"avc{height}", height, "avc1.64001f", tbr=rate) for height, rate in H264_RATES),
    *(make_format(f"vp9_{height}", height, "vp9", ext="webm", tbr=rate) for height, rate in VP9_RATES),
    *(make_format(f"av1_{height}", height, "av01.0.05M.08", tbr=rate * 0.8) for height, rate in VP9_RATES),
]
TOGETHER = [
    make_format("m360", 360, "avc1.42001E", "mp4a.40.2", tbr=500),
    make_format("m1080", 1080, "avc1.42001E", "mp4a.40.2", tbr=3000),
]
PLAYLISTS = [
    make_format("h480", 480, "avc1.4d401e", "mp4a.40.2", tbr=900, protocol="m3u8_native"),
    make_format("h1080", 1080, "avc1.640028", "mp4a.40.2", tbr=4500, protocol="m3u8_native"),
    make_format("h2160", 2160, "hvc1.1.6", "mp4a.40.2", tbr=14000, protocol="m3u8_native"),
]
VERTICAL = [
    make_format(f"v{width}", width * 16 // 9, "avc1.64001f", "mp4a.40.2", tbr=width * 3, width=width)
    for width in (360, 540, 720, 1080)
]
DIRECT = [{"format_id": "0", "url": "http://127.0.0.1/film.mp4", "ext": "mp4"}]
AUDIO_ONLY = [
    make_format("a128", acodec="mp3", ext="mp3", tbr=128),
    make_format("a320", acodec="mp3", ext="mp3", tbr=320),
]
VIDEO_ONLY = [make_format("vo720", 720, "avc1.64001f", tbr=900), make_format("vo1080", 1080, "avc1.64001f", tbr=1900)]
TALL_ONLY = [make_format("t720", 720, "avc1", "mp4a", tbr=900), make_format("t1080", 1080, "avc1", "mp4a", tbr=1900)]
WITH_HDR = [
    make_format("sdr", 1080, "vp9", ext="webm", tbr=2000),
    make_format("hdr", 1080, "vp9.2", ext="webm", tbr=3000, dynamic_range="HDR10"),
    make_format("sound", acodec="opus", ext="webm", tbr=100),
]
FAST = [
    make_format("f60", 1080, "avc1.64002a", "mp4a.40.2", tbr=6000, fps=60),
    make_format("f30", 1080, "avc1.640028", "mp4a.40.2", tbr=3000, fps=30),
]
AV1_AND_H264 = [
    make_format("avc", 720, "avc1.64001f", tbr=1500),
    make_format("av1", 720, "av01.0.05M.08", tbr=900),
    make_format("aac", acodec="mp4a.40.2", ext="m4a", tbr=129),
    make_format("sound", acodec="opus", ext="webm", tbr=120),
]
DUBBED = [
    make_format("dub", acodec="mp4a.40.2", ext="m4a", tbr=60, language="fr", language_preference=-1),
    make_format("original", acodec="mp4a.40.2", ext="m4a", tbr=120, language="en", language_preference=10),
    make_format("picture", 720, "avc1.64001f", tbr=900),
]


def choose(formats, quality, post_processing=PostProcessing.NONE, **wishes):
    """What yt-dlp would download: the format ids and the extension."""
    options = {"quiet": True, "no_warnings": True, "simulate": True, "cachedir": False}
    info = {
        "id": "x",
        "title": "x",
        "extractor": "x",
        "extractor_key": "X",
        "webpage_url": "http://127.0.0.1/",
        "duration": 100,
        "formats": copy.deepcopy(formats),
    }
    with yt_dlp.YoutubeDL(
        options | format_options(quality, post_processing, from_builtins(wishes)), auto_init=False
    ) as downloader:
        chosen = downloader.process_ie_result(info, download=False)
    return f"{chosen['format_id']} {chosen['ext']}"


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        ("auto", "avc1080+140 mp4"),
        ("best", "av1_2160+251 webm"),
        ("2160p", "av1_2160+251 webm"),
        ("1440p", "av1_1440+251 webm"),
        ("1080p", "avc1080+140 mp4"),
        ("720p", "avc720+140 mp4"),
        ("480p", "avc480+140 mp4"),
        ("360p", "18 mp4"),
        ("worst", "av1_144+139 mp4"),
    ],
)
def test_where_picture_and_sound_are_separate_a_height_means_the_best_h264_of_it(quality, expected):
    assert choose(SEPARATE, Quality(quality)) == expected


@pytest.mark.parametrize(
    ("quality", "expected"),
    [("auto", "m1080 mp4"), ("best", "m1080 mp4"), ("720p", "m360 mp4"), ("360p", "m360 mp4"), ("worst", "m360 mp4")],
)
def test_a_height_that_is_not_there_means_the_best_below_it(quality, expected):
    assert choose(TOGETHER, Quality(quality)) == expected


@pytest.mark.parametrize(("quality", "expected"), [("480p", "t720 mp4"), ("360p", "t720 mp4"), ("720p", "t720 mp4")])
def test_where_nothing_is_at_or_below_a_height_the_smallest_above_it_is_chosen(quality, expected):
    assert choose(TALL_ONLY, Quality(quality)) == expected


@pytest.mark.parametrize(
    ("quality", "expected"),
    [("auto", "h1080 mp4"), ("best", "h2160 mp4"), ("2160p", "h2160 mp4"), ("720p", "h480 mp4"), ("worst", "h480 mp4")],
)
def test_playlists_are_chosen_by_height_too(quality, expected):
    assert choose(PLAYLISTS, Quality(quality)) == expected


@pytest.mark.parametrize(
    ("quality", "expected"),
    [("auto", "v1080 mp4"), ("720p", "v720 mp4"), ("480p", "v360 mp4"), ("best", "v1080 mp4"), ("worst", "v360 mp4")],
)
def test_a_vertical_video_is_measured_on_its_shorter_side(quality, expected):
    assert choose(VERTICAL, Quality(quality)) == expected


@pytest.mark.parametrize("post_processing", PostProcessing)
@pytest.mark.parametrize("quality", Quality)
def test_a_direct_link_of_unknown_height_is_always_taken(quality, post_processing):
    assert choose(DIRECT, quality, post_processing) == "0 mp4"


@pytest.mark.parametrize("post_processing", PostProcessing)
@pytest.mark.parametrize(("quality", "expected"), [("auto", "a320 mp3"), ("720p", "a320 mp3"), ("worst", "a128 mp3")])
def test_a_site_with_audio_only_gives_audio(quality, post_processing, expected):
    assert choose(AUDIO_ONLY, Quality(quality), post_processing) == expected


@pytest.mark.parametrize(
    ("quality", "expected"), [("auto", "vo1080 mp4"), ("720p", "vo720 mp4"), ("worst", "vo720 mp4")]
)
def test_a_site_with_silent_video_only_gives_silent_video(quality, expected):
    assert choose(VIDEO_ONLY, Quality(quality)) == expected


@pytest.mark.parametrize(("quality", "expected"), [("best", "hdr+sound webm"), ("auto", "sdr+sound webm")])
def test_auto_leaves_hdr_to_those_who_ask_for_the_best(quality, expected):
    assert choose(WITH_HDR, Quality(quality)) == expected


@pytest.mark.parametrize(
    ("formats", "quality", "expected"),
    [
        (SEPARATE, "auto", "140 m4a"),
        (SEPARATE, "best", "251 webm"),
        (SEPARATE, "720p", "251 webm"),
        (SEPARATE, "worst", "139 m4a"),
        (TOGETHER, "best", "m360 mp4"),
        (TALL_ONLY, "best", "t720 mp4"),
        (TALL_ONLY, "worst", "t720 mp4"),
        (DUBBED, "worst", "original m4a"),
    ],
)
def test_audio_fetches_no_more_picture_than_it_must(formats, quality, expected):
    assert choose(formats, Quality(quality), PostProcessing.AUDIO) == expected


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        ("auto", "avc1080+140 mp4"),
        ("best", "vp9_2160+140 mkv"),
        ("1080p", "avc1080+140 mp4"),
        ("worst", "avc144+139 mp4"),
    ],
)
def test_mp4_prefers_the_codecs_of_an_mp4_at_the_wanted_height(quality, expected):
    assert choose(SEPARATE, Quality(quality), PostProcessing.MP4) == expected


@pytest.mark.parametrize(
    ("formats", "quality", "expected"),
    [
        (SEPARATE, "best", "avc1080+140 mp4"),
        (SEPARATE, "2160p", "avc1080+140 mp4"),
        (SEPARATE, "480p", "avc480+140 mp4"),
        (SEPARATE, "worst", "avc144+139 mp4"),
        (WITH_HDR, "best", "sdr+sound webm"),
        (FAST, "best", "f30 mp4"),
    ],
)
def test_permute_prefers_what_needs_no_encoding(formats, quality, expected):
    assert choose(formats, Quality(quality), PostProcessing.PERMUTE) == expected


@pytest.mark.parametrize(
    ("video", "audio", "expected"),
    [
        (("avc1.64001f", "mp4"), ("mp4a.40.2", "m4a"), "mp4"),
        (("hvc1.1.6", "mp4"), ("mp4a.40.2", "m4a"), "mp4"),
        (("vp9", "webm"), ("opus", "webm"), "webm"),
        (("vp8", "webm"), ("vorbis", "webm"), "webm"),
        (("avc1.64001f", "mp4"), ("opus", "webm"), "mkv"),
        (("vp9", "webm"), ("mp4a.40.2", "m4a"), "mkv"),
        (("theora", "ogv"), ("dts", "dts"), "mkv"),
    ],
)
def test_every_pair_of_codecs_has_a_container_for_its_merge(video, audio, expected):
    formats = [
        make_format("v", 720, vcodec=video[0], ext=video[1], tbr=900),
        make_format("a", acodec=audio[0], ext=audio[1], tbr=100),
    ]
    assert choose(formats, Quality.BEST) == f"v+a {expected}"


@pytest.mark.parametrize(
    ("quality", "limit", "expected"),
    [
        ("best", 720, "av1_720+251 webm"),
        ("best", 500, "av1_480+251 webm"),
        ("2160p", 1440, "av1_1440+251 webm"),
        ("1080p", 480, "avc480+140 mp4"),
        ("480p", 1080, "avc480+140 mp4"),
        ("auto", 720, "avc720+140 mp4"),
        ("worst", 720, "av1_144+139 mp4"),
        ("best", 100, "av1_144+251 webm"),
    ],
)
def test_the_lower_of_the_quality_and_the_highest_height_counts(quality, limit, expected):
    assert choose(SEPARATE, Quality(quality), max_height=limit) == expected


@pytest.mark.parametrize(
    ("post_processing", "expected"),
    [(PostProcessing.MP4, "avc480+140 mp4"), (PostProcessing.PERMUTE, "avc480+140 mp4")],
)
def test_the_highest_height_holds_for_every_processing_of_a_picture(post_processing, expected):
    assert choose(SEPARATE, Quality.BEST, post_processing, max_height=480) == expected


def test_the_highest_height_is_of_the_shorter_side():
    assert choose(VERTICAL, Quality.BEST, max_height=720) == "v720 mp4"


@pytest.mark.parametrize(
    ("codec", "quality", "expected"),
    [
        ("h264", "1080p", "avc1080+140 mp4"),
        ("vp9", "1080p", "vp9_1080+251 webm"),
        ("av1", "1080p", "av1_1080+251 webm"),
        ("h264", "best", "vp9_2160+140 mkv"),  # the height comes first, and there is no H.264 so tall
        ("vp9", "best", "vp9_2160+251 webm"),
        ("av1", "auto", "av1_1080+251 webm"),
        ("vp9", "worst", "vp9_144+250 webm"),
        ("hevc", "720p", "avc720+140 mp4"),  # there is none: the next older one
    ],
)
def test_a_codec_is_preferred_at_the_wanted_height(codec, quality, expected):
    assert choose(SEPARATE, Quality(quality), video_codec=codec) == expected


def test_hevc_is_found_where_there_is_some():
    assert choose(PLAYLISTS, Quality.BEST, video_codec="hevc") == "h2160 mp4"


def test_vp9_means_hdr_too_where_the_best_is_asked_for():
    assert choose(WITH_HDR, Quality.BEST, video_codec="vp9") == "hdr+sound webm"


def test_a_codec_counts_before_frames_a_second():
    fast_avc = [make_format("avc30", 1080, "avc1.64", "mp4a", fps=30), make_format("vp60", 1080, "vp9", "opus", fps=60)]
    assert choose(fast_avc, Quality.P1080, video_codec="h264") == "avc30 mp4"
    assert choose(fast_avc, Quality.P1080) == "vp60 mp4"


@pytest.mark.parametrize(
    ("container", "quality", "expected"),
    [
        ("mp4", "best", "vp9_2160+140 mkv"),  # remuxed to MP4 afterwards
        ("mp4", "1080p", "avc1080+140 mp4"),
        ("webm", "1080p", "vp9_1080+251 webm"),
        ("webm", "best", "vp9_2160+251 webm"),
        ("mkv", "1080p", "av1_1080+251 mkv"),
        ("mkv", "best", "av1_2160+251 mkv"),
    ],
)
def test_what_a_container_holds_is_preferred_for_it(container, quality, expected):
    assert choose(SEPARATE, Quality(quality), container=container) == expected


def test_webm_takes_av1_before_h264():
    assert choose(AV1_AND_H264, Quality.P720, container="webm") == "av1+sound webm"


@pytest.mark.parametrize("post_processing", [PostProcessing.AUDIO, PostProcessing.MP4, PostProcessing.PERMUTE])
def test_a_container_makes_no_difference_to_what_is_processed_anyway(post_processing):
    assert choose(SEPARATE, Quality.P720, post_processing, container="webm") == choose(
        SEPARATE, Quality.P720, post_processing
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("source", "251 webm"),
        ("m4a", "140 m4a"),
        ("opus", "251 webm"),
        ("mp3", "mp3 mp3"),
        ("flac", "flac flac"),
        ("wav", "flac flac"),
    ],
)
def test_the_source_that_needs_no_encoding_is_preferred_for_a_form_of_sound(wanted, expected):
    lossless = [make_format("flac", acodec="flac", ext="flac", tbr=900)] if wanted in {"flac", "wav"} else []
    songs = [*lossless, make_format("mp3", acodec="mp3", ext="mp3", tbr=128), *SEPARATE]
    assert choose(songs, Quality.BEST, PostProcessing.AUDIO, audio_format=wanted) == expected


def test_a_form_of_sound_makes_no_difference_to_a_video():
    assert choose(SEPARATE, Quality.BEST, audio_format="mp3") == choose(SEPARATE, Quality.BEST)


def test_the_list_of_qualities_is_that_of_the_api_text():
    assert QUALITIES == ("auto", "best", "1080p", "720p", "480p", "360p", "worst")


def test_listed_and_extra_qualities_are_all_there_are():
    assert {*QUALITIES, *EXTRA} == set(Quality)
