"""Whatever is sent: a documented 4xx in one sentence, or a closed connection; and the service is unharmed.

The whole table runs against one service. What is sent raw is no valid HTTP, or none that a client library would send.
"""

import json
import socket
import statistics
import time

import psutil
import pytest

MEGABYTE = 1024**2
PLAIN = "https://example.com/"

WRONG_VALUES = {
    "null": None,
    "a number": 7,
    "a huge number": 10**400,
    "true": True,
    "a list": ["x"],
    "an object": {"a": "b"},
    "a deep object": json.loads('{"a":' * 200 + "1" + "}" * 200),
    "100 kB": "x" * 100_000,
    "a NUL byte": "https://example.com/\0",
    "a lone surrogate": "https://example.com/\ud800",
    "a line break": "https://example.com/\r\nSet-Cookie: a=b",
    "a path": "../../../etc/passwd",
    "a template": "%(exec)s",
    "a shell": "$(id)",
    "an option": "--exec=id",
    "bidi controls": "\u202egpj.exe",
}
FIELDS = ["url", "quality", "post_processing"]
BODY_ENDPOINTS = ["/api/downloads/add", "/api/downloads/extract"]
NAMES = [
    "../up.mp4",
    "/etc/passwd",
    "..",
    ".hidden",
    "a/b.mp4",
    "a\\b.mp4",
    "CON",
    "nul.mp4",
    "a\0b.mp4",
    "a\nb.mp4",
    "x" * 1001,
    "\u202egpj.mp4",
    "trailing. ",
    'quote".mp4',
    "star*.mp4",
    "\ud800.mp4",
]
COOKIES = ["a\r\nX-Injected: 1", "a\0=b", "=", "x" * 70_000, "[{]", '[{"name": 1}]', "\ud800=1", '{"a": {"b": 1}}']
BODIES = {
    "nothing": b"",
    "half an object": b'{"url": ',
    "a bare word": b"hello",
    "NaN": b'{"url": NaN}',
    "a duplicate key": b'{"url": "https://example.com/a", "url": "https://example.com/b"}',
    "invalid UTF-8": b'{"url": "\xff\xfe"}',
    "UTF-16": '{"url": "https://example.com"}'.encode("utf-16"),
    "deep nesting": b"[" * 200_000,
    "a BOM": b'\xef\xbb\xbf{"url": 1}',
    "an array": b"[1, 2, 3]",
    "a string": b'"text"',
    "a number": b"1e999",
    "XML": b"<?xml version='1.0'?><a/>",
    "a form": b"url=https%3A%2F%2Fexample.com",
    "too much": b'{"url": "' + b"x" * (3 * MEGABYTE) + b'"}',
}
IDS = [
    "0",
    "000000000000",
    "ABCDEF012345",
    "%00",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%2f..%2f",
    "%0d%0aSet-Cookie:a=b",
    "'%20OR%201=1--",
    "x" * 2000,
    "%f0%9f%92%a9",
    "%ff",
    "%ed%a0%80",
    "-1",
    "1e309",
]
ID_ENDPOINTS = [
    ("GET", "/api/downloads/tasks/{}"),
    ("DELETE", "/api/downloads/tasks/{}"),
    ("POST", "/api/downloads/start/{}"),
    ("POST", "/api/downloads/cancel/{}"),
    ("GET", "/api/downloads/tasks/{}/file"),
]
QUERIES = [
    "limit=0",
    "limit=-1",
    "limit=501",
    "limit=9999999999999999999999",
    "limit=1e9",
    "limit=abc",
    "limit=",
    "limit=%00",
    "offset=-1",
    "offset=99999999999999999999999",
    "offset=1.5",
    "status=odd",
    "status=completed,odd",
    "status=%00",
    "status=" + "completed," * 20 + "x",
]
RAW = {
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100 + b"\r\n\r\n",
    "an endless request line": b"GET /" + b"a" * (2 * MEGABYTE),
    "an endless header": b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (2 * MEGABYTE),
    "endless headers": b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100_000,
    "a header without a colon": b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nnonsense\r\n\r\n",
    "a NUL in a header": b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    "a foreign host": b"GET /api/health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a host with a path": b"GET /api/health HTTP/1.1\r\nHost: localhost/../\r\n\r\n",
    "two lengths": (
        b"POST /api/downloads/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"
    ),
    "a length and chunks": (
        b"POST /api/downloads/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a negative length": b"POST /api/downloads/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    "a bad chunk size": (
        b"POST /api/downloads/add HTTP/1.1\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"
    ),
    "a raw byte in the path": b"GET /api/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a bad percent sign": b"GET /api/downloads/tasks/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an unknown method": b"BREW /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an odd version": b"GET /api/health HTTP/9.9\r\nHost: localhost\r\n\r\n",
}


def json_body(value):
    return json.dumps(value).encode()


def table():
    """Every input: an id, and what to send with which client."""
    rows = []
    for endpoint in BODY_ENDPOINTS:
        rows += [
            (f"{endpoint} {field} {name}", "POST", endpoint, json_body({"url": PLAIN, field: value}))
            for field in FIELDS
            for name, value in WRONG_VALUES.items()
        ]
        rows += [(f"{endpoint} body {name}", "POST", endpoint, body) for name, body in BODIES.items()]
        rows += [
            (
                f"{endpoint} cookies {index}",
                "POST",
                endpoint,
                json_body({"url": "https://example.com/", "cookies": text}),
            )
            for index, text in enumerate(COOKIES)
        ]
    rows += [
        (
            f"name {index}",
            "POST",
            "/api/downloads/add",
            json_body({"url": "https://example.com/", "custom_filename": name}),
        )
        for index, name in enumerate(NAMES)
    ]
    rows += [
        (f"{method} {path} {task_id[:20]}", method, path.format(task_id), None)
        for method, path in ID_ENDPOINTS
        for task_id in IDS
    ]
    rows += [(f"query {query[:40]}", "GET", f"/api/downloads/tasks?{query}", None) for query in QUERIES]
    return rows


TABLE = table()


def test_the_table_is_long_enough():
    assert len(TABLE) + len(RAW) >= 200


@pytest.fixture(scope="module", autouse=True)
def logged(service):
    """How long the log was before the first test of this file."""
    return service.log.stat().st_size


@pytest.mark.parametrize(("method", "path", "body"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_hostile_input_is_answered_with_a_sentence(service, method, path, body):
    headers = {"Content-Type": "application/json"} if body is not None else {}
    answer = service.http.request(method, path, content=body, headers=headers)
    error = answer.json()
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    assert error["error_code"].isupper()
    assert error["detail"]
    assert "\n" not in error["detail"]
    assert len(error["detail"]) < 400


@pytest.mark.parametrize("request_bytes", RAW.values(), ids=RAW.keys())
def test_broken_http_is_refused_or_hung_up_on(service, request_bytes):
    answer = send_raw(service, request_bytes)
    assert answer == b"" or 400 <= int(answer.split()[1]) < 600


def send_raw(service, request_bytes):
    """The first bytes of the answer; none where the service hung up."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        try:
            connection.sendall(request_bytes)
            return connection.recv(4096)
        except (ConnectionError, TimeoutError):
            return b""


def test_a_body_without_end_is_hung_up_on_and_buffered_nowhere(service):
    process = psutil.Process(service.process.pid)
    before = process.memory_info().rss
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(
            b"POST /api/downloads/add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        with pytest.raises(ConnectionError):
            send_chunks(connection, seconds=15)
    assert process.memory_info().rss - before < 16 * MEGABYTE
    assert not [file for file in process.open_files() if "/tmp" in file.path and "deleted" in file.path]


def send_chunks(connection, seconds):
    """About 10 MB a second."""
    for _ in range(seconds * 100):
        connection.sendall(b"19000\r\n" + b"x" * 0x19000 + b"\r\n")
        time.sleep(0.01)


def test_the_service_is_unharmed_and_no_slower(service, logged):
    def median():
        return statistics.median(service.http.get("/api/health").elapsed.total_seconds() for _ in range(30))

    before = median()
    for _name, method, path, body in TABLE[::5]:
        service.http.request(method, path, content=body, headers={"Content-Type": "application/json"})
    time.sleep(0.2)
    assert median() < before * 3 + 0.01
    assert service.process.poll() is None
    assert b"Traceback" not in service.log.read_bytes()[logged:]
