"""A bad setting stops the start with one sentence that names the variable and the cure."""

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from django.core.exceptions import ImproperlyConfigured

from downie_project import environment
from downie_project.environment import Environment, database, make_folder, read_environment, secret_key
from tests.service import PROJECT, free_port

KEY = "k" * 50
POSTGRES = "postgresql://user:hunter2@127.0.0.1:1/name"


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch, tmp_path):
    """No variable and no .env of the developer's is seen."""
    names = [name for name in os.environ if name.startswith("DOWNIE_") or name in ("DATABASE_URL", "REDIS_URL")]
    _ = [monkeypatch.delenv(name) for name in names]
    monkeypatch.setitem(Environment.model_config, "env_file", tmp_path / ".env")


@pytest.fixture
def complaint(monkeypatch, tmp_path):
    """What reading these variables, and all that is made from them, complains about."""

    def read(**variables):
        _ = [monkeypatch.setenv(name, value) for name, value in variables.items()]
        with pytest.raises(ImproperlyConfigured) as error:
            database(read_environment(), tmp_path)
        return str(error.value)

    return read


def manage(*arguments, project=PROJECT, **variables):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=project,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def the_only_line(run):
    """Where a start that failed said one line and nothing else."""
    assert run.returncode != 0
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    return line


# One variable


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("DOWNIE_PORT", "abc", "a whole number from 1 to 65535"),
        ("DOWNIE_PORT", "0", "a whole number from 1 to 65535"),
        ("DOWNIE_PORT", "70000", "a whole number from 1 to 65535"),
        ("DOWNIE_PORT", "80.5", "a whole number from 1 to 65535"),
        ("DOWNIE_MAX_DOWNLOADS_PER_HOST", "0", "a whole number from 1 to 1000"),
        ("DOWNIE_SPEED_LIMIT", "fast", "bytes a second"),
        ("DOWNIE_SPEED_LIMIT", "1", "bytes a second, 1K at least"),
        ("DOWNIE_TASK_SPEED_LIMIT", "fast", "bytes a second"),
        ("DOWNIE_WORKING_HOURS", "at night", "two times of the day"),
        ("DOWNIE_WORKING_HOURS", "22:00-25:00", "two times of the day"),
        ("DOWNIE_WORKING_HOURS", "22:00-22:00", "two times of the day"),
        ("DOWNIE_WORKING_HOURS", "22:00-07:00 Atlantis", "a time zone"),
        ("DOWNIE_MAX_CONCURRENT_DOWNLOADS", "0", "a whole number from 1 to 100"),
        ("DOWNIE_MAX_CONCURRENT_DOWNLOADS", "101", "a whole number from 1 to 100"),
        ("DOWNIE_MAX_CONNECTIONS", "33", "a whole number from 1 to 32"),
        ("DOWNIE_MAX_CONCURRENT_DOWNLOADS", "many", "a whole number from 1 to 100"),
        ("DOWNIE_ALLOWED_NETWORKS", "nonsense", "192.168.1.0/24"),
        ("DOWNIE_ALLOWED_NETWORKS", "10.0.0.0/8,nonsense", "192.168.1.0/24"),
        ("DOWNIE_ALLOWED_NETWORKS", "192.168.1.7/24", "192.168.1.0/24"),
        ("DOWNIE_LOG_LEVEL", "loud", "DEBUG, INFO, WARNING, ERROR"),
        ("DOWNIE_LOG_FORMAT", "xml", "console or json"),
        ("DOWNIE_ALLOW_ANONYMOUS", "perhaps", "true or false"),
        ("DOWNIE_PATH_PREFIX", "downie", "such as /downie"),
        ("DOWNIE_PATH_PREFIX", "/downie/", "without a slash at its end"),
        ("DOWNIE_PATH_PREFIX", "/downie/..", "such as /downie"),
        ("DOWNIE_TRUSTED_PROXIES", "proxy", "such as 127.0.0.1,10.0.0.0/8"),
        ("DOWNIE_CORS_ORIGINS", "*", "https://app.example.org"),
        ("DOWNIE_CORS_ORIGINS", "null", "such as https://app.example.org"),
        ("DOWNIE_CORS_ORIGINS", "app.example.org", "such as https://app.example.org"),
        ("DOWNIE_CORS_ORIGINS", "https://app.example.org/", "such as https://app.example.org"),
        ("DOWNIE_CORS_ORIGINS", "https://app.example.org/x", "such as https://app.example.org"),
        ("DOWNIE_CORS_ORIGINS", "https://u@h", "such as https://app.example.org"),
        ("DOWNIE_CORS_ORIGINS", "https://", "such as https://app.example.org"),
        ("DOWNIE_RATE_LIMIT", "many", "600/minute"),
        ("DOWNIE_RATE_LIMIT", "0/minute", "600/minute"),
        ("DOWNIE_EXTRACT_RATE_LIMIT", "30/fortnight", "30/minute"),
        ("DOWNIE_S3_BUCKET", "a bucket", "the name of a bucket"),
        ("DOWNIE_S3_ENDPOINT", "s3.example.org", "https://s3.example.org"),
        ("DOWNIE_S3_PREFIX", "/films/", "a folder in the bucket"),
        ("DOWNIE_RETENTION_DAYS", "-1", "a number of days from 0 (for ever) to 36500"),
        ("DOWNIE_RETENTION_GB", "nan", "a number of GiB from 0 (no limit) to 1000000"),
        ("DOWNIE_MAX_SOCKETS_PER_CLIENT", "0", "a whole number from 1 to 100000"),
        ("DOWNIE_FILENAME_TEMPLATE", "film", "use a field or more: {title}, {id}"),
        ("DOWNIE_FILENAME_TEMPLATE", "{name}", "{name} is no field; the fields are {title}, {id}"),
        ("DOWNIE_FILENAME_TEMPLATE", "{}", "{} is no field"),
        ("DOWNIE_FILENAME_TEMPLATE", "{0}", "{0} is no field"),
        ("DOWNIE_FILENAME_TEMPLATE", "{title.__class__}", "{title.__class__} is no field"),
        ("DOWNIE_FILENAME_TEMPLATE", "{title[0]}", "{title[0]} is no field"),
        ("DOWNIE_FILENAME_TEMPLATE", "{title:1000000000}", "write {title}"),
        ("DOWNIE_FILENAME_TEMPLATE", "{title:{id}}", "write {title}"),
        ("DOWNIE_FILENAME_TEMPLATE", "{title!r}", "write {title}"),
        ("DOWNIE_FILENAME_TEMPLATE", "{title", "write {{ and }}"),
        ("DOWNIE_FILENAME_TEMPLATE", "%(title)s", "use a field or more"),
        ("DOWNIE_FILENAME_TEMPLATE", "{site}/{title}", "DOWNIE_FOLDER_TEMPLATE"),
        ("DOWNIE_FILENAME_TEMPLATE", "{date}: {title}", "leave it out"),
        ("DOWNIE_FILENAME_TEMPLATE", "{title} [{id}", "never closed"),
        ("DOWNIE_FILENAME_TEMPLATE", ".{title}", "begin with a dot"),
        ("DOWNIE_FILENAME_TEMPLATE", "{title}" * 30, "at most 200 characters"),
        ("DOWNIE_FOLDER_TEMPLATE", "/films", "single slashes"),
        ("DOWNIE_FOLDER_TEMPLATE", "films//{site}", "single slashes"),
        ("DOWNIE_FOLDER_TEMPLATE", "{site}/", "single slashes"),
        ("DOWNIE_FOLDER_TEMPLATE", "../{site}", "begin with a dot"),
        ("DOWNIE_FOLDER_TEMPLATE", "{site}/..", "begin with a dot"),
        ("DOWNIE_FOLDER_TEMPLATE", "{host}", "{host} is no field"),
        ("DOWNIE_FOLDER_TEMPLATE", "C:\\films", "leave it out"),
        ("DOWNIE_FOLDER_TEMPLATE", "1/2/3/4/5/6", "at most 5 levels"),
        ("DOWNIE_LOOKUP_TIME_LIMIT", "0", "a whole number of seconds from 1 to 3600"),
        ("DOWNIE_STALL_SECONDS", "soon", "a whole number of seconds from 1 to 3600"),
    ],
)
def test_a_bad_value_is_shown_with_its_cure(complaint, name, value, cure):
    sentence = complaint(**{name: value})

    assert sentence.startswith(f"{name} has a value that cannot be used (")
    assert cure in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "variables",
    [
        {"DOWNIE_SECRET_KEY": "hunter2"},
        {"DATABASE_URL": "mysql://user:hunter2@host/name"},
        {"DATABASE_URL": "hunter2"},
        {"DATABASE_URL": "postgresql://user:hunter2@host:port/name"},
        {"DATABASE_URL": "postgresql://user:hunter2@[::1/name"},
        {"DATABASE_URL": "sqlite://hunter2"},
        {"DATABASE_URL": "sqlite:///"},
        {"DATABASE_URL": "sqlite:///:memory:"},
        {"DATABASE_URL": "postgresql://user:hunter2@host"},
        {"REDIS_URL": "hunter2", "DATABASE_URL": POSTGRES},
        {"REDIS_URL": "http://user:hunter2@host", "DATABASE_URL": POSTGRES},
    ],
    ids=lambda variables: " ".join(f"{name}={value}" for name, value in variables.items()),
)
def test_a_bad_value_that_may_hold_a_secret_is_not_shown(complaint, variables):
    sentence = complaint(**variables)

    assert sentence.startswith(next(iter(variables)))
    assert "must be" in sentence
    assert "hunter2" not in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_list_allows_nothing_more(monkeypatch, value):
    monkeypatch.setenv("DOWNIE_ALLOWED_NETWORKS", value)

    assert read_environment().allowed_networks == ()


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("DOWNIE_PORT", "")

    assert read_environment().port == 8000


def test_templates_are_read_as_they_are_written(monkeypatch):
    monkeypatch.setenv("DOWNIE_FILENAME_TEMPLATE", "{date} {title}")
    monkeypatch.setenv("DOWNIE_FOLDER_TEMPLATE", "{site}/{uploader}")

    read = read_environment()

    assert str(read.filename_template) == "{date} {title}"
    assert [str(level) for level in read.folder_template] == ["{site}", "{uploader}"]


def test_without_templates_a_file_has_its_title_and_its_id_and_no_folder():
    read = read_environment()

    assert (str(read.filename_template), read.folder_template) == ("{title} [{id}]", ())


# Several together


def test_redis_needs_postgresql(complaint):
    sentence = complaint(REDIS_URL="redis://:hunter2@host", DOWNIE_SECRET_KEY=KEY)

    assert sentence.startswith("REDIS_URL")
    assert "set DATABASE_URL to a postgresql:// address" in sentence
    assert "hunter2" not in sentence


def test_one_half_of_a_buckets_key_is_refused(complaint):
    sentence = complaint(DOWNIE_S3_BUCKET="films", DOWNIE_S3_SECRET_KEY="hunter2")

    assert sentence == "Set both DOWNIE_S3_ACCESS_KEY and DOWNIE_S3_SECRET_KEY, or neither."


def test_a_bucket_needs_packages_of_its_own(complaint, monkeypatch):
    monkeypatch.setattr(environment, "find_spec", lambda _: None)
    sentence = complaint(DOWNIE_S3_BUCKET="films")

    assert sentence.startswith("DOWNIE_S3_BUCKET needs packages that are not installed")


def test_redis_needs_a_key(complaint):
    sentence = complaint(REDIS_URL="redis://:hunter2@host", DATABASE_URL=POSTGRES)

    assert sentence.startswith("DOWNIE_SECRET_KEY must be set")
    assert "hunter2" not in sentence


def test_redis_with_both_is_taken(monkeypatch):
    _ = [
        monkeypatch.setenv(name, value)
        for name, value in [("REDIS_URL", "redis://host"), ("DATABASE_URL", POSTGRES), ("DOWNIE_SECRET_KEY", KEY)]
    ]

    assert read_environment().redis_url == "redis://host"


@pytest.mark.parametrize("url", ["amqp://user:hunter2@host:5672/", "redis://:hunter2@host/1"])
def test_another_broker_needs_redis_for_the_news(complaint, url):
    sentence = complaint(DOWNIE_BROKER_URL=url)

    assert sentence.startswith("DOWNIE_BROKER_URL")
    assert "set REDIS_URL" in sentence
    assert "hunter2" not in sentence


def test_a_broker_that_is_none_is_refused_without_its_password(complaint):
    sentence = complaint(DOWNIE_BROKER_URL="kafka://user:hunter2@host")

    assert sentence.startswith("DOWNIE_BROKER_URL has a value that cannot be used: it must be an address such as amqp:")
    assert "hunter2" not in sentence


@pytest.mark.parametrize("command", [["worker"], ["serve", "--web-only"]])
def test_a_part_of_the_service_alone_needs_the_means_to_work_with_the_others(tmp_path, command):
    run = manage(*command, DOWNIE_DATA_DIR=str(tmp_path))

    assert "manage.py " + " ".join(command) in the_only_line(run)
    assert "REDIS_URL" in run.stderr


# Folders and the database


def test_a_folder_under_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ImproperlyConfigured, match=r"^DOWNIE_DATA_DIR: the folder .* cannot be made \(Not a directory"):
        make_folder(tmp_path / "file" / "data", "DOWNIE_DATA_DIR")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ImproperlyConfigured, match=r"^DOWNIE_LIBRARY_DIR: the folder .* cannot be made"):
        make_folder(tmp_path / "file", "DOWNIE_LIBRARY_DIR")


def test_a_folder_that_nobody_may_make_is_refused():
    with pytest.raises(ImproperlyConfigured, match=r"^DOWNIE_DATA_DIR: the folder /proc/downie cannot be made"):
        make_folder(Path("/proc/downie"), "DOWNIE_DATA_DIR")


def test_a_folder_that_cannot_be_written_to_is_refused():
    with pytest.raises(ImproperlyConfigured, match=r"^DOWNIE_DATA_DIR: the folder /proc/sys cannot be written to"):
        make_folder(Path("/proc/sys"), "DOWNIE_DATA_DIR")


@pytest.mark.parametrize("name", ["plain", "two words", "100%25", "a#b", "a?b=c", "視頻"])
def test_the_database_lies_in_the_data_folder_whatever_that_is_called(tmp_path, name):
    settings = database(read_environment(), tmp_path / name)

    assert settings["NAME"] == str(tmp_path / name / "db.sqlite3")


def test_a_socket_folder_is_handed_on_to_postgresql(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgresql://user@/name?host=/run/postgresql")

    settings = database(read_environment(), tmp_path)

    assert (settings["NAME"], settings["OPTIONS"]["host"]) == ("name", "/run/postgresql")


# The key


def test_the_key_is_made_once_and_for_this_user_only(tmp_path):
    key = secret_key(read_environment(), tmp_path)

    assert len(key) >= 50
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert secret_key(read_environment(), tmp_path) == key
    assert [file.name for file in tmp_path.iterdir()] == ["secret_key"]


def test_a_key_that_is_set_is_not_written_anywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("DOWNIE_SECRET_KEY", KEY)

    assert secret_key(read_environment(), tmp_path) == KEY
    assert not list(tmp_path.iterdir())


def test_of_two_first_starts_at_once_both_get_the_same_key(tmp_path, monkeypatch):
    real_link = os.link

    def somebody_was_faster(source, target):
        monkeypatch.setattr(environment.os, "link", real_link)
        faster.append(secret_key(read_environment(), tmp_path))
        Path(source).touch()
        real_link(source, target)

    faster = []
    monkeypatch.setattr(environment.os, "link", somebody_was_faster)

    assert secret_key(read_environment(), tmp_path) == faster[0]


def test_a_file_system_without_hard_links_has_a_key_too(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.os, "link", Mock(side_effect=PermissionError(errno.EPERM, "no links here")))

    key = secret_key(read_environment(), tmp_path)

    assert secret_key(read_environment(), tmp_path) == key
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret_key"]


def test_a_key_never_shows_in_what_is_printed(monkeypatch):
    monkeypatch.setenv("DOWNIE_SECRET_KEY", KEY)

    assert KEY not in repr(read_environment())


# The .env file


def test_the_env_file_is_read(tmp_path):
    (tmp_path / ".env").write_text("DOWNIE_PORT=8123\n")

    assert read_environment().port == 8123


def test_a_variable_wins_over_the_env_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("DOWNIE_PORT=8123\n")
    monkeypatch.setenv("DOWNIE_PORT", "8124")

    assert read_environment().port == 8124


@pytest.fixture
def copy(tmp_path):
    """The project in another place, where it may have an .env file of the test's own."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT / "downie_project", project / "downie_project")
    shutil.copy(PROJECT / "manage.py", project)
    (project / "downloads").symlink_to(PROJECT / "downloads")
    return project


def test_a_bad_value_in_the_env_file_beside_the_project_stops_the_start(copy):
    (copy / ".env").write_text("DOWNIE_PORT=abc\n")

    line = the_only_line(manage("check", project=copy))

    assert line == "DOWNIE_PORT has a value that cannot be used ('abc'): it must be a whole number from 1 to 65535."


# The start itself


def test_a_bad_value_stops_every_command_with_one_line(tmp_path):
    line = the_only_line(manage("check", DOWNIE_DATA_DIR=str(tmp_path), DOWNIE_SECRET_KEY="hunter2"))

    assert line == (
        "DOWNIE_SECRET_KEY has a value that cannot be used: it must be a random text of 32 characters or more."
    )


def test_a_bad_folder_stops_every_command_with_one_line():
    line = the_only_line(manage("check", DOWNIE_DATA_DIR="/proc/downie"))

    assert line.startswith("DOWNIE_DATA_DIR: the folder /proc/downie cannot be made")


def test_it_does_not_listen_to_everybody_unasked(tmp_path):
    line = the_only_line(manage("serve", DOWNIE_DATA_DIR=str(tmp_path), DOWNIE_HOST="0.0.0.0"))

    assert "DOWNIE_ALLOW_ANONYMOUS=true" in line


def test_it_says_so_when_the_port_is_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        line = the_only_line(manage("serve", DOWNIE_DATA_DIR=str(tmp_path), DOWNIE_PORT=str(port)))

    assert line.startswith(f"CommandError: Port {port} on 127.0.0.1 cannot be used (Address already in use)")
    assert "make run PORT=" in line


def test_it_says_so_when_there_is_no_ffmpeg(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()

    line = the_only_line(
        manage("serve", "--port", str(free_port()), DOWNIE_DATA_DIR=str(tmp_path), DOWNIE_FFMPEG_DIR=str(empty))
    )

    assert str(empty) in line
    assert "ffmpeg" in line


def test_a_second_service_on_one_data_folder_does_not_start(fresh_service):
    fresh_service.start()

    line = the_only_line(manage("serve", "--port", str(free_port()), DOWNIE_DATA_DIR=str(fresh_service.data)))

    assert str(fresh_service.data) in line
    assert "DOWNIE_DATA_DIR" in line
