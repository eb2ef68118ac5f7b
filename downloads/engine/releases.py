"""Which yt-dlp is used: the one that came with the installation, or one that an update has put into a folder.

That folder (`root`) has a folder for each version, and the file `current` with one version on each line: the one that
was switched to, then the one to go back to. The file is replaced in one step, and a version's folder gets its name when
it is whole. Nothing here imports yt-dlp.
"""

import contextlib
import fcntl
import functools
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import Distribution, PackageNotFoundError, distributions
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from downloads.engine.words import gettext_noop

YT_DLP: Final = "yt-dlp"
SOLVER: Final = "yt-dlp-ejs"  # the JavaScript that solves the challenges of YouTube; each yt-dlp has its own
CURRENT: Final = "current"
IN_USE: Final = "in-use"  # a file in a version's folder, locked by whatever runs on it
CURE: Final = gettext_noop("Go back to an earlier one with: manage.py update-engine --rollback")
VERSION: Final = re.compile(r"20[0-9]{2}\.[0-9]{1,2}\.[0-9]{1,2}(\.[0-9a-z]{1,20}){0,4}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Release:
    """A yt-dlp that can be used. `folder` holds it, unless it came with the installation.

    `switched_at` tells two switches to one version apart: the time of the file that says so, in nanoseconds.
    """

    version: str
    folder: Path | None = None
    switched_at: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether its files are there."""
        return self.folder is None or ((self.folder / IN_USE).is_file() and (self.folder / "yt_dlp").is_dir())

    def age(self, today: date) -> int:
        """In days, since its version says when it was made; 0 for one that is from the future."""
        year, month, day = (int(part) for part in self.version.split(".")[:3])
        return max((today - date(year, month, day)).days, 0)

    def version_of(self, package: str) -> str | None:
        """Which version of a package it sees, if any."""
        found = self._distribution(package)
        return found.version if found else None

    def takes(self, package: str, extra: str) -> SpecifierSet:
        """Which versions of a package it wants to have, as the optional dependencies of this name say.

        Raises:
            PackageNotFoundError: it says nothing about itself.
        """
        itself = self._distribution(YT_DLP)
        if itself is None:
            raise PackageNotFoundError(YT_DLP)
        for text in itself.requires or ():
            requirement = Requirement(text)
            if canonicalize_name(requirement.name) == package and (
                requirement.marker is None or requirement.marker.evaluate({"extra": extra})
            ):
                return requirement.specifier
        return SpecifierSet()

    @contextlib.contextmanager
    def held(self) -> Iterator[tuple[int, ...]]:
        """Keep its folder from being removed: until the block ends, and every process that got the descriptor has."""
        if self.folder is None:
            yield ()
            return
        with (self.folder / IN_USE).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield (file.fileno(),)

    def _distribution(self, package: str) -> Distribution | None:
        path = [str(self.folder), *sys.path] if self.folder else sys.path
        return next(iter(distributions(name=package, path=path)), None)


@functools.cache
def bundled() -> Release:
    """The one that came with the installation.

    Raises:
        PackageNotFoundError: there is none.
    """
    found = next(iter(distributions(name=YT_DLP)), None)
    if found is None:
        raise PackageNotFoundError(YT_DLP)
    return Release(version=found.version)


_given_up: set[Release] = set()


def choose(root: Path | None) -> Release:
    """The one to use now. Asked at each start of a child, so it costs one small file.

    An update counts no longer when it is incomplete, when it did not start, or when an upgrade of the installation has
    brought a later one; the log says so, once.
    """
    ours, wanted = bundled(), switched_to(root)
    if wanted is None:
        return ours
    if not wanted.is_whole:
        _warn(f"Files of yt-dlp {wanted.version} are missing in {root}: {ours.version} is used. {CURE}")
    elif Version(wanted.version) < Version(ours.version):
        _warn(f"yt-dlp {wanted.version} in {root} is older than {ours.version} of the installation, which is used.")
    elif wanted not in _given_up:
        return wanted
    return ours


def give_up(release: Release) -> None:
    """Use this one no more in this process, until it is switched to again: it does not start."""
    _given_up.add(release)
    _warn(f"yt-dlp {release.version} in {release.folder} does not start: {bundled().version} is used. {CURE}")


def switched_to(root: Path | None) -> Release | None:
    """The update that counts if nothing is wrong with it; None where there is none, or it was taken back."""
    if root is None:
        return None
    versions, changed_at = _read(root)
    return Release(version=versions[0], folder=root / versions[0], switched_at=changed_at) if versions else None


def earlier(root: Path) -> list[str]:
    """The versions to go back to, the latest use first."""
    return _read(root)[0][1:]


def switch(root: Path, versions: Sequence[str]) -> None:
    """Use the first of these from now on, and keep the others to go back to; none is the installation's own."""
    draft = root / f"{CURRENT}.new"
    draft.write_text("".join(f"{version}\n" for version in versions))
    draft.replace(root / CURRENT)


def clean(root: Path) -> None:
    """Remove every folder that nobody uses and nobody can go back to."""
    kept, _changed_at = _read(root)
    for folder in root.iterdir():
        if folder.is_dir() and folder.name not in kept:
            with contextlib.suppress(OSError):  # the pip of a killed update may still write there: the next one cleans
                remove(folder)


def remove(folder: Path) -> bool:
    """Remove a folder; False where something still runs on the version in it."""
    try:
        file = (folder / IN_USE).open("r+")
    except FileNotFoundError:
        shutil.rmtree(folder)
        return True
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(folder)
        return True


def _read(root: Path) -> tuple[list[str], int]:
    """The lines that are versions, and when they were written."""
    try:
        with (root / CURRENT).open(errors="replace") as file:
            versions = [line for line in file.read().splitlines() if VERSION.fullmatch(line)]
            return versions, os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return [], 0


@functools.cache
def _warn(sentence: str) -> None:
    """Log it, once in the life of this process."""
    _log.warning(sentence)
