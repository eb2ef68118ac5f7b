"""What the environment (and an optional `.env`) says, read strictly: a bad value stops the start with one sentence."""

import os
import re
import secrets
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from downloads.engine.encoders import Encoder
from downloads.engine.templates import BadTemplate, Template, folder_templates, name_template
from downloads.hours import Hours
from downloads.rates import rate_of

PROJECT_DIR = Path(__file__).resolve().parent.parent
LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
# Connections to PostgreSQL: one for each thread that wants one, and none for long that nobody wants. Whoever has waited
# for 5 s is told, and the next one tries at once. Times in seconds, see psycopg_pool.ConnectionPool.
POOL = {"min_size": 0, "max_size": 300, "max_idle": 60, "timeout": 5, "reconnect_timeout": 5}
RATE = r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$"


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _hours(value: object) -> object:
    return Hours.of(value) if isinstance(value, str) else value


def _rate(value: object) -> object:
    return rate_of(value) if isinstance(value, str) else value


def _origin(text: str) -> str:
    """An origin as browsers write it: in lower case, without the port that goes without saying."""
    parts = urlsplit(text.lower())
    default_port = {"http": ":80", "https": ":443"}.get(parts.scheme, ":")
    origin = f"{parts.scheme}://{parts.netloc.removesuffix(default_port)}"
    is_whole = text.lower() in (origin, f"{origin}{default_port}")
    if not is_whole or not re.fullmatch(r"(https?|chrome-extension|moz-extension)://[^\s/@*]+", origin):
        raise ValueError("not an origin")
    return origin


class Environment(BaseSettings):
    """Every setting that is read from outside. A field's description completes the sentence "It must be …"."""

    model_config = SettingsConfigDict(
        env_prefix="DOWNIE_",
        env_file=os.environ.get("DOWNIE_ENV_FILE", PROJECT_DIR / ".env"),
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        arbitrary_types_allowed=True,
        validate_default=False,  # readers of text read no defaults
    )

    data_dir: Path = Field(PROJECT_DIR / "data", description="a folder that this user may write to")
    library_dir: Path | None = Field(None, description="a folder that this user may write to")
    s3_bucket: str = Field("", pattern=r"^[A-Za-z0-9._-]{3,63}$", description="the name of a bucket")
    s3_endpoint: str = Field(
        "", pattern=r"^https?://[^\s/?#@]+$", description="an address such as https://s3.example.org"
    )
    s3_region: str = Field("", pattern=r"^[a-z0-9-]+$", description="a region such as eu-central-1")
    s3_prefix: str = Field("", pattern=r"^[^/\s]+(/[^/\s]+)*$", description="a folder in the bucket, such as videos")
    s3_access_key: SecretStr | None = Field(None, description="the id of a key of the bucket's owner")
    s3_secret_key: SecretStr | None = Field(None, description="the secret that belongs to DOWNIE_S3_ACCESS_KEY")
    filename_template: Annotated[Template, BeforeValidator(name_template)] = Field(
        name_template("{title} [{id}]"), description="text with fields, such as {title} [{id}]"
    )
    folder_template: Annotated[tuple[Template, ...], NoDecode, BeforeValidator(folder_templates)] = Field(
        (), description="names of folders with fields, such as {site}/{uploader}"
    )
    host: str = Field("127.0.0.1", description="an address of this machine to listen on, such as 127.0.0.1")
    port: int = Field(8000, ge=1, le=65535, description="a whole number from 1 to 65535")
    path_prefix: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$",
        description="a path without a slash at its end, such as /downie",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="addresses or networks in CIDR form separated by commas, such as 127.0.0.1,10.0.0.0/8"
    )
    accel_prefix: str = Field(
        "", pattern=r"^/([A-Za-z0-9._~-]+/)*$", description="a path between slashes, such as /_library/"
    )
    allow_anonymous: bool = Field(default=False, description="true or false")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="host names separated by commas, such as downloads.example.org"
    )
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)] = (
        Field((), description="origins separated by commas, such as https://app.example.org,http://localhost:3000")
    )
    rate_limit: str = Field(
        "600/minute", pattern=RATE, description="a number per second, minute, hour or day, such as 600/minute"
    )
    extract_rate_limit: str = Field(
        "30/minute", pattern=RATE, description="a number per second, minute, hour or day, such as 30/minute"
    )
    max_sockets_per_client: int = Field(50, ge=1, le=100_000, description="a whole number from 1 to 100000")
    max_downloads_per_host: int = Field(3, ge=1, le=1000, description="a whole number from 1 to 1000")
    speed_limit: Annotated[int, BeforeValidator(_rate)] = Field(
        0, description="bytes a second, 1K at least, such as 500K or 20M, or 0 for no limit"
    )
    task_speed_limit: Annotated[int, BeforeValidator(_rate)] = Field(
        0, description="bytes a second, 1K at least, such as 500K or 20M, or 0 for no limit"
    )
    working_hours: Annotated[Hours | None, BeforeValidator(_hours)] = Field(
        None, description="two times of the day, and a time zone unless it is UTC, such as 22:00-07:00 Europe/Berlin"
    )
    max_concurrent_downloads: int = Field(4, ge=1, le=100, description="a whole number from 1 to 100")
    max_connections: int = Field(8, ge=1, le=32, description="a whole number from 1 to 32")
    max_conversions: int = Field(2, ge=0, le=100, description="a whole number from 0 to 100")
    video_encoder: Encoder = Field(
        Encoder.SOFTWARE, description="software, nvenc, qsv, vaapi or videotoolbox, whichever this machine has"
    )
    max_concurrent_extracts: int = Field(4, ge=1, le=100, description="a whole number from 1 to 100")
    lookup_time_limit: int = Field(120, ge=1, le=3600, description="a whole number of seconds from 1 to 3600")
    stall_seconds: int = Field(60, ge=1, le=3600, description="a whole number of seconds from 1 to 3600")
    extract_time_limit: int = Field(60, ge=1, le=600, description="a whole number of seconds from 1 to 600")
    engine_memory_mb: int = Field(2048, ge=256, le=1_000_000, description="a whole number of MiB from 256 to 1000000")
    sponsorblock_api: str = Field(
        "https://sponsor.ajay.app", pattern=r"^https?://[^\s/?#@]+$", description="the address of a SponsorBlock server"
    )
    live_limit_hours: float = Field(12, ge=0, le=1000, description="a number of hours from 0 (no limit) to 1000")
    free_space_floor_mb: int = Field(200, ge=0, le=10_000_000, description="a whole number of MiB from 0 to 10000000")
    retention_days: float = Field(0, ge=0, le=36_500, description="a number of days from 0 (for ever) to 36500")
    retention_gb: float = Field(0, ge=0, le=1_000_000, description="a number of GiB from 0 (no limit) to 1000000")
    playlist_limit: int = Field(500, ge=1, le=5000, description="a whole number from 1 to 5000")
    allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="networks in CIDR form separated by commas, such as 192.168.1.0/24,fd00::/8"
    )
    ffmpeg_dir: Path | None = Field(None, description="a folder that holds the programs ffmpeg and ffprobe")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="one of DEBUG, INFO, WARNING, ERROR"
    )
    log_format: Literal["console", "json"] = Field("console", description="console or json")
    secret_key: SecretStr | None = Field(None, min_length=32, description="a random text of 32 characters or more")
    database_url: str | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL"),
        description="an address such as postgresql://user:password@host:5432/name or sqlite:///path",
    )
    redis_url: str | None = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL"),
        pattern=r"^(rediss?|unix)://.+",
        description="an address such as redis://host:6379/0",
    )
    broker_url: str | None = Field(
        None,
        pattern=r"^(rediss?|unix|amqps?)://.+",
        description="an address such as amqp://user:password@host:5672/ or redis://host:6379/1",
    )
    pictures_dir: Path | None = Field(None, description="a folder that this user may write to")


def read_environment() -> Environment:
    """Read and check every variable.

    Raises:
        ImproperlyConfigured: its text is one sentence that names the variable and the cure.
    """
    try:
        environment = Environment()
    except ValidationError as error:
        raise ImproperlyConfigured(_sentence(error)) from None
    _check_together(environment)
    return environment


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    field = name if name in Environment.model_fields else name.lower()
    variable = name if name.isupper() else f"DOWNIE_{name.upper()}"
    secrets = ("secret_key", "s3_access_key", "s3_secret_key", "database_url", "redis_url", "broker_url")
    shown = "" if field.lower() in secrets else " here"
    wanted = next(
        info.description
        for key, info in Environment.model_fields.items()
        if key == field.lower() or field in _aliases(info.validation_alias)
    )
    value = f" ({first['input']!r})" if shown and isinstance(first["input"], str) else ""
    cause = first.get("ctx", {}).get("error")
    cure = str(cause) if isinstance(cause, BadTemplate) else f"it must be {wanted}"
    return f"{variable} has a value that cannot be used{value}: {cure}."


def _aliases(alias: object) -> list[Any]:
    return alias.choices if isinstance(alias, AliasChoices) else []


def _check_together(environment: Environment) -> None:
    if environment.s3_bucket and not find_spec("storages"):
        raise ImproperlyConfigured(
            'DOWNIE_S3_BUCKET needs packages that are not installed; do: .venv/bin/pip install "django-storages[s3]"'
        )
    if bool(environment.s3_access_key) != bool(environment.s3_secret_key):
        raise ImproperlyConfigured("Set both DOWNIE_S3_ACCESS_KEY and DOWNIE_S3_SECRET_KEY, or neither.")
    on_postgres = (environment.database_url or "").startswith(("postgres://", "postgresql://"))
    if environment.redis_url and not on_postgres:
        raise ImproperlyConfigured(
            "REDIS_URL is for many processes, which need PostgreSQL: set DATABASE_URL to a postgresql:// address, "
            "or unset REDIS_URL."
        )
    if environment.broker_url and not environment.redis_url:
        raise ImproperlyConfigured(
            "DOWNIE_BROKER_URL is for many processes, whose news go over Redis: set REDIS_URL as well, "
            "or unset DOWNIE_BROKER_URL."
        )
    if environment.redis_url and not environment.secret_key:
        raise ImproperlyConfigured(
            "DOWNIE_SECRET_KEY must be set when REDIS_URL is: every process needs the same key. "
            'Make one with: python -c "import secrets; print(secrets.token_urlsafe(50))"'
        )


def make_folder(folder: Path, variable: str) -> Path:
    """Make the folder where it is missing; return it resolved.

    Raises:
        ImproperlyConfigured: it cannot be made or written to; the text names the variable.
    """
    folder = folder.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"{variable}: the folder {folder} cannot be made ({error.strerror}).") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"{variable}: the folder {folder} cannot be written to; choose one that can be.")
    return folder.resolve()


def secret_key(environment: Environment, data_dir: Path) -> str:
    """The key that is set, or the one in the data folder, made on the first start (mode 0600)."""
    if environment.secret_key:
        return environment.secret_key.get_secret_value()
    path = data_dir / "secret_key"
    if not path.exists():
        draft = data_dir / f"secret_key.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)  # whoever links first made the key; two starts at once agree on it
        except FileExistsError:
            pass
        except OSError:
            draft.replace(path)  # this file system has no hard links
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text()


def library(environment: Environment) -> dict[str, Any]:
    """Django's settings of the storage for finished files: the folder, or a bucket where one is named.

    Without keys of our own boto3 looks for some: in AWS's variables, its files, the machine's role.
    """
    if not environment.s3_bucket:
        return {"BACKEND": "downloads.library.local.LocalLibrary"}
    keys = {"access_key": environment.s3_access_key, "secret_key": environment.s3_secret_key}
    options: dict[str, Any] = {name: key.get_secret_value() for name, key in keys.items() if key}
    return {
        "BACKEND": "downloads.library.s3.S3Library",
        "OPTIONS": options
        | {
            "bucket_name": environment.s3_bucket,
            "endpoint_url": environment.s3_endpoint or None,
            "region_name": environment.s3_region or None,
            "location": environment.s3_prefix,
        },
    }


def database(environment: Environment, data_dir: Path) -> dict[str, Any]:
    """Django's settings of the database.

    Raises:
        ImproperlyConfigured: DATABASE_URL names neither SQLite nor PostgreSQL, or cannot be read.
    """
    url = environment.database_url or f"sqlite:///{quote(str(data_dir / 'db.sqlite3'))}"
    wanted = "DATABASE_URL must be a postgresql:// or sqlite:/// address, such as postgresql://user:password@host/name."
    if not url.startswith(("postgres://", "postgresql://", "sqlite:///")):
        raise ImproperlyConfigured(wanted)
    try:
        settings: dict[str, Any] = dict(dj_database_url.parse(url))
    except (ValueError, dj_database_url.ParseError):
        raise ImproperlyConfigured(wanted) from None
    if settings["NAME"] in ("", ":memory:"):  # each thread would have an empty database of its own
        raise ImproperlyConfigured(wanted)
    if settings["ENGINE"].endswith("sqlite3"):
        # Each is needed: see docs/architecture.md, "SQLite in one process".
        settings["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
        settings["CONN_MAX_AGE"] = None
    else:
        settings["OPTIONS"] = settings.get("OPTIONS", {}) | {"pool": POOL}
        settings["CONN_HEALTH_CHECKS"] = True  # a server that was started anew has closed what the pool holds
    return settings
