"""The files that are downloaded, made once: media of exact sizes, and a stream of 200 segments."""

import os
import struct
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg

MIB = 1024 * 1024
FILES = {"1MiB.mp4": MIB, "64MiB.mp4": 64 * MIB, "1GiB.mp4": 1024 * MIB}
SEGMENTS, SEGMENT = 200, 256 * 1024 // 188 * 188  # of whole packets
PICTURE = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25,noise=alls=60:allf=t", "-f", "lavfi", "-i", "sine"]
STEADY = ["-b:v", "7M", "-minrate", "7M", "-maxrate", "7M", "-bufsize", "2M", "-nal-hrd", "cbr", "-g", "25"]


def folder() -> Path:
    """Where they are; made now, if they are not there yet."""
    place = Path(tempfile.gettempdir()) / "downie-benchmarks"
    if not (place / "complete").exists():
        _make(place)
        (place / "complete").touch()
    return place


def _make(place):
    (place / "hls").mkdir(parents=True, exist_ok=True)
    _ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-t", "2", "-c:v", "libx264", place / "seed.mp4")
    for name, size in FILES.items():
        _fill(place / "seed.mp4", place / name, size)
    _ffmpeg(*PICTURE, "-t", "62", "-c:v", "libx264", "-preset", "ultrafast", *STEADY, "-c:a", "aac", place / "all.ts")
    stream = (place / "all.ts").read_bytes()
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for number in range(SEGMENTS):
        (place / "hls" / f"{number}.ts").write_bytes(stream[number * SEGMENT : (number + 1) * SEGMENT])
        lines += ["#EXTINF:0.3,", f"{number}.ts?delay=0.05"]
    (place / "hls" / "index.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))


def _fill(seed, file, size):
    """A video followed by a box of random bytes that players skip, so that the file has this size."""
    video = seed.read_bytes()
    rest = size - len(video)
    with file.open("wb") as stream:
        stream.write(video)
        stream.write(struct.pack(">I4sQ", 1, b"free", rest))
        for position in range(16, rest, MIB):
            stream.write(os.urandom(min(MIB, rest - position)))


def _ffmpeg(*arguments):
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
    subprocess.run([*program, *map(str, arguments)], check=True)
