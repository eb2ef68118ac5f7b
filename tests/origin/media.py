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
HEIGHTS = (180, 360, 720)
BITRATES = {180: 300, 360: 1800, 720: 3000}  # kbit/s
CODECS = {180: "avc1.42C00D", 360: "avc1.42C01E", 720: "avc1.42C01F"}
KEY = bytes(range(16))
IV = "0f0e0d0c0b0a09080706050403020100"
EXACT = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1"]
FAST_START = ["-movflags", "+faststart"]
AAC = ["-c:a", "aac", "-b:a", "96k"]


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
    _make_encrypted(hls / "aes", work)
    _make_numbered(hls / "numbered", hls / "plain")
    _make_ranges(hls / "ranges", work)
    for height in HEIGHTS:
        _segment(hls / "multi" / str(height), *_both(work, height))
        _segment(hls / "split" / str(height), *_only_picture(work, height))
    _segment(hls / "split" / "audio", *_only_sound(work))
    _write_master(hls / "multi" / "master.m3u8")
    sound = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="English",LANGUAGE="en",DEFAULT=YES,URI="audio/index.m3u8"'
    _write_master(hls / "split" / "master.m3u8", sound, audio_group=',AUDIO="sound"')


def _make_encrypted(folder, work):
    folder.mkdir(parents=True)
    key = folder / "key.bin"
    key.write_bytes(KEY)
    key_info = work / "key.info"
    key_info.write_text(f"key.bin\n{key}\n{IV}\n")
    _segment(folder, *_both(work, 360), "-hls_key_info_file", key_info)


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


def _write_master(path, *media_lines, audio_group=""):
    variants = [f"{_stream_line(height)}{audio_group}\n{height}/index.m3u8" for height in HEIGHTS]
    path.write_text("\n".join(["#EXTM3U", "#EXT-X-VERSION:3", *media_lines, *variants, ""]))


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
