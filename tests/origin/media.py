"""The media that the origin serves, made once with ffmpeg and then kept."""

import fcntl
import getpass
import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg
from Cryptodome.Cipher import AES
from Cryptodome.Util.Padding import pad

MARKER = "complete"
SECONDS = 12
LIVE_SECONDS = 60  # then the stream begins again, with a discontinuity
HEIGHTS = (180, 360, 720)
BITRATES = {180: 300, 360: 1800, 720: 3000}  # kbit/s
CODECS = {180: "avc1.42C00D", 360: "avc1.42C01E", 720: "avc1.42C01F"}
KEY = bytes(range(16))
IV = "0f0e0d0c0b0a09080706050403020100"
EXACT = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1"]
FAST_START = ["-movflags", "+faststart"]
AAC = ["-c:a", "aac", "-b:a", "96k"]
TTML = """<?xml version="1.0" encoding="utf-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en"><body><div>
<p begin="00:00:01.000" end="00:00:01.800">word 1</p>
<p begin="00:00:02.000" end="00:00:02.800">word 2</p>
</div></body></tt>
"""


def media_folder() -> Path:
    """Return this user's own folder for the media that this version of the file makes; it may not exist yet."""
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"downie-origin-{getpass.getuser()}-{version}"


def make_media(folder) -> Path:
    """Fill the folder unless it is complete already, and return it.

    Safe in several processes at once: one of them works, the others wait for it. The folder appears whole or not at
    all. It must be missing, empty or made by this function.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / MARKER).exists():
            _make_whole(folder)
    return folder


def _make_whole(folder):
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        work = Path(temporary)
        media = work / "media"
        _make_direct(media / "direct", work)
        _make_hls(media / "hls", work)
        _make_dash(media / "dash", work)
        _make_live(media / "live", work)
        _make_companions(media / "companions", work)
        (media / MARKER).touch()
        os.rename(media, folder)  # noqa: PTH104 - what this module rests on: atomic, and refused for a full folder


def _make_direct(direct, work):
    direct.mkdir(parents=True)
    for height in HEIGHTS:
        _ffmpeg(*_picture(height, SECONDS), *_h264(BITRATES[height]), *FAST_START, work / f"{height}.mp4")
    _ffmpeg(*_tone(SECONDS), *AAC, *FAST_START, direct / "audio.m4a")
    _ffmpeg(*_tone(SECONDS), "-c:a", "libmp3lame", "-b:a", "128k", direct / "audio.mp3")
    _ffmpeg(*_both(work, 360), "-c", "copy", *FAST_START, direct / "video.mp4")
    _ffmpeg(*_picture(180, 2), *_tone(2), *_h264(500), *AAC, *FAST_START, direct / "small.mp4")
    vp9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k"]
    _ffmpeg(*_picture(180, 4), *_tone(4), *vp9, "-c:a", "libopus", direct / "vp9.webm")
    av1 = ["-c:v", "libsvtav1", "-preset", "11", "-crf", "45"]
    _ffmpeg(*_picture(180, 2), *_tone(2), *av1, *AAC, *FAST_START, direct / "av1.mp4")


def _make_hls(hls, work):
    _segment(hls / "plain", *_both(work, 360))
    _make_encrypted(hls / "aes", work, _both(work, 360))
    _make_numbered(hls / "numbered", hls / "plain")
    _make_ranges(hls / "ranges", work)
    for height in HEIGHTS:
        _segment(hls / "multi" / str(height), *_both(work, height))
        _segment(hls / "split" / str(height), *_only_picture(work, height))
    _segment(hls / "split" / "audio", *_only_sound(work))
    _write_master(hls / "multi" / "master.m3u8")
    sound = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="English",LANGUAGE="en",DEFAULT=YES,URI="audio/index.m3u8"'
    _write_master(hls / "split" / "master.m3u8", sound, group=',AUDIO="sound"')


def _make_encrypted(folder, work, streams):
    folder.mkdir(parents=True)
    key = folder / "key.bin"
    key.write_bytes(KEY)
    key_info = work / "key.info"
    key_info.write_text(f"key.bin\n{key}\n{IV}\n")
    _segment(folder, *streams, "-hls_key_info_file", key_info)


def _make_numbered(folder, plain):
    """Encrypted without an IV: the number of each segment is its own."""
    folder.mkdir(parents=True)
    (folder / "key.bin").write_bytes(KEY)
    for number, segment in enumerate(sorted(plain.glob("*.ts"))):
        cipher = AES.new(KEY, AES.MODE_CBC, iv=number.to_bytes(16, "big"))
        (folder / segment.name).write_bytes(cipher.encrypt(pad(segment.read_bytes(), AES.block_size)))
    key = '#EXT-X-KEY:METHOD=AES-128,URI="key.bin"\n#EXTINF'
    (folder / "index.m3u8").write_text((plain / "index.m3u8").read_text().replace("#EXTINF", key, 1))


def _make_ranges(folder, work):
    """One file in parts, each of which begins where the one before it ends, without saying so."""
    _segment(folder, *_both(work, 360), "-hls_flags", "single_file", name="media.ts")
    playlist = folder / "index.m3u8"
    playlist.write_text(re.sub(r"(#EXT-X-BYTERANGE:\d+)@[1-9]\d*", r"\1", playlist.read_text()))


def _segment(folder, *arguments, name="seg%03d.ts"):
    folder.mkdir(parents=True, exist_ok=True)
    vod = ["-c", "copy", "-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod"]
    _ffmpeg(*arguments, *vod, "-hls_segment_filename", folder / name, folder / "index.m3u8")


def _write_master(path, *media_lines, group="", variants=""):
    streams = [f"{_stream_line(height)}{group}\n{variants}{height}/index.m3u8" for height in HEIGHTS]
    path.write_text("\n".join(["#EXTM3U", "#EXT-X-VERSION:3", *media_lines, *streams, ""]))


def _stream_line(height):
    size = f"{height * 16 // 9}x{height}"
    bandwidth = (BITRATES[height] + 150) * 1000
    return (
        f'#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={size},FRAME-RATE=25,CODECS="{CODECS[height]},mp4a.40.2"'
    )


def _make_dash(dash, work):
    dash.mkdir(parents=True)
    pictures = [argument for height in HEIGHTS for argument in ("-i", work / f"{height}.mp4")]
    maps = [argument for number in range(len(HEIGHTS) + 1) for argument in ("-map", f"{number}:0")]
    names = [
        "-init_seg_name",
        "init-$RepresentationID$.m4s",
        "-media_seg_name",
        "seg-$RepresentationID$-$Number%03d$.m4s",
    ]
    sets = ["-adaptation_sets", "id=0,streams=v id=1,streams=a", "-seg_duration", "2"]
    sound = ["-i", work / "media/direct/audio.m4a"]
    _ffmpeg(*pictures, *sound, *maps, "-c", "copy", "-f", "dash", *sets, *names, dash / "manifest.mpd")


def _make_live(live, work):
    reordered = ["-bf", "2", "-x264-params", "b-adapt=0"]  # as broadcasts are: packets in another order than frames
    picture, sound = work / "live.mp4", work / "live.m4a"
    _ffmpeg(*_picture(180, LIVE_SECONDS), *_h264(200), "-preset", "superfast", *reordered, picture)
    _ffmpeg(*_tone(LIVE_SECONDS), *AAC, sound)
    both = ["-i", picture, "-i", sound]
    _segment(live / "plain", *both)
    _make_encrypted(live / "aes", work, both)
    _segment(live / "picture", "-i", picture)
    _segment(live / "sound", "-i", sound)
    sound_line = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="English",DEFAULT=YES,URI="sound/index.m3u8"'
    variant = f'{_stream_line(180)},AUDIO="sound"\npicture/index.m3u8'
    (live / "split.m3u8").write_text(f"#EXTM3U\n#EXT-X-VERSION:3\n{sound_line}\n{variant}\n")


def _make_companions(companions, work):
    """What sites have beside their videos: pictures, subtitles, and sound in more codecs."""
    companions.mkdir(parents=True)
    for name in ("picture.jpg", "picture.png", "picture.webp", "picture.gif"):
        _ffmpeg(*_picture(720, 1), "-frames:v", "1", companions / name)
    _ffmpeg("-f", "lavfi", "-i", "color=size=9000x9000", "-frames:v", "1", companions / "huge.png")
    for name, codec in {"audio.opus": "libopus", "audio.ogg": "libvorbis", "audio.flac": "flac"}.items():
        _ffmpeg(*_tone(2), "-c:a", codec, companions / name)
    (companions / "words.vtt").write_text(f"WEBVTT\n\n{_cues('.')}")
    (companions / "words.srt").write_text(_cues(","))
    (companions / "words.ttml").write_text(TTML)
    _make_subtitled(companions / "hls")


def _make_subtitled(folder):
    """The variants of /hls/multi, with subtitles in three parts."""
    folder.mkdir()
    words = (
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="words",NAME="English",LANGUAGE="en",DEFAULT=YES,URI="words/index.m3u8"'
    )
    _write_master(folder / "master.m3u8", words, group=',SUBTITLES="words"', variants="../../hls/multi/")
    (folder / "words").mkdir()
    playlist = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:4", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for number in range(3):
        cue = f"00:00:{number * 4:02}.500 --> 00:00:{number * 4 + 2:02}.000\npart {number}\n"
        (folder / "words" / f"part{number}.vtt").write_text(
            f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n{cue}"
        )
        playlist += ["#EXTINF:4.0,", f"part{number}.vtt"]
    (folder / "words" / "index.m3u8").write_text("\n".join([*playlist, "#EXT-X-ENDLIST", ""]))


def _cues(mark):
    """One word a second from 1 to 11: `word 1` from 1.0 to 1.8 and so on."""
    return "\n".join(
        f"{second}\n00:00:{second:02}{mark}000 --> 00:00:{second:02}{mark}800\nword {second}\n"
        for second in range(1, 12)
    )


def _picture(height, seconds):
    source = f"testsrc2=size={height * 16 // 9}x{height}:rate=25:duration={seconds}"
    return ["-f", "lavfi", "-i", f"{source},noise=alls=12:allf=t:all_seed=7"]


def _tone(seconds):
    tone = f"sine=frequency=440:sample_rate=44100:duration={seconds}"
    return ["-f", "lavfi", "-i", f"{tone},volume=0.5"]


def _h264(kilobits):
    rate = ["-b:v", f"{kilobits}k"]  # with a buffer size, x264's threads would make another file each time
    key_frames = ["-g", "25", "-keyint_min", "25", "-sc_threshold", "0"]
    return ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", *rate, *key_frames]


def _only_picture(work, height):
    return ["-i", work / f"{height}.mp4"]


def _only_sound(work):
    return ["-i", work / "media/direct/audio.m4a"]


def _both(work, height):
    return [*_only_picture(work, height), *_only_sound(work), "-map", "0:v", "-map", "1:a"]


def _ffmpeg(*arguments):
    *rest, output = arguments
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *rest, *EXACT, output]
    subprocess.run(command, check=True, env={**os.environ, "SVT_LOG": "1"})
