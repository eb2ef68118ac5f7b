"""The wanted file: planned without running anything, then made by a real ffmpeg on tiny media."""

import dataclasses
import os
import subprocess
from itertools import pairwise

import psutil
import pytest

from downloads.engine import messages
from downloads.engine.choices import AudioFormat, Container
from downloads.engine.encoders import Encoder, why_not
from downloads.engine.ffmpeg import FfmpegFailed, Media, Stream, Toolbox, probe
from downloads.engine.formats import PostProcessing
from downloads.engine.plans import Details, ProcessingFailed, plan
from downloads.engine.postprocessing import process
from tests.jobs import heard
from tests.waiting import wait_until

AUDIO, MP4, PERMUTE = PostProcessing.AUDIO, PostProcessing.MP4, PostProcessing.PERMUTE

VIDEO = Stream(
    index=0,
    kind="video",
    codec="h264",
    tag="avc1",
    profile="High",
    level=40,
    pix_fmt="yuv420p",
    width=1920,
    height=1080,
    fps=30.0,
)
SOUND = Stream(index=1, kind="audio", codec="aac", profile="LC", channels=2, sample_rate=44100)
FINISHED = Media(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    extension="mp4",
    duration=10.0,
    size=1000,
    streams=(VIDEO, SOUND),
    brand="isom",
    boxes=("ftyp", "moov", "mdat"),
)
FAST_START = "-sn -dn -movflags +faststart"

PICTURE = ("-f", "lavfi", "-i", "testsrc=d=0.5:s=160x120:r=10")
TONE = ("-f", "lavfi", "-i", "sine=d=0.5")
STEREO_AAC = ("-c:a", "aac", "-ac", "2")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def having(media=FINISHED, *, video=None, sound=None, **changes):
    """A medium like `media`, with other features of its streams or of itself."""
    streams = (dataclasses.replace(VIDEO, **(video or {})), dataclasses.replace(SOUND, **(sound or {})))
    return dataclasses.replace(media, **{"streams": streams, **changes})


def as_text(work):
    return " ".join(work.arguments)


@pytest.fixture
def make(tools, tmp_path):
    """Make a source with ffmpeg."""

    def run(name, *arguments):
        path = tmp_path / name
        subprocess.run([tools.ffmpeg, "-v", "error", "-nostdin", *arguments, f"file:{path}"], check=True)
        return path

    return run


@pytest.fixture
def convert(tools):
    """Process a source and say what became of it."""

    def run(source, wanted):
        result = process(source, wanted, tools, on_progress=lambda _: None)
        return probe(tools, result, timeout=10)

    return run


def packets(tools, path, stream):
    """A checksum over a stream's packets: the same before and after, where it was copied."""
    command = [tools.ffmpeg, "-v", "error", "-i", path, "-map", f"0:{stream}:0", "-c", "copy", "-f", "md5", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def probe_codecs(convert, source, wanted):
    return [stream.codec for stream in convert(source, wanted).streams]


# ---- Planned


@pytest.mark.parametrize("wanted", [PostProcessing.NONE, MP4, PERMUTE])
def test_what_is_finished_already_needs_no_plan(wanted):
    assert plan(FINISHED, wanted) is None


@pytest.mark.parametrize("wanted", [MP4, PERMUTE])
@pytest.mark.parametrize(
    "changes",
    [
        {"boxes": ("ftyp", "mdat")},
        {"boxes": ("ftyp", "moov", "moof", "mdat")},
        {"container": "matroska,webm", "extension": "mkv", "boxes": (), "brand": ""},
        {"brand": "qt"},
        {"extension": "m4v"},
    ],
)
def test_good_streams_in_another_container_are_only_copied(wanted, changes):
    work = plan(having(**changes), wanted)
    assert (work.extension, work.encodes) == ("mp4", False)
    assert as_text(work).startswith("-map 0:0 -map 0:1 -c:v copy -c:a")


@pytest.mark.parametrize("codec", ["h264", "av1", "vp9", "mpeg4"])
@pytest.mark.parametrize("sound", ["aac", "mp3", "opus", "ac3", "eac3", "alac", "flac"])
def test_an_mp4_of_codecs_that_belong_there_is_left_alone(codec, sound):
    assert plan(having(video={"codec": codec}, sound={"codec": sound}), MP4) is None


def test_hevc_is_tagged_the_way_that_apple_reads():
    tagged = plan(having(video={"codec": "hevc", "tag": "hev1"}), MP4)
    assert as_text(tagged) == f"-map 0:0 -map 0:1 -c:v copy -tag:v hvc1 -c:a:0 copy {FAST_START}"


def test_hevc_that_is_tagged_so_is_left_alone():
    assert plan(having(video={"codec": "hevc", "tag": "hvc1"}), MP4) is None


@pytest.mark.parametrize(
    ("features", "video", "sound"),
    [
        ({"video": {"codec": "vp8"}}, "libx264", "copy"),
        ({"sound": {"codec": "vorbis"}}, "copy", "aac"),
        ({"video": {"codec": "theora"}, "sound": {"codec": "dts"}}, "libx264", "aac"),
    ],
)
def test_for_an_mp4_only_the_offending_stream_is_encoded(features, video, sound):
    work = plan(having(**features), MP4)
    assert (f"-c:v {video}" in as_text(work), f"-c:a:0 {sound}" in as_text(work), work.encodes) == (True, True, True)


def test_an_mp4_keeps_every_sound_track():
    second = Stream(index=2, kind="audio", codec="vorbis")
    work = plan(dataclasses.replace(FINISHED, streams=(VIDEO, SOUND, second)), MP4)
    assert "-map 0:2 -c:v copy -c:a:0 copy -c:a:1 aac -b:a:1 192k" in as_text(work)


def test_covers_subtitles_and_data_do_not_disturb_a_finished_file():
    cover = Stream(index=2, kind="video", codec="png", is_attached_picture=True)
    chapters = Stream(index=3, kind="data", codec="bin_data")
    assert plan(dataclasses.replace(FINISHED, streams=(VIDEO, SOUND, cover, chapters)), PERMUTE) is None


@pytest.mark.parametrize(
    "video",
    [
        {"codec": "hevc"},
        {"profile": "High 10"},
        {"profile": "High 4:2:2"},
        {"pix_fmt": "yuv420p10le"},
        {"pix_fmt": "yuvj420p"},
        {"pix_fmt": "yuv444p"},
        {"level": 51},
        {"level": 0},
        {"width": 3840, "height": 2160},
        {"width": 2560, "height": 1080},
        {"width": 1440, "height": 2560},
        {"fps": 60.0},
        {"fps": 30.2},
    ],
)
def test_permute_encodes_a_picture_that_does_not_play_everywhere_and_copies_the_sound(video):
    work = plan(having(video=video), PERMUTE)
    assert ("-c:v libx264" in as_text(work), "-c:a copy" in as_text(work), work.encodes) == (True, True, True)


@pytest.mark.parametrize(
    "video",
    [
        {"profile": "Constrained Baseline", "level": 9},
        {"profile": "Main", "level": 42},
        {"width": 1080, "height": 1920},
        {"width": 720, "height": 720},
        {"fps": 23.976},
        {"fps": 30.05},
        {"fps": 0.0},
    ],
)
def test_permute_leaves_a_picture_alone_that_plays_everywhere(video):
    assert plan(having(video=video), PERMUTE) is None


@pytest.mark.parametrize("sound", [{"codec": "opus"}, {"profile": "HE-AAC"}, {"channels": 6}, {"channels": 1}])
def test_permute_encodes_sound_that_is_not_plain_stereo_and_copies_the_picture(sound):
    work = plan(having(sound=sound), PERMUTE)
    assert as_text(work) == f"-map 0:0 -map 0:1 -c:v copy -c:a aac -b:a 160k -ac 2 {FAST_START}"


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (60.0, "fps=30,"),
        (60000 / 1001, "fps=30000/1001,"),
        (50.0, "fps=25,"),
        (48.0, "fps=24,"),
        (48000 / 1001, "fps=24000/1001,"),
        (120.0, "fps=30,"),
        (31.4, "fps=30,"),
        (45.0, "fps=30,"),
    ],
)
def test_frames_are_left_out_at_a_steady_beat(fps, expected):
    assert f"-vf {expected}scale" in as_text(plan(having(video={"fps": fps}), PERMUTE))


@pytest.mark.parametrize("fps", [10.0, 25.0, 30.0, 0.0])
def test_a_slow_picture_keeps_its_rate(fps):
    assert "fps=" not in as_text(plan(having(video={"fps": fps, "codec": "vp9"}), PERMUTE))


@pytest.mark.parametrize(("transfer", "is_mapped"), [("smpte2084", True), ("arib-std-b67", True), ("bt709", False)])
def test_hdr_is_mapped_to_what_eight_bits_can_show(transfer, is_mapped):
    work = plan(having(video={"transfer": transfer, "pix_fmt": "yuv420p10le"}), PERMUTE)
    assert (f"zscale=tin={transfer}" in as_text(work)) is is_mapped


@pytest.mark.parametrize(
    ("codec", "extension"),
    [("aac", "m4a"), ("alac", "m4a"), ("opus", "opus"), ("mp3", "mp3"), ("vorbis", "ogg"), ("flac", "flac")],
)
def test_audio_is_copied_into_the_container_where_its_codec_is_at_home(codec, extension):
    work = plan(having(sound={"codec": codec}), AUDIO)
    assert (work.extension, work.encodes, "-map 0:1 -c:a copy" in as_text(work)) == (extension, False, True)


@pytest.mark.parametrize("codec", ["ac3", "wmav2", "pcm_s16le", ""])
def test_audio_of_any_other_codec_becomes_aac(codec):
    work = plan(having(sound={"codec": codec}), AUDIO)
    assert (work.extension, work.encodes) == ("m4a", True)
    assert as_text(work) == "-map 0:1 -c:a aac -b:a 192k -movflags +faststart"


@pytest.mark.parametrize(
    ("codec", "container", "extension"),
    [
        ("aac", "mov,mp4,m4a,3gp,3g2,mj2", "m4a"),
        ("opus", "ogg", "opus"),
        ("mp3", "mp3", "mp3"),
        ("vorbis", "ogg", "ogg"),
        ("flac", "flac", "flac"),
    ],
)
def test_pure_audio_in_its_own_container_is_left_alone_with_its_cover(codec, container, extension):
    cover = Stream(index=0, kind="video", codec="mjpeg", is_attached_picture=True)
    streams = (cover, dataclasses.replace(SOUND, codec=codec))
    song = dataclasses.replace(FINISHED, container=container, extension=extension, streams=streams)
    assert plan(song, AUDIO) is None


@pytest.mark.parametrize(
    ("container", "extension"), [("aac", "aac"), ("mov,mp4,m4a,3gp,3g2,mj2", "mp4"), ("matroska,webm", "m4a")]
)
def test_pure_audio_elsewhere_or_under_another_name_is_moved_over(container, extension):
    song = dataclasses.replace(FINISHED, container=container, extension=extension, streams=(SOUND,))
    assert (plan(song, AUDIO).extension, plan(song, AUDIO).encodes) == ("m4a", False)


def test_audio_of_a_silent_video_is_an_error_that_says_so():
    with pytest.raises(ProcessingFailed, match="has no sound"):
        plan(dataclasses.replace(FINISHED, streams=(VIDEO,)), AUDIO)


@pytest.mark.parametrize("wanted", [AUDIO, MP4, PERMUTE])
def test_without_copying_everything_is_encoded(wanted):
    work = plan(FINISHED, wanted, copying=False)
    assert (work.encodes, "copy" in work.arguments) == (True, False)


FORMS = {"m4a": "aac", "mp3": "libmp3lame", "opus": "libopus", "flac": "flac", "wav": "pcm_s16le"}


@pytest.mark.parametrize(("wanted", "encoder"), FORMS.items())
def test_a_form_of_sound_is_encoded_where_the_codec_is_another(wanted, encoder):
    work = plan(having(sound={"codec": "vorbis"}), AUDIO, Details(audio_format=AudioFormat(wanted)))
    assert (work.extension, work.encodes, f"-c:a {encoder}" in as_text(work)) == (wanted, True, True)


@pytest.mark.parametrize(
    ("wanted", "codec"),
    [("m4a", "aac"), ("m4a", "alac"), ("mp3", "mp3"), ("opus", "opus"), ("flac", "flac"), ("wav", "pcm_s24le")],
)
def test_a_form_of_sound_is_copied_where_the_codec_is_that_already(wanted, codec):
    work = plan(having(sound={"codec": codec, "bits": 24}), AUDIO, Details(audio_format=AudioFormat(wanted)))
    assert (work.extension, work.encodes, "-c:a copy" in as_text(work)) == (wanted, False, True)


@pytest.mark.parametrize(
    ("wanted", "bits", "expected"),
    [("flac", 24, "s32"), ("flac", 16, "s16"), ("flac", 0, "s16"), ("wav", 24, "pcm_s24le"), ("wav", 0, "pcm_s16le")],
)
def test_lossless_sound_keeps_its_depth_and_no_other_gets_more_than_a_cd(wanted, bits, expected):
    work = plan(having(sound={"codec": "alac", "bits": bits}), AUDIO, Details(audio_format=AudioFormat(wanted)))
    assert expected in work.arguments


@pytest.mark.parametrize(
    ("container", "features", "video", "sound"),
    [
        ("webm", {"video": {"codec": "vp9"}, "sound": {"codec": "opus"}}, "copy", "copy"),
        ("webm", {"video": {"codec": "av1"}, "sound": {"codec": "aac"}}, "copy", "libopus"),
        ("webm", {"video": {"codec": "h264"}, "sound": {"codec": "vorbis"}}, "libvpx-vp9", "copy"),
        ("mkv", {"video": {"codec": "theora"}, "sound": {"codec": "dts"}}, "copy", "copy"),
    ],
)
def test_for_a_container_only_what_it_does_not_hold_is_encoded(container, features, video, sound):
    work = plan(having(**features), PostProcessing.NONE, Details(container=Container(container)))
    assert work.extension == container
    assert [f"-c:v{end} {video}" in as_text(work) for end in ("", ":0")].count(True) == 1
    assert f"-c:a:0 {sound}" in as_text(work)


@pytest.mark.parametrize(
    ("container", "changes"),
    [
        ("mp4", {}),
        ("mkv", {"extension": "mkv", "container": "matroska,webm"}),
        ("webm", {"extension": "webm", "video": {"codec": "vp9"}, "sound": {"codec": "opus"}}),
    ],
)
def test_what_is_in_its_container_already_is_left_alone(container, changes):
    assert plan(having(**changes), PostProcessing.NONE, Details(container=Container(container))) is None


@pytest.mark.parametrize("container", ["mp4", "mkv", "webm"])
def test_a_container_is_for_a_video_and_not_for_sound(container):
    song = dataclasses.replace(FINISHED, extension="m4a", streams=(SOUND,))
    assert plan(song, PostProcessing.NONE, Details(container=Container(container))) is None


@pytest.mark.parametrize("wanted", [AUDIO, PERMUTE])
def test_a_container_makes_no_difference_to_what_is_processed(wanted):
    assert plan(FINISHED, wanted, Details(container=Container.WEBM)) == plan(FINISHED, wanted)


# ---- Made


def test_matroska_keeps_every_sound_track_and_the_subtitles(make, tools, tmp_path):
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:00,400\nHello\n")
    tracks = ("-map", "0", "-map", "1", "-map", "1", "-map", "2")
    source = make("media.mp4", *PICTURE, *TONE, "-i", str(words), *tracks, *H264, *STEREO_AAC, "-c:s", "mov_text")
    details = Details(container=Container.MKV)
    result = process(source, PostProcessing.NONE, tools, on_progress=lambda _: None, details=details)
    kinds = [stream.codec for stream in probe(tools, result, timeout=10).streams]
    assert (result.name, kinds) == ("processed.mkv", ["h264", "aac", "aac", "subrip"])
    assert [packets(tools, result, kind) for kind in "va"] == [packets(tools, source, kind) for kind in "va"]


@pytest.mark.parametrize("wanted", FORMS)
def test_surround_sound_becomes_every_form(make, tools, wanted):
    layout = "anullsrc=d=0.5:cl=5.1(side)"
    source = make("media.mkv", "-f", "lavfi", "-i", layout, "-c:a", "ac3")
    details = Details(audio_format=AudioFormat(wanted))
    result = process(source, AUDIO, tools, on_progress=lambda _: None, details=details)
    media = probe(tools, result, timeout=10)
    assert (media.extension, media.audios[0].channels) == (wanted, 2 if wanted == "mp3" else 6)


def test_nothing_wanted_means_nothing_touched(tools, tmp_path):
    source = tmp_path / "media.bin"
    assert process(source, PostProcessing.NONE, tools, on_progress=lambda _: None) == source


@pytest.mark.parametrize("wanted", [MP4, PERMUTE])
def test_a_finished_file_is_given_back_itself(make, tools, wanted):
    source = make("media.mp4", *PICTURE, *TONE, *H264, *STEREO_AAC, "-movflags", "+faststart")
    assert process(source, wanted, tools, on_progress=lambda _: None) == source


@pytest.mark.parametrize("wanted", [MP4, PERMUTE])
def test_good_streams_are_copied_bit_by_bit(make, tools, tmp_path, wanted):
    source = make("media.mkv", *PICTURE, *TONE, *H264, *STEREO_AAC)
    result = process(source, wanted, tools, on_progress=lambda _: None)
    assert result == tmp_path / "processed.mp4"
    assert probe(tools, result, timeout=10).is_fast_start
    assert [packets(tools, result, kind) for kind in "va"] == [packets(tools, source, kind) for kind in "va"]
    assert names_in(tmp_path) == ["media.mkv", "processed.mp4"]


@pytest.mark.parametrize(
    ("video", "sound"),
    [
        ("libx264", "libmp3lame"),
        ("libx265", "libopus"),
        ("libsvtav1", "ac3"),
        ("libvpx-vp9", "flac"),
        ("mpeg4", "alac"),
    ],
)
def test_every_codec_of_the_list_really_fits_into_an_mp4(make, convert, video, sound):
    source = make("media.mkv", *PICTURE, *TONE, "-c:v", video, "-pix_fmt", "yuv420p", "-c:a", sound)
    assert probe_codecs(convert, source, MP4) == probe_codecs(convert, source, PostProcessing.NONE)


def test_hevc_in_an_mp4_gets_the_tag_that_apple_reads(make, convert):
    source = make("media.mp4", *PICTURE, "-c:v", "libx265", "-x265-params", "log-level=error", "-tag:v", "hev1")
    assert convert(source, MP4).streams[0].tag == "hvc1"


def test_what_does_not_belong_into_an_mp4_is_encoded_and_the_rest_copied(make, tools):
    source = make("media.webm", *PICTURE, *TONE, "-c:v", "libvpx", "-c:a", "libopus")
    result = process(source, MP4, tools, on_progress=lambda _: None)
    assert [stream.codec for stream in probe(tools, result, timeout=10).streams] == ["h264", "opus"]
    assert packets(tools, result, "a") == packets(tools, source, "a")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("321x241", (320, 240)),
        ("2160x1200", (1920, 1066)),
        ("1200x2160", (1066, 1920)),
        ("2560x1080", (1920, 810)),
        ("1300x1300", (1080, 1080)),
    ],
)
def test_permute_fits_the_picture_into_full_hd_with_even_sides(make, convert, size, expected):
    source = make("media.mkv", "-f", "lavfi", "-i", f"color=d=0.2:s={size}:r=5", "-pix_fmt", "yuv444p", "-c:v", "ffv1")
    video = convert(source, PERMUTE).videos[0]
    assert (video.width, video.height, video.codec, video.profile, video.pix_fmt) == (
        *expected,
        "h264",
        "High",
        "yuv420p",
    )


def test_permute_halves_sixty_frames_and_makes_stereo_of_surround(make, convert):
    surround = ("-f", "lavfi", "-i", "anullsrc=d=0.5:cl=5.1")
    source = make("media.mkv", "-f", "lavfi", "-i", "testsrc=d=0.5:s=160x120:r=60", *surround, *H264, "-c:a", "ac3")
    media = convert(source, PERMUTE)
    video, sound = media.streams
    assert (round(video.fps, 2), sound.codec, sound.profile, sound.channels) == (30.0, "aac", "LC", 2)
    assert media.is_fast_start


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_permute_makes_eight_bits_of_hdr(make, convert, transfer):
    tags = f"log-level=error:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    source = make("media.mkv", *PICTURE, "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", tags)
    video = convert(source, PERMUTE).videos[0]
    assert (video.codec, video.pix_fmt, video.transfer) == ("h264", "yuv420p", "bt709")


def test_permute_makes_the_usual_range_of_a_full_one(make, convert):
    source = make("media.mp4", *PICTURE, "-c:v", "libx264", "-pix_fmt", "yuvj420p")
    assert convert(source, PERMUTE).videos[0].pix_fmt == "yuv420p"


def test_a_rotated_video_comes_out_upright(make, convert, tmp_path):
    flat = make(
        "flat.mp4", "-f", "lavfi", "-i", "testsrc=d=0.3:s=160x90:r=10", "-c:v", "libx265", "-pix_fmt", "yuv420p"
    )
    source = make("media.mp4", "-display_rotation", "90", "-i", str(flat), "-c", "copy")
    video = convert(source, PERMUTE).videos[0]
    assert (video.width, video.height) == (90, 160)


def test_an_uneven_rate_keeps_its_length(make, convert):
    picture = ("-f", "lavfi", "-i", "testsrc=d=1:s=160x120:r=10")
    pause = ("-vf", "setpts='(N/10+if(lt(N,3),0,2))/TB'", "-fps_mode", "vfr")
    source = make("media.mkv", *picture, *pause, "-c:v", "libvpx-vp9")
    assert convert(source, PERMUTE).duration == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("media.mp4", "aac", ("processed.m4a", "aac")),
        ("media.webm", "libopus", ("processed.opus", "opus")),
        ("media.mkv", "libmp3lame", ("processed.mp3", "mp3")),
        ("media.webm", "libvorbis", ("processed.ogg", "vorbis")),
        ("media.mkv", "flac", ("processed.flac", "flac")),
        ("media.mkv", "ac3", ("processed.m4a", "aac")),
    ],
)
def test_the_sound_alone_lands_in_its_own_container_with_its_title(make, tools, name, codec, expected):
    source = make(name, *PICTURE, *TONE, "-c:a", codec, "-metadata", "title=Ode to Joy")
    result = process(source, AUDIO, tools, on_progress=lambda _: None)
    streams = probe(tools, result, timeout=10).streams
    assert (result.name, *(stream.codec for stream in streams)) == expected
    assert b"Ode to Joy" in result.read_bytes()


def test_sound_that_can_be_copied_is_copied_bit_by_bit(make, tools):
    source = make("media.mp4", *PICTURE, *TONE, *STEREO_AAC)
    result = process(source, AUDIO, tools, on_progress=lambda _: None)
    assert packets(tools, result, "a") == packets(tools, source, "a")


def test_a_song_without_a_picture_becomes_an_mp4_too(make, convert):
    assert probe_codecs(convert, make("media.ogg", *TONE, "-c:a", "libvorbis"), PERMUTE) == ["aac"]


def test_where_a_copy_fails_everything_is_encoded(make, convert):
    # ffmpeg refuses to put MP3 below 16 kHz into an MP4.
    source = make("media.mkv", *PICTURE, *TONE, *H264, "-c:a", "libmp3lame", "-ar", "8000")
    assert probe_codecs(convert, source, MP4) == ["h264", "aac"]


def test_progress_runs_from_nothing_to_the_whole(make, tools):
    source = make("media.mkv", *PICTURE, *TONE, "-c:v", "ffv1")
    told = []
    process(source, PERMUTE, tools, on_progress=told.append)
    assert (told[-1], all(earlier <= later for earlier, later in pairwise(told))) == (1.0, True)


def test_leftovers_are_removed_first(make, tools, tmp_path):
    source = make("media.mkv", *PICTURE, *H264)
    (tmp_path / "processing.mp4").write_text("half")
    (tmp_path / "processed.m4a").write_text("of another attempt")
    process(source, MP4, tools, on_progress=lambda _: None)
    assert names_in(tmp_path) == ["media.mkv", "processed.mp4"]


def test_a_conversion_that_is_interrupted_leaves_nothing_behind(make, tools, tmp_path):
    source = make("media.mkv", *PICTURE, *H264)

    def interrupt(_fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process(source, MP4, tools, on_progress=interrupt)
    assert names_in(tmp_path) == ["media.mkv"]


def test_an_ffmpeg_that_fails_is_told_with_what_it_said(make, tools, tmp_path):
    source = make("media.mkv", *PICTURE, *H264)
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'No space left on device' >&2; exit 1\n")
    broken.chmod(0o755)
    with pytest.raises(ProcessingFailed, match="could not convert") as caught:
        process(source, MP4, Toolbox(broken, tools.ffprobe, tmp_path), on_progress=lambda _: None)
    assert (caught.value.detail, type(caught.value.__cause__)) == ("No space left on device", FfmpegFailed)


def test_an_empty_success_of_ffmpeg_is_no_success(make, tools, tmp_path):
    source = make("media.mkv", *PICTURE, *H264)
    lying = tmp_path / "lying"
    lying.write_text('#!/bin/sh\nfor last; do :; done; : > "${last#file:}"\n')
    lying.chmod(0o755)
    with pytest.raises(ProcessingFailed):
        process(source, MP4, Toolbox(lying, tools.ffprobe, tmp_path), on_progress=lambda _: None)
    assert not (tmp_path / "processed.mp4").exists()


@pytest.mark.parametrize("wanted", [AUDIO, MP4, PERMUTE])
def test_a_playlist_under_the_name_of_a_video_is_refused(tools, tmp_path, wanted):
    source = tmp_path / "media.mp4"
    source.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    with pytest.raises(ProcessingFailed, match="not a video or audio file"):
        process(source, wanted, tools, on_progress=lambda _: None)


# Hardware


@pytest.mark.parametrize("encoder", [encoder for encoder in Encoder if encoder is not Encoder.SOFTWARE])
def test_hardware_encodes_what_has_to_be_encoded_and_nothing_else(encoder):
    details = Details(encoder=encoder)

    assert plan(FINISHED, PostProcessing.MP4, details) == plan(FINISHED, PostProcessing.MP4)
    arguments = plan(having(video={"codec": "mpeg2video"}), PostProcessing.MP4, details).arguments
    assert f"h264_{encoder}" in arguments
    assert "libx264" not in arguments


def test_hardware_that_fails_leaves_the_work_to_the_processor(make, tools):
    """Nvidia's is not here: that it fails is real."""
    source = make("media.avi", *PICTURE, "-c:v", "mpeg4")

    made = process(source, PERMUTE, tools, on_progress=print, details=Details(encoder=Encoder.NVENC))

    assert probe(tools, made, timeout=20).videos[0].codec == "h264"


def test_what_speaks_against_an_encoder_is_found_out_first(tools):
    assert why_not(Encoder.SOFTWARE, tools) == ""
    assert why_not(Encoder.NVENC, tools) != ""


def test_whoever_wants_hardware_that_is_not_here_is_told_so(jobs, origin):
    outcome = jobs.run(origin.url("/direct/vp9.webm"), post_processing="permute", encoder="nvenc")

    assert outcome.media.videos[0].codec == "h264"
    (note,) = outcome.done.notes
    assert note.startswith("Encoded by the processor: the encoder nvenc cannot be used here. ")


# The processor is for downloads first


def test_a_conversion_is_nicer_than_a_download(jobs, origin):
    child, _folder = jobs.start(origin.url("/direct/vp9.webm"), post_processing="permute")
    process, usual = psutil.Process(child.pid), os.getpriority(os.PRIO_PROCESS, 0)
    try:
        events = heard(child)
        next(event for event in events if isinstance(event, messages.Found))
        assert process.nice() == usual
        next(event for event in events if isinstance(event, messages.Processing))
        wait_until(lambda: process.nice() == usual + 10)
    finally:
        child.stop()
