"""The databases of the services that tests start.

An SQLite database with every table and no row is made once and then kept: a service that finds it migrates nothing.
"""

import fcntl
import getpass
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

PROJECT = Path(__file__).resolve().parent.parent
DATABASE = "db.sqlite3"
# The address of a server on which every service has a database of its own; without it they use SQLite
POSTGRES = os.environ.get("SUITE_POSTGRES")


def new_postgres_database(environment):
    """The address of one that nobody has, with every table and no row."""
    name, template = f"service_{uuid4().hex}", _postgres_address("service_template")
    with psycopg.connect(POSTGRES, autocommit=True) as server:
        server.execute("SELECT pg_advisory_lock(1)")  # of all who want one now, the first makes the template
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = 'service_template'").fetchone():
            server.execute("CREATE DATABASE service_template")
            with tempfile.TemporaryDirectory() as folder:
                _migrate({**environment, "HOME": folder, "DOWNIE_DATA_DIR": folder, "DATABASE_URL": template})
        server.execute(f"CREATE DATABASE {name} TEMPLATE service_template")
    return _postgres_address(name)


def _postgres_address(name):
    return urlsplit(POSTGRES)._replace(path=f"/{name}").geturl()


def migrate(last=None):
    """Bring the test's own database to this migration, or to the newest."""
    executor = MigrationExecutor(connection)
    executor.migrate([("downloads", last)] if last else executor.loader.graph.leaf_nodes("downloads"))


def give_database(data, environment):
    """Copy the empty one to this data folder, unless it has one."""
    if not (data / DATABASE).exists():
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
