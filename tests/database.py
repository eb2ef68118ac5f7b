"""An SQLite database with every table and no row, made once and then kept: a service that finds it migrates nothing."""

import fcntl
import getpass
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
DATABASE = "db.sqlite3"


def give_database(data, environment):
    """Copy it to this data folder."""
    shutil.copyfile(_made(environment), data / DATABASE)


def _made(environment):
    """Safe in several processes at once: one of them makes it, the others wait."""
    kept = Path(tempfile.gettempdir()) / f"downie-database-{getpass.getuser()}-{_version()}.sqlite3"
    with kept.with_suffix(".lock").open("w") as lock, tempfile.TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _migrate({**environment, "HOME": folder, "DOWNIE_DATA_DIR": folder})
            shutil.copyfile(Path(folder) / DATABASE, unfinished := kept.with_suffix(".new"))
            unfinished.rename(kept)
    return kept


def _migrate(environment):
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity=0"], cwd=PROJECT, env=environment, check=True)


def _version():
    """Of the migrations, and of what is installed, which has some as well."""
    locks = [PROJECT / "requirements.lock", *sorted((PROJECT / "downloads" / "migrations").glob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in locks)).hexdigest()[:12]
