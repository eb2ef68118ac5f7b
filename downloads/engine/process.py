"""The parent's side of an engine child: starts, reads, stops and kills it. One `Engine` per process of the service."""

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from downloads.engine import messages, releases
from downloads.engine.egress_proxy import EgressProxy, Route
from downloads.engine.network import AddressPolicy
from downloads.engine.releases import Release

PROJECT_DIR = Path(__file__).resolve().parent.parent.parent
KEEP_ALIVE_EVERY = 2.0  # seconds; a child that hears nothing for 15 s kills itself
GRACE = 1.0  # seconds between TERM to the child and KILL to its whole group
FORK_SERVER_AGE = 6 * 3600.0  # seconds; a fresh one now and then, so that nothing can pile up in it
START_TIME_LIMIT = 30.0
LINE_LIMIT = 8192  # bytes

logger = logging.getLogger(__name__)


class EngineUnavailable(Exception):
    """No child could be started; the text says why."""


class Child:
    """One running engine child and its process group, whose number is the child's process id."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        """Own both from now on."""
        self.pid = pid
        self._connection = connection
        self._connection.settimeout(0)
        self._reader = messages.EventReader(connection)
        self._spoke_at = time.monotonic()
        self._gone = False

    @property
    def ended(self) -> bool:
        """Whether the child has said its last word: it is dead, or about to be."""
        return self._reader.ended

    def events(self, timeout: float) -> list[messages.Event]:
        """What the child says within `timeout` seconds, as soon as it says anything. Tells it that we live.

        Raises:
            messages.BadFrame: the child cannot be trusted; stop it.
        """
        self._keep_alive()
        if not self.ended:
            select.select([self._connection], [], [], timeout)
        return self._reader.read()

    def finish(self) -> None:
        """Tell it to end the recording of a live stream and to make a file of it; any other download goes on."""
        with contextlib.suppress(OSError):  # a dead child is noticed by its end of file
            self._connection.send(messages.FINISH)

    def leave_share(self, rate: int) -> None:
        """Tell it how many bytes a second the limit of all downloads together leaves to it."""
        with contextlib.suppress(OSError):  # a dead child is noticed by its end of file
            self._connection.send(messages.share_of(rate))

    def _keep_alive(self) -> None:
        if time.monotonic() - self._spoke_at >= KEEP_ALIVE_EVERY:
            self._spoke_at = time.monotonic()
            with contextlib.suppress(OSError):  # a dead child is noticed by its end of file
                self._connection.send(messages.ALIVE)

    def is_gone(self) -> bool:
        """Whether no process of the group is left. Once gone, the number is never looked at again: it may be reused."""
        if not self._gone:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                self._gone = True
            except PermissionError:  # macOS: nothing but zombies
                self._gone = False
        return self._gone

    def stop(self, grace: float = GRACE) -> None:
        """TERM to the child, after `grace` seconds KILL to its group; returns when nothing of it is left."""
        if not self.is_gone():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
        if not self._wait_until_gone(grace):
            self.kill()
        self._connection.close()

    def kill(self) -> None:
        """KILL the group at once; returns when nothing of it is left."""
        if not self.is_gone():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._wait_until_gone(START_TIME_LIMIT)

    def _wait_until_gone(self, limit: float) -> bool:
        deadline = time.monotonic() + limit
        while not self.is_gone() and time.monotonic() < deadline:
            self._keep_alive()
            self._drain()
            time.sleep(0.01)
        return self.is_gone()

    def _drain(self) -> None:
        """Read on while it ends, so that it is not held up by a full pipe."""
        with contextlib.suppress(messages.BadFrame):
            self._reader.read()


class Engine:
    """Starts children by a fork server of its own, which has the yt-dlp that is to be used."""

    def __init__(self, home: Path, tools: Path, updates: Path | None = None) -> None:
        """`home` is an empty folder that children see as $HOME; `tools` holds ffmpeg and ffprobe.

        `updates` is where `releases` finds a later yt-dlp than that of the installation. It is looked at with each
        start: children that run go on with the one that they have.
        """
        self._home = home
        self._tools = tools
        self._updates = updates
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._proxy: EgressProxy | None = None

    def warm_up(self) -> None:
        """Start the fork server now, rather than with the first child.

        Raises:
            EngineUnavailable: it does not start.
        """
        with self._lock:
            self._ready_server()

    def start(self, job: messages.Job | messages.LookUpJob) -> Child:
        """Start a child on this job.

        Raises:
            EngineUnavailable: the fork server does not start, or died twice.
            messages.BadFrame: the job is too long.
        """
        frame = messages.encode(job)
        ours, its = socket.socketpair()
        with its:
            pid = self._fork(its)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # dead already: `events` shows it
            ours.sendall(frame)
        return Child(pid, ours)

    def way_out(self, policy: AddressPolicy, upstream: str = "", source_address: str = "") -> Route:
        """A route for one job through our own proxy, to be closed when the job has ended.

        Args:
            policy: where it may lead.
            upstream: the administrator's proxy that all goes through, or none.
            source_address: an address of this machine to connect from, or none.
        """
        with self._lock:
            if self._proxy is None:
                self._proxy = EgressProxy()
            proxy = self._proxy
        return proxy.open(policy, upstream or None, source_address or None)

    def close(self) -> None:
        """Let the fork server go: it ends with its last child. The proxy ends at once."""
        with self._lock:
            self._let_go()
            if self._proxy is not None:
                self._proxy.close()
                self._proxy = None

    def _fork(self, connection: socket.socket) -> int:
        with self._lock:
            try:
                return self._ready_server().fork(connection)
            except OSError:
                self._let_go()
            try:
                return self._ready_server().fork(connection)
            except OSError as error:
                self._let_go()
                raise EngineUnavailable(f"the download engine died twice: {error}") from None

    def _let_go(self) -> None:
        if self._server:
            self._server.release()
            self._server = None

    def _ready_server(self) -> "_Server":
        release = releases.choose(self._updates)
        if self._server and not self._server.serves(release):
            self._let_go()
        if not self._server:
            self._server = self._new_server(release)
        return self._server

    def _new_server(self, release: Release) -> "_Server":
        self._home.mkdir(parents=True, exist_ok=True)
        try:
            return _Server(release, environment(self._home, self._tools, release))
        except EngineUnavailable:
            if release.folder is None:
                raise
            releases.give_up(release)
            return self._new_server(releases.bundled())


def search_path(tools: Path) -> str:
    """Where children find programs."""
    return os.pathsep.join([str(tools), str(Path(sys.executable).parent), "/usr/bin", "/bin"])


def environment(home: Path, tools: Path, release: Release) -> dict[str, str]:
    """Made from nothing: no database, no broker, no key, no proxy, no plug-in folder of the user's."""
    modules = [release.folder, PROJECT_DIR] if release.folder else [PROJECT_DIR]
    return {
        "PATH": search_path(tools),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(str(folder) for folder in modules),
        "YTDLP_NO_PLUGINS": "1",
        "DENO_NO_UPDATE_CHECK": "1",
    }


def _log_lines(complaints: IO[bytes]) -> None:
    """Log what a fork server and its children print, until the last of them ends."""
    with complaints:
        while line := complaints.readline(LINE_LIMIT):
            logger.warning("The engine: %s", line.decode(errors="replace").rstrip())


class _Server:
    """A running fork server."""

    def __init__(self, release: Release, environment: dict[str, str]) -> None:
        self._release = release
        ours, its = socket.socketpair()
        with its, release.held() as held:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "downloads.engine.forkserver", str(its.fileno())],
                env=environment,
                cwd=environment["HOME"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[its.fileno(), *held],
            )
        threading.Thread(target=_log_lines, args=[self._process.stderr], name="engine log", daemon=True).start()
        self._control = ours
        self._control.settimeout(START_TIME_LIMIT)
        self._started_at = time.monotonic()
        try:
            ready = self._control.recv(1)
        except TimeoutError:
            ready = b""
        if not ready:
            self._process.kill()
            self._process.wait()
            raise EngineUnavailable("the download engine does not start; the log says more")

    def serves(self, release: Release) -> bool:
        """Whether it is alive, young enough, and has this yt-dlp."""
        is_young = time.monotonic() - self._started_at <= FORK_SERVER_AGE
        return self._process.poll() is None and is_young and self._release == release

    def fork(self, connection: socket.socket) -> int:
        """A child that talks over this connection; its process id.

        Raises:
            OSError: the server is gone.
        """
        socket.send_fds(self._control, [b"f"], [connection.fileno()])
        answer = self._control.recv(4)
        if len(answer) < 4:  # noqa: PLR2004  the length of the answer
            raise ConnectionResetError("the fork server is gone")
        return int.from_bytes(answer, "big")

    def release(self) -> None:
        """Close the line to it, and reap it when it ends, unwaited."""
        self._control.close()
        threading.Thread(target=self._process.wait, name="fork server reaper", daemon=True).start()
