"""On what a run was made: nothing by which one could find the machine."""

import os
import platform
import re
import shutil
import sqlite3
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import imageio_ffmpeg
import psutil

from benchmarks.bench import CURL


def machine():
    """What it has and what runs on it, each as text by its name."""
    facts = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 1024**3:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "yt-dlp": version("yt-dlp"),
        "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
    }
    if shutil.which(CURL[0]):
        said = subprocess.run([CURL[0], "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
        facts["curl"] = said.split()[1]
    return facts


def _processor():
    with suppress(OSError):
        if found := re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
            return found[1]
    return platform.processor() or platform.machine()
