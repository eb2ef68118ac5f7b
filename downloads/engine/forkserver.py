"""The process that children are forked from: yt-dlp imported and warmed, one thread, no socket but its own, no secret.

Started as a program of its own (`python -m downloads.engine.forkserver FD`) with an environment made from nothing. It
reads one byte and one descriptor per child from the socket FD and forks; the child answers with its process id. When a
child ends, whatever is left of its process group (an ffmpeg, say) is killed before the child is reaped, so that a group
that is gone is gone for good. It ends when its parent does and the last child has.

Why not `multiprocessing`'s: that one inherits the environment of its parent, secrets included, cannot be renewed while
children live, and nobody there kills what a killed child leaves behind.
"""

import contextlib
import ctypes
import gc
import os
import selectors
import signal
import socket
import sys
import warnings

# It guesses in what characters a text is written, for requests, whom nobody asks for texts here: 3 MiB less
sys.modules["charset_normalizer"] = None  # type: ignore[assignment]  # which is how Python is told that there is none
warnings.filterwarnings("ignore", "Unable to find acceptable character detection")

import yt_dlp.downloader.dash
import yt_dlp.downloader.hls
import yt_dlp.downloader.http
import yt_dlp.extractor.generic
import yt_dlp.extractor.youtube
import yt_dlp.networking._requests
import yt_dlp.networking._urllib
import yt_dlp.networking._websockets  # noqa: F401  like those above: imported here once, for every child
from yt_dlp.extractor import gen_extractor_classes
from yt_dlp.utils import unified_timestamp

from downloads.engine import child

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def warm_up() -> None:
    """Fill what a child would otherwise fill: with the imports above, 0.1 instead of 0.7 s until its first look-up.

    yt-dlp compiles each extractor's URL pattern on first use and its date tables on the first date.
    """
    for extractor in gen_extractor_classes():
        extractor.suitable("http://127.0.0.1/")
    unified_timestamp("Mon, 01 Jan 2024 00:00:00 GMT")
    child.prepare()
    gc.collect()
    gc.freeze()


class ForkServer:
    """The loop: fork on request, bury what has ended."""

    def __init__(self, control: socket.socket) -> None:
        """Take the socket to the parent."""
        self._control = control
        self._children: set[int] = set()
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve until the parent is gone and no child is left."""
        wake_read, wake_write = socket.socketpair()
        for end in (wake_read, wake_write):
            end.settimeout(0)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        self._inherited = [self._control, wake_read, wake_write]
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(wake_read, selectors.EVENT_READ)
        served = True
        while served or self._children:
            for key, _ in self._selector.select():
                if key.fileobj is wake_read:
                    with contextlib.suppress(BlockingIOError):
                        wake_read.recv(4096)
                elif not self._serve():
                    served = False
                    self._selector.unregister(self._control)
            self._bury()

    def _serve(self) -> bool:
        """Fork one child; False when the parent is gone."""
        data, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        if not data:
            return False
        pid = os.fork()
        if pid == 0:
            self._become_child(descriptors[0])
        self._children.add(pid)
        os.close(descriptors[0])
        return True

    def _become_child(self, descriptor: int) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._selector.close()
            os.setsid()
            # Only now: who hears of a child whose group is not there yet would take it for gone.
            with contextlib.suppress(OSError):  # the parent is gone: the leash will notice
                self._control.sendall(os.getpid().to_bytes(4, "big"))
            for end in self._inherited:
                end.close()
            status = child.main(socket.socket(fileno=descriptor))
        finally:
            os._exit(status)

    def _bury(self) -> None:
        """Kill what an ended child left behind, then reap it: until then no other group can get its number."""
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in self._children:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(ended.si_pid, signal.SIGKILL)
                    self._children.discard(ended.si_pid)
                os.waitpid(ended.si_pid, 0)


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent dies (Linux): there may be no init that reaps them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main() -> None:
    """Warm up, say so with one byte, serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it stops the children in order
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    os.setsid()
    adopt_orphans()
    warm_up()
    with contextlib.suppress(BrokenPipeError):
        control.sendall(b"\x01")
        ForkServer(control).run()


if __name__ == "__main__":
    main()
