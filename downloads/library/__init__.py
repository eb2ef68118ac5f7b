"""Where finished files go: a folder of this machine, or a bucket that every machine reaches."""

from typing import cast

from django.conf import settings
from django.core.files.storage import storages

from downloads.library.contract import Bucket, Finished, Keep, Library, LibraryUnreachable, OutsideLibrary

__all__ = [
    "Finished",
    "Keep",
    "Library",
    "LibraryUnreachable",
    "OutsideLibrary",
    "bucket",
    "is_reachable",
    "is_remote",
    "library",
]


def library() -> Library:
    """The one that the settings name."""
    return cast("Library", storages["library"])


def is_remote() -> bool:
    """Whether it is elsewhere, so that files are brought there instead of being linked."""
    return bool(settings.S3_BUCKET)


def is_reachable() -> bool:
    """Whether files can be brought there and deleted; a folder is not asked."""
    try:
        if is_remote():
            bucket().check()
    except LibraryUnreachable:
        return False
    return True


def bucket() -> Bucket:
    """The same, where it is elsewhere."""
    return cast("Bucket", storages["library"])
