"""A small file system of a process's own, which can be full: a tmpfs in a namespace of its own, without root."""

import contextlib
import shutil
import subprocess
from pathlib import Path

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def can_mount():
    if shutil.which("unshare") is None:
        return False
    command = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def small_disk(folder, megabytes):
    """A command that mounts one on this folder, which has to be there, and then becomes the command after it."""
    mount = f'mount -t tmpfs -o size={megabytes}m tmpfs "{folder}" && exec "$@"'
    return [*NAMESPACE, "sh", "-c", mount, "sh"]


def as_seen_by(pid, folder):
    """The folder as this process sees it."""
    return Path(f"/proc/{pid}/root{folder}")


@contextlib.contextmanager
def full(folder):
    """Fill the disk that the folder is on, until the end."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(65536)):
            pass
    yield
    filler.unlink(missing_ok=True)
