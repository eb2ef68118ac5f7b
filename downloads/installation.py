"""One service per data folder: a lock that ends with the process that holds it."""

import fcntl
from typing import IO

from django.conf import settings


class AlreadyRunning(Exception):
    """Another service has this data folder. `str()` is one sentence for people."""


def lock_data_folder() -> IO[str]:
    """Take the data folder; it is ours until the file is closed or the process ends.

    Raises:
        AlreadyRunning: somebody else has it.
    """
    path = settings.DATA_DIR / "service.lock"
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise AlreadyRunning(
            f"Another Downie Enhanced is running on the data folder {settings.DATA_DIR}: stop it first, "
            "or give this one a folder of its own in DOWNIE_DATA_DIR."
        ) from None
    return file
