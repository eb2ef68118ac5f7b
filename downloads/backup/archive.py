"""The file of a backup: a compressed tar with all that an installation needs beside its library."""

import json
import os
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from dotenv import dotenv_values

from downie_project.version import VERSION
from downloads.backup import postgresql, sqlite
from downloads.backup.errors import BackupProblem

DATABASES: Mapping[str, ModuleType] = {"sqlite": sqlite, "postgresql": postgresql}
FORMAT = 1
CONTENTS, KEY, SETTINGS, ROWS, PICTURES = "backup.json", "secret_key", "settings.env", "rows", "pictures"
RESTORED_SETTINGS = "restored-settings.env"


@dataclass(frozen=True)
class Contents:
    """What a backup says of itself. `migrations` are pairs of app and name."""

    format: int
    version: str
    made_at: str
    database: str
    migrations: list[list[str]]


def make(target: Path) -> None:
    """Write a backup, which only its owner may read: it holds the secret key. The service may run meanwhile.

    Raises:
        BackupProblem: there is something at this place already, or nothing can be written there.
    """
    if target.exists():
        raise BackupProblem(f"{target} is there already; choose another name.")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".downie-backup-") as name:
            folder = Path(name)
            (folder / ROWS).mkdir()
            _database().dump(folder / ROWS)
            contents = Contents(
                FORMAT, VERSION, datetime.now(UTC).isoformat(timespec="seconds"), connection.vendor, _applied()
            )
            (folder / CONTENTS).write_text(json.dumps(asdict(contents), indent=1))
            (folder / KEY).write_text(settings.SECRET_KEY)
            (folder / SETTINGS).write_text(_settings())
            draft = folder / "backup"
            with tarfile.open(draft, "x:gz", compresslevel=6) as archive:
                for part in (CONTENTS, KEY, SETTINGS, ROWS):
                    archive.add(folder / part, part)
                _add_pictures(archive)
            draft.chmod(0o600)
            _give_name(draft, target)
    except FileExistsError:
        raise BackupProblem(f"{target} is there already; choose another name.") from None
    except OSError as error:
        raise BackupProblem(f"No backup can be written to {target}: {error.strerror}.") from error


def restore(source: Path, *, overwrite: bool) -> Contents:
    """Bring a backup back and migrate it to this version. The caller holds the lock of the data folder.

    Raises:
        BackupProblem: it cannot be read, does not belong here, or there are rows already and `overwrite` is not set.
    """
    with tempfile.TemporaryDirectory(dir=settings.DATA_DIR, prefix=".restoring-") as name:
        folder = Path(name)
        _unpack(source, folder)
        contents = _read_contents(folder, source)
        _check(contents, (folder / KEY).read_text(), overwrite=overwrite)
        _database().load(folder / ROWS, {(app, name) for app, name in contents.migrations})
        call_command("migrate", verbosity=0)
        if not settings.ENVIRONMENT.secret_key:
            (folder / KEY).replace(settings.DATA_DIR / "secret_key")
        (folder / SETTINGS).replace(settings.DATA_DIR / RESTORED_SETTINGS)
        settings.PICTURES_DIR.mkdir(exist_ok=True)
        for picture in (folder / PICTURES).iterdir():
            picture.replace(settings.PICTURES_DIR / picture.name)
    return contents


def _give_name(draft: Path, target: Path) -> None:
    """Show the backup, whole, and overwrite nothing."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # this file system has no hard links
        draft.rename(target)


def _database() -> ModuleType:
    return DATABASES[connection.vendor]


def _applied() -> list[list[str]]:
    return sorted([app, name] for app, name in MigrationRecorder(connection).applied_migrations())


def _settings() -> str:
    """What the environment and `.env` set, as lines of a `.env`."""
    variables: dict[str, Any] = {**dotenv_values(str(settings.ENVIRONMENT.model_config["env_file"])), **os.environ}
    return "".join(
        f"{name}={_quoted(value)}\n"
        for name, value in sorted(variables.items())
        if (name.startswith("DOWNIE_") or name in ("DATABASE_URL", "REDIS_URL")) and value is not None
    )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", r"\\").replace("'", r"\'")
    return f"'{escaped}'"


def _add_pictures(archive: tarfile.TarFile) -> None:
    for picture in sorted(settings.PICTURES_DIR.glob("*.jpg")):
        try:
            archive.add(picture, f"{PICTURES}/{picture.name}", recursive=False)
        except FileNotFoundError:
            continue  # its task was deleted in this moment


def _unpack(source: Path, folder: Path) -> None:
    """Write the plain files of the archive into the folder, each where one of its kind belongs and nowhere else."""
    for part in (ROWS, PICTURES):
        (folder / part).mkdir()
    try:
        with tarfile.open(source, "r:gz") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                is_ours = path.name == str(path) or str(path.parent) in (ROWS, PICTURES)
                if member.isfile() and is_ours and path.name not in ("", ".", ".."):
                    _write(archive, member, folder / path)
    except FileNotFoundError:
        raise BackupProblem(f"There is no {source}.") from None
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise BackupProblem(f"{source} cannot be read as a backup: {error}.") from None


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = archive.extractfile(member)
    if content is None:
        return
    with content, os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while piece := content.read(1024 * 1024):
            file.write(piece)


def _read_contents(folder: Path, source: Path) -> Contents:
    try:
        said = json.loads((folder / CONTENTS).read_text())
        is_known = said["format"] == FORMAT and (folder / KEY).is_file() and (folder / SETTINGS).is_file()
        return Contents(**said) if is_known else _unknown(source)
    except (OSError, ValueError, KeyError, TypeError):
        return _unknown(source)


def _unknown(source: Path) -> Contents:
    raise BackupProblem(f"{source} is no backup of Downie Enhanced that this version knows.")


def _check(contents: Contents, key: str, *, overwrite: bool) -> None:
    if contents.database != connection.vendor:
        raise BackupProblem(
            f"This backup is of a database in {contents.database}, and DATABASE_URL names one in {connection.vendor}; "
            "a backup goes back to its own kind."
        )
    unknown = {(app, name) for app, name in contents.migrations} - set(MigrationLoader(None).disk_migrations or {})
    if unknown:
        raise BackupProblem(
            f"This backup is of version {contents.version}, which is newer than this one, {VERSION}: update first."
        )
    if settings.ENVIRONMENT.secret_key and key != settings.SECRET_KEY:
        raise BackupProblem(
            "DOWNIE_SECRET_KEY is not the key of this backup, whose cookies could not be read with it: set it to that "
            "key, which is in the backup's secret_key, or unset it."
        )
    if connection.introspection.django_table_names(only_existing=True) and not overwrite:
        raise BackupProblem("There are tasks and settings in the database already; --overwrite replaces them all.")
