"""A later yt-dlp beside that of the installation: fetched with pip, tried by the self-check, and only then switched to.

The virtual environment stays as it is. At any moment of an update, whoever starts an engine finds either the old yt-dlp
or the new one, whole; what an update that was killed has left behind goes with the next one.
"""

import contextlib
import importlib.util
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from packaging.version import Version

from downloads.engine import releases
from downloads.engine.folders import FolderBusy, folder_lock
from downloads.engine.process import environment
from downloads.engine.releases import IN_USE, SOLVER, VERSION, YT_DLP, Release

PIP_LIMIT: Final = 600.0  # seconds for each of its two runs
PIP_LINES: Final = 6  # of what it said that are told when it fails
# No dependencies, since they belong to the installation; wheels alone, so that nothing of theirs runs before the check.
PIP_INSTALL: Final = (
    *("-P", "-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--no-compile", "--no-input"),
    *("--disable-pip-version-check", "--root-user-action=ignore"),
)

Say = Callable[[str], None]


class UpdateFailed(Exception):
    """Nothing has changed. `str()` says for people what happened and what to do."""


def update(root: Path, tools: Path, say: Say, version: str = "") -> Release | None:
    """Switch to the newest yt-dlp that pip finds, or to this version; None where there is nothing to be changed.

    Raises:
        UpdateFailed: it could not be fetched, did not pass, is older than the installation's, or another update runs.
    """
    _check_before(version)
    with _staging(root) as staging:
        before = releases.choose(root)
        if version and before.folder and Version(version) == Version(before.version):
            return None
        say(f"Fetching yt-dlp {version}".rstrip() + " …")
        new = _fetch(staging, version)
        if not version and Version(new.version) <= Version(before.version):
            return None
        say(f"Checking yt-dlp {new.version} …")
        if not _self_check(staging, tools, staging / "check", say):
            raise UpdateFailed(f"yt-dlp {new.version} did not pass the self-check, so {before.version} stays in use.")
        _put_into_place(staging, root, new)
        kept = [before.version] if before.folder and before.version != new.version else []
        releases.switch(root, [new.version, *kept])
        releases.clean(root)
        return releases.choose(root)


def roll_back(root: Path) -> Release:
    """Go back to the update before the last one, or else to what came with the installation; the one that is used now.

    Raises:
        UpdateFailed: there is no update, or one is just being made.
    """
    with _staging(root):
        if releases.switched_to(root) is None:
            ours = releases.bundled().version
            raise UpdateFailed(f"There is no update to go back from: yt-dlp {ours} came with the installation.")
        whole = [each for each in releases.earlier(root) if Release(version=each, folder=root / each).is_whole]
        releases.switch(root, whole)
        releases.clean(root)
        return releases.choose(root)


def check(root: Path, tools: Path, say: Say) -> bool:
    """Try the yt-dlp that is in use, and say what is found line by line; whether all of it was good.

    Raises:
        UpdateFailed: an update is just being made.
    """
    with _staging(root) as staging:
        return _self_check(root, tools, staging / "check", say)


def _self_check(updates: Path, tools: Path, folder: Path, say: Say) -> bool:
    """Run it as a process of its own in a new folder, on the release that is in use in `updates`."""
    home = folder / "home"
    home.mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "downloads.engine.selfcheck", updates, tools, folder],
        env=environment(home, tools, releases.choose(updates)),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C is ours to handle
    )
    with process:
        try:
            for line in process.stdout or ():
                say(line.rstrip())
        except BaseException:
            process.kill()
            raise
    if process.returncode < 0:
        say(f"✗ The self-check was ended: {signal.strsignal(-process.returncode)}")
    return process.returncode == 0


def _check_before(version: str) -> None:
    """Whether it makes sense to begin."""
    ours = releases.bundled().version
    if version and not VERSION.fullmatch(version):
        raise UpdateFailed(f"{version!r} is no version of yt-dlp: they look like {ours}.")
    if version and Version(version) < Version(ours):
        raise UpdateFailed(f"yt-dlp {version} is older than {ours}, which came with the installation.")
    if importlib.util.find_spec("pip") is None:
        raise UpdateFailed(f"There is no pip, which fetches the update: get it with {sys.executable} -m ensurepip")


@contextlib.contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """One update at a time; the folder for what it has not finished yet."""
    try:
        with folder_lock(root, limit=0):
            releases.clean(root)
            with tempfile.TemporaryDirectory(prefix="staged-", dir=root, ignore_cleanup_errors=True) as folder:
                yield Path(folder)
    except FolderBusy:
        raise UpdateFailed("Another update-engine is at work: wait for its end.") from None


def _fetch(staging: Path, version: str) -> Release:
    """Put yt-dlp and the solver scripts that it names into a folder, and switch to it in `staging`."""
    folder = staging / "fetched"
    _pip(folder, f"{YT_DLP}=={version}" if version else YT_DLP)
    fetched = Release(version="", folder=folder)  # which one it is shows only now
    found = fetched.version_of(YT_DLP) or ""
    if not VERSION.fullmatch(found):
        raise UpdateFailed(f"pip fetched something that is no yt-dlp: its version is {found!r}.")
    wanted = fetched.takes(SOLVER, extra="default")
    if wanted:
        _pip(folder, f"{SOLVER}{wanted}")
    (folder / IN_USE).touch()
    folder.rename(staging / found)
    releases.switch(staging, [found])
    return Release(version=found, folder=staging / found)


def _pip(target: Path, requirement: str) -> None:
    """Install from where the user's own configuration of pip says."""
    try:
        run = subprocess.run(
            [sys.executable, *PIP_INSTALL, "--target", target, requirement],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=PIP_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UpdateFailed(f"pip did not fetch {requirement} within {PIP_LIMIT / 60:.0f} minutes.") from None
    if run.returncode:
        said = "\n".join(run.stdout.strip().splitlines()[-PIP_LINES:])
        raise UpdateFailed(f"pip could not fetch {requirement}. It said:\n{said}")


def _put_into_place(staging: Path, root: Path, new: Release) -> None:
    target = root / new.version
    if target.exists() and not releases.remove(target):
        raise UpdateFailed(f"Downloads still run with an earlier copy of yt-dlp {new.version}: try again after them.")
    (staging / new.version).rename(target)
