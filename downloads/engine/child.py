"""The process that runs yt-dlp for one job, and nothing else. It knows no Django, no database and no other job.

It leads its own session and process group, holds the lock of the task's folder for as long as it lives, lets Python's
sockets reach only what the address policy allows, and dies with its parent.
"""

import contextlib
import os
import resource
import select
import signal
import socket
import tempfile
import threading
from ipaddress import ip_network
from pathlib import Path

from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor

from downloads.engine import cures, inherited, messages
from downloads.engine.download import Download
from downloads.engine.egress import address_of
from downloads.engine.errors import Failure, Phase, Reason
from downloads.engine.folders import FolderBusy, folder_lock
from downloads.engine.lookup import LookUp
from downloads.engine.network import AddressPolicy, install_guard

LEASH_LIMIT = 15.0  # seconds without a word from the parent until the child kills its own group
LOCK_LIMIT = 25.0  # seconds to wait for a predecessor to let go of the folder: longer than its leash
OPEN_FILES = 512
CPU_SECONDS = 12 * 3600  # of one process: a conversion may take hours, a loop without end does not run for days


class Stopped(KeyboardInterrupt):
    """TERM came. yt-dlp's threads end cleanly on a KeyboardInterrupt and on nothing else."""


def prepare() -> None:
    """Do in the fork server, once, what every child needs: the cures, and what is the same in each."""
    cures.apply()
    with (
        tempfile.TemporaryDirectory() as home,
        cures.CappedYoutubeDL({"quiet": True, "cachedir": False, "paths": {"home": home}}) as ydl,
    ):
        FFmpegPostProcessor(ydl)._versions  # noqa: B018, SLF001  fills a cache
        inherited.make_all(ydl)


def main(connection: socket.socket) -> int:
    """Read the job, do it, say how it went; the exit status of the process."""
    connection.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _raise_stopped)
    try:
        job = messages.read_job(connection)
        _limit_resources(job.memory_limit)
        finish = threading.Event()
        cures.share.rate = job.share if isinstance(job, messages.Job) else 0
        threading.Thread(target=_leash, args=(connection, finish), name="leash", daemon=True).start()
        speaker = Speaker(connection)
        with folder_lock(Path(job.folder), LOCK_LIMIT):
            policy = AddressPolicy(tuple(ip_network(text) for text in job.allowed_networks))
            guard = install_guard(policy, address_of(job.egress))
            cures.use_egress(job.egress)
            if isinstance(job, messages.Job):
                Download(job, speaker.say, guard, finish).run()
            else:
                LookUp(job, speaker.say, guard).run()
    except FolderBusy:
        speaker.say(messages.Failed(failure=Failure(reason=Reason.KILLED, phase=Phase.LOOKUP, detail="folder busy")))
    except (Stopped, EOFError, BrokenPipeError, ConnectionResetError):
        return 0
    return 0


def _raise_stopped(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the way out must not be interrupted
    raise Stopped


def _limit_resources(memory: int) -> None:
    """Limit this process and every program that it starts, each by itself."""
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CPU: CPU_SECONDS,
        # Not RLIMIT_AS: the JavaScript runtime reserves far more addresses than it ever uses.
        resource.RLIMIT_DATA: memory or resource.RLIM_INFINITY,
    }
    for kind, wanted in limits.items():
        _soft, hard = resource.getrlimit(kind)
        known = [limit for limit in (wanted, hard) if limit != resource.RLIM_INFINITY]
        limit = min(known, default=resource.RLIM_INFINITY)
        resource.setrlimit(kind, (limit, limit))


def _leash(connection: socket.socket, finish: threading.Event) -> None:
    """Kill this process and all its programs as soon as the parent is dead, or silent for too long."""
    said = b""
    with contextlib.suppress(OSError):
        while select.select([connection], [], [], LEASH_LIMIT)[0]:
            heard = connection.recv(64)
            if not heard:
                break
            if messages.FINISH in heard:
                finish.set()
            said = (said + heard)[-64:]  # what says a share may come in two parts
            if (rate := messages.last_share(said)) is not None:
                cures.share.rate = rate
    os.killpg(0, signal.SIGKILL)


class Speaker:
    """Sends events to the parent, from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        """Speak over this connection."""
        self._connection = connection
        self._lock = threading.Lock()

    def say(self, event: messages.Event) -> None:
        """Send one event; blocks while the parent does not read."""
        with self._lock:
            self._connection.sendall(messages.encode(event))
