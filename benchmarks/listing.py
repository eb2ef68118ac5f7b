import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

from benchmarks.case import Case, Figure
from benchmarks.results import OURS

TASKS, CLIENTS, SECONDS = 1_000, 4, 3
PATH = "/api/downloads/tasks?limit=50"


def answers(port):
    """How many lists one client gets, by the cheapest means that Python has: it shares the machine with the service."""
    connection = HTTPConnection("127.0.0.1", port)
    count, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        connection.request("GET", PATH)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        count += 1
    connection.close()
    return count


def ours(bench):
    with ThreadPoolExecutor(CLIENTS) as clients:
        return sum(clients.map(answers, [bench.service.port] * CLIENTS)) / SECONDS


CASE = Case(
    figures=[
        Figure(
            name="lists",
            counts="Answers of `/api/downloads/tasks` with 50 of 1,000 finished tasks, to 4 clients that keep their "
            "connections and ask for 3 s.",
            unit="per s",
            target=400,
            more_is_better=True,
        )
    ],
    contenders={OURS: ours},
    settings={"DOWNIE_RATE_LIMIT": "1000000/second"},
    tasks=TASKS,
)
