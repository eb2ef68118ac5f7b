"""The fork server and its children, as processes: what they see, what they say, and that they end."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import msgspec
import psutil
import pytest

from downloads.engine import messages, process
from downloads.engine.errors import Reason
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.process import Engine, EngineUnavailable
from tests.origin import Listener
from tests.service import PROJECT, wait_until

SECRETS = {
    "DATABASE_URL": "postgresql://user:hunter2@host/name",
    "REDIS_URL": "redis://:hunter2@host",
    "DOWNIE_SECRET_KEY": "hunter2" * 8,
    "HTTP_PROXY": "http://hunter2:1",
    "http_proxy": "http://hunter2:1",
    "https_proxy": "http://hunter2:1",
    "YTDLP_PLUGIN_DIRS": "hunter2",
}
SEEN_BY_CHILDREN = {"PATH", "HOME", "LANG", "PYTHONPATH", "YTDLP_NO_PLUGINS", "DENO_NO_UPDATE_CHECK"}


@contextlib.contextmanager
def running_engine(home, tools):
    engine = Engine(home, tools.folder)
    engine.warm_up()
    yield engine
    server = engine._server._process
    engine.close()
    server.wait(5)


@pytest.fixture(scope="module")
def engine(tmp_path_factory, tools):
    """An engine that several tests share, whose parent has secrets in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        _ = [patch.setenv(name, value) for name, value in SECRETS.items()]
        with running_engine(tmp_path_factory.mktemp("engine") / "home", tools) as engine:
            yield engine


@pytest.fixture
def own_engine(tmp_path, tools):
    """An engine of the test's own, which it may ill-treat."""
    with running_engine(tmp_path / "home", tools) as engine:
        yield engine


@pytest.fixture
def job(tmp_path, tools):
    """A job that may reach the origin, unless the test says otherwise."""

    def make(url, **fields):
        defaults = {
            "task_id": "0123456789ab",
            "quality": Quality.BEST,
            "post_processing": PostProcessing.NONE,
            "folder": str(tmp_path / "work"),
            "tools": str(tools.folder),
            "cache": str(tmp_path / "cache"),
            "allowed_networks": ("127.0.0.0/8",),
        }
        return messages.Job(url=url, **defaults | fields)

    return make


@pytest.fixture
def start(engine, job):
    """Start a child on a job; whatever is left of it at the end of the test is stopped."""
    children = []

    def start(url, **fields):
        children.append(engine.start(job(url, **fields)))
        return children[-1]

    yield start
    _ = [child.stop() for child in children]


def events_of(child, limit=20):
    """Everything that a child says, up to its last word."""
    heard = []
    deadline = time.monotonic() + limit
    while not child.ended and time.monotonic() < deadline:
        heard += child.events(0.2)
    return heard


def the_failure(child):
    (failed,) = [event for event in events_of(child) if isinstance(event, messages.Failed)]
    return failed.failure


def processes_of(child):
    """Every process of the child's group that is not a zombie."""
    return [found for found in psutil.process_iter() if is_of(child, found)]


def is_of(child, found):
    try:
        return os.getpgid(found.pid) == child.pid and found.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_looking_up(origin):
    return wait_until(lambda: origin.requests_for("/hang"))


# What a child sees


def test_the_fork_server_and_its_children_see_an_environment_made_from_nothing(engine, start, origin):
    child = start(origin.url("/hang"))
    is_looking_up(origin)

    server = psutil.Process(engine._server._process.pid)
    assert set(server.environ()) == SEEN_BY_CHILDREN
    assert psutil.Process(child.pid).environ() == server.environ()
    assert "hunter2" not in str(server.environ())


def test_a_child_has_no_file_of_its_parents_open(start, origin, tmp_path):
    with (tmp_path / "parents.txt").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003  the function's interface
        child = start(origin.url("/hang"))
        is_looking_up(origin)

        assert file.name not in {opened.path for opened in psutil.Process(child.pid).open_files()}


# What a child does


def test_a_child_tells_what_it_does_and_ends(start, origin, tmp_path):
    child = start(origin.url("/direct/small.mp4"))

    events = events_of(child)

    *before, done = [event for event in events if not isinstance(event, messages.Progress)]
    assert [type(event) for event in before] == [messages.Found, messages.Processing, messages.Pictured]
    assert (tmp_path / "work" / done.name).stat().st_size == done.size
    wait_until(child.is_gone)


def test_a_second_child_on_a_folder_waits_for_the_first(start, origin):
    first = start(origin.url("/hang"))
    is_looking_up(origin)
    second = start(origin.url("/direct/small.mp4"))

    assert second.events(0.7) == []
    assert origin.requests_for("/direct/") == []

    first.stop()
    assert isinstance(events_of(second)[-1], messages.Done)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "127.1"])
def test_a_private_address_is_refused_without_a_connection(start, host):
    with Listener() as listener:
        child = start(f"http://{host}:{listener.port}/v.mp4", allowed_networks=())

        assert the_failure(child).reason == Reason.ADDRESS_FORBIDDEN
        assert listener.connections == 0


def test_a_redirect_to_a_private_address_is_refused_without_a_connection(start, origin):
    with Listener() as listener:
        target = f"http://127.0.0.2:{listener.port}/v.mp4"
        child = start(origin.url("/redirect/302", to=target), allowed_networks=("127.0.0.1/32",))

        assert the_failure(child).reason == Reason.ADDRESS_FORBIDDEN
        assert listener.connections == 0


def test_a_refusal_that_the_look_up_has_got_over_does_not_explain_what_fails_later(start, origin):
    good = origin.url("/direct/video.mp4", cut=5000, norange=1)
    page = f'<html><script>play("http://10.0.0.1/v.m3u8"); play("{good}")</script></html>'

    assert the_failure(start(origin.serve("/t/page.html", page))).reason != Reason.ADDRESS_FORBIDDEN


class Braggart(BaseHTTPRequestHandler):
    """Announces a file that no disk can hold."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(10**30))
        self.end_headers()
        self.wfile.write(bytes(5_000_000))
        time.sleep(0.5)

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass


def test_a_size_that_cannot_be_is_not_believed(start):
    with ThreadingHTTPServer(("127.0.0.1", 0), Braggart) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

        failure = the_failure(start(f"http://127.0.0.1:{server.server_port}/v.mp4"))

        server.shutdown()
    assert (failure.reason, failure.needed_bytes) == (Reason.DISK_TOO_SMALL, 2**60)


# How a child ends


def test_a_child_that_hangs_in_a_look_up_is_stopped(start, origin):
    child = start(origin.url("/hang"))
    is_looking_up(origin)

    began = time.monotonic()
    child.stop()

    assert time.monotonic() - began < 10
    assert not is_alive(child.pid)
    assert processes_of(child) == []


@pytest.mark.parametrize("_again", range(10))
def test_a_child_that_is_stopped_right_after_its_start_is_gone(start, origin, _again):
    child = start(origin.url("/hang"))

    child.stop()

    assert not is_alive(child.pid)


def test_a_child_that_cannot_react_is_killed(start, origin):
    child = start(origin.url("/hang"))
    is_looking_up(origin)
    os.kill(child.pid, signal.SIGSTOP)

    child.stop(grace=0.2)

    assert not is_alive(child.pid)


def test_a_child_is_stopped_twice_without_harm(start, origin):
    child = start(origin.url("/hang"))

    child.stop()
    child.stop()

    assert child.is_gone()


def converting(child):
    """The child's ffmpeg, once it runs."""

    def ffmpeg():
        child.events(0.05)
        return [found for found in processes_of(child) if "ffmpeg" in found.name()]

    return wait_until(ffmpeg, limit=20)[0]


def test_a_child_is_stopped_together_with_its_ffmpeg(start, long_origin):
    child = start(long_origin.url("/direct/long.webm"), post_processing=PostProcessing.PERMUTE)
    ffmpeg = converting(child)

    assert "hunter2" not in str(ffmpeg.environ())
    child.stop()

    assert not is_alive(child.pid)
    assert not is_alive(ffmpeg.pid)
    assert processes_of(child) == []


def test_a_killed_child_takes_its_ffmpeg_along(start, long_origin):
    child = start(long_origin.url("/direct/long.webm"), post_processing=PostProcessing.PERMUTE)
    ffmpeg = converting(child)

    os.kill(child.pid, signal.SIGKILL)

    wait_until(lambda: not is_alive(ffmpeg.pid), limit=5)  # by itself it would take 10 at least
    wait_until(child.is_gone, limit=15)
    said_before = events_of(child, limit=15)
    assert not [event for event in said_before if not isinstance(event, messages.Progress)]
    assert child.ended


PARENT = """
import sys, time
from pathlib import Path

import msgspec

from downloads.engine import messages
from downloads.engine.process import Engine

engine = Engine(Path(sys.argv[1]), Path(sys.argv[2]))
child = engine.start(msgspec.json.decode(sys.argv[3], type=messages.Job))
print(child.pid, engine._server._process.pid, flush=True)
while True:
    child.events(1)
"""


@pytest.fixture
def parent(tmp_path, tools, job, origin):
    """Another process with an engine and a child that hangs in a look-up: the process, the child, the fork server."""
    arguments = [str(tmp_path / "home"), str(tools.folder), msgspec.json.encode(job(origin.url("/hang"))).decode()]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *arguments], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as parent:
        child, server = map(int, parent.stdout.readline().split())
        is_looking_up(origin)
        yield parent, child, server
        parent.kill()


def test_a_killed_parent_takes_child_and_fork_server_along(parent):
    process_, child, server = parent

    process_.kill()

    wait_until(lambda: not is_alive(child), limit=15)
    wait_until(lambda: not is_alive(server), limit=15)


def test_a_child_has_limits_that_it_cannot_lift(start, origin):
    child = start(origin.url("/hang"))
    is_looking_up(origin)

    limits = {"CPU": 12 * 3600, "NOFILE": 512, "CORE": 0}
    found = {name: resource.prlimit(child.pid, getattr(resource, f"RLIMIT_{name}")) for name in limits}
    assert found == {name: (limit, limit) for name, limit in limits.items()}


def test_a_child_that_computes_for_too_long_is_killed_by_the_system(start, origin):
    child = start(origin.serve("/spin", "<video " * 200_000))
    wait_until(lambda: psutil.Process(child.pid).cpu_times().user > 0.5)

    resource.prlimit(child.pid, resource.RLIMIT_CPU, (1, 1))

    wait_until(lambda: child.events(0.1) == [] and child.ended, limit=10)
    wait_until(lambda: processes_of(child) == [])


# The fork server


def test_a_killed_fork_server_is_replaced_at_the_next_start(own_engine, job, origin):
    before = own_engine._server._process
    before.kill()
    before.wait()

    child = own_engine.start(job(origin.url("/direct/small.mp4")))

    assert isinstance(events_of(child)[-1], messages.Done)
    assert own_engine._server._process.pid != before.pid


def test_a_child_outlives_its_fork_server_and_is_stopped_all_the_same(own_engine, job, origin):
    child = own_engine.start(job(origin.url("/hang")))
    is_looking_up(origin)
    own_engine._server._process.kill()
    own_engine._server._process.wait()

    assert is_alive(child.pid)
    child.stop()

    assert not is_alive(child.pid)


def test_an_old_fork_server_is_renewed_and_goes_with_its_last_child(own_engine, job, origin, monkeypatch):
    child = own_engine.start(job(origin.url("/hang")))
    old = own_engine._server._process
    monkeypatch.setattr(process, "FORK_SERVER_AGE", 0)

    second = own_engine.start(job(origin.url("/direct/small.mp4"), folder=str(own_engine._home / "other")))

    assert isinstance(events_of(second)[-1], messages.Done)
    assert own_engine._server._process.pid != old.pid
    assert is_alive(old.pid)
    child.stop()
    wait_until(lambda: not is_alive(old.pid), limit=20)


def test_a_fork_server_that_does_not_start_is_said(tmp_path, tools, monkeypatch):
    monkeypatch.setattr(process.sys, "executable", "/bin/false")

    with pytest.raises(EngineUnavailable, match="does not start"):
        Engine(tmp_path / "home", tools.folder).warm_up()


def test_a_fork_server_that_dies_twice_is_said(tmp_path, tools, job, monkeypatch):
    """A program that says it is ready and ends at the first request."""
    program = tmp_path / "python"
    program.write_text(
        f'#!{sys.executable}\nimport os, sys\nos.write(int(sys.argv[-1]), b"1"); os.read(int(sys.argv[-1]), 1)'
    )
    program.chmod(0o700)
    monkeypatch.setattr(process.sys, "executable", str(program))

    with pytest.raises(EngineUnavailable, match="died twice"):
        Engine(tmp_path / "home", tools.folder).start(job("http://127.0.0.1:1/"))


def test_many_children_start_at_once(engine, job, origin, tmp_path):
    started = []
    threads = [
        Thread(target=lambda number=number: started.append(start_in(engine, job, origin, tmp_path / f"{number}")))
        for number in range(6)
    ]
    _ = [thread.start() for thread in threads]
    _ = [thread.join() for thread in threads]

    ends = [events_of(child)[-1] for child in started]

    assert len({child.pid for child in started}) == 6
    assert [type(end) for end in ends] == [messages.Done] * 6


def start_in(engine, job, origin, folder):
    return engine.start(job(origin.url("/direct/small.mp4"), folder=str(folder)))


# What they say to each other


@pytest.fixture
def line():
    """Where the child writes, and the parent's reader."""
    ours, its = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003  the socket module's own signature
    with ours, its:
        yield its, messages.EventReader(ours)


def frame(body):
    return len(body).to_bytes(4, "big") + body


PROGRESS = b'{"type":"progress","percentage":%s,"downloaded_bytes":%s,"total_bytes":9,"speed":0,"eta":0}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"type":"other"}',
        b'{"type":"done"}',
        b'{"type":"done","name":1,"extension":"mp4","size":1}',
        b'{"type":"done","name":"\xff","extension":"mp4","size":1}',
        b'{"type":"done","name":"a","extension":"mp4","size":-1}',
        PROGRESS % (b"-1", b"0"),
        PROGRESS % (b"100.1", b"0"),
        PROGRESS % (b"1e999", b"0"),
        PROGRESS % (b"NaN", b"0"),
        PROGRESS % (b"1", b"-1"),
        PROGRESS % (b"1", b"9" * 30),
        b'{"type":"failed","failure":{"reason":"whim","phase":"lookup"}}',
        b'{"type":"found","title":"\\u0000","media_id":"","site":"","uploader":"","duration":0,"thumbnail":""}',
        b'{"type":"found","title":"%s","media_id":"","site":"","uploader":"","duration":0,"thumbnail":""}'
        % (b"x" * 501),
        b'{"x":' * 60_000,
        b"\x80\x04K\x01.",  # a pickle
    ],
    ids=lambda body: body[:60].decode("latin-1"),
)
def test_a_child_that_says_nonsense_is_not_to_be_trusted(line, body):
    its, reader = line
    Thread(target=its.sendall, args=(frame(body),), daemon=True).start()

    with pytest.raises(messages.BadFrame):
        wait_until(reader.read)


def test_a_child_that_announces_too_much_is_not_to_be_trusted(line):
    its, reader = line
    its.sendall((messages.FRAME_LIMIT + 1).to_bytes(4, "big"))

    with pytest.raises(messages.BadFrame, match=str(messages.FRAME_LIMIT + 1)):
        reader.read()


def test_a_message_beyond_the_limit_is_not_sent():
    with pytest.raises(messages.BadFrame):
        messages.encode(messages.Done(name="x" * messages.FRAME_LIMIT, extension="mp4", size=1))


def test_a_job_beyond_the_limit_is_refused_and_no_child_is_left(engine, job):
    server = psutil.Process(engine._server._process.pid)

    with pytest.raises(messages.BadFrame):
        engine.start(job("http://127.0.0.1/" + "x" * messages.FRAME_LIMIT))

    wait_until(lambda: server.children() == [])


@pytest.mark.parametrize("cut", [1, 3, 4, 5, messages.FRAME_LIMIT + 1, messages.FRAME_LIMIT + 3])
def test_a_message_that_arrives_in_pieces_is_put_together(line, cut):
    its, reader = line
    empty = len(messages.encode(messages.Done(name="", extension="mp4", size=1))) - 4
    done = messages.Done(name="x" * (messages.FRAME_LIMIT - empty), extension="mp4", size=1)
    data = messages.encode(done)
    first = Thread(target=its.sendall, args=(data[:cut],))
    first.start()

    assert read_until(reader, lambda: not first.is_alive()) == []
    Thread(target=its.sendall, args=(data[cut:],), daemon=True).start()

    assert wait_until(reader.read) == [done]


def read_until(reader, finished):
    heard = []
    while not finished():
        heard += reader.read()
    return heard + reader.read()


def test_several_messages_in_one_piece_are_told_apart(line):
    its, reader = line
    done = messages.Done(name="media.mp4", extension="mp4", size=1)
    its.sendall(messages.encode(messages.Processing()) + messages.encode(done))

    assert reader.read() == [messages.Processing(), done]


def test_the_end_of_the_line_is_noticed(line):
    its, reader = line
    its.sendall(messages.encode(messages.Processing()))
    its.close()

    assert reader.read() == [messages.Processing()]
    assert reader.ended
