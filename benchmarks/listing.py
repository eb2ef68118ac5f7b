import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection

from benchmarks.case import Case, Figure
from benchmarks.results import OURS

TASKS, CLIENTS, SECONDS = 1_000, 4, 3
PATH = "/api/downloads/tasks?limit=50"


def the_same():
    return PATH


def another():
    return f"{PATH}&offset={random.randrange(TASKS - 50)}"


def answers(port, path):
    """How many lists one client gets, by the cheapest means that Python has: it shares the machine with the service."""
    connection = HTTPConnection("127.0.0.1", port)
    count, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        connection.request("GET", path())
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        count += 1
    connection.close()
    return count


def a_second(bench, path):
    with ThreadPoolExecutor(CLIENTS) as clients:
        return sum(clients.map(partial(answers, path=path), [bench.service.port] * CLIENTS)) / SECONDS


def ours(bench):
    return a_second(bench, the_same), a_second(bench, another)


CASE = Case(
    figures=[
        Figure(
            name="lists",
            counts="Answers of `/api/downloads/tasks` with 50 of 1,000 finished tasks, to 4 clients that keep their "
            "connections and ask for 3 s. It is the same list, and nothing is written meanwhile: it is kept.",
            unit="per s",
            target=400,
            more_is_better=True,
        ),
        Figure(
            name="lists, each another",
            counts="The same with another list each time, as if something had been written since the last: none is "
            "kept, and each is read from the database.",
            unit="per s",
            more_is_better=True,
        ),
    ],
    contenders={OURS: ours},
    settings={"DOWNIE_RATE_LIMIT": "1000000/second"},
    tasks=TASKS,
)
