"""How many connections at once are worth having: doubled for as long as that pays."""

import threading
import time
from collections.abc import Sequence
from typing import Final, Protocol, Self

PAYS: Final = 0.3  # of the gain that as many more connections could bring: what they have to
# Times the speed before: the server gives each connection the same, and so as many as may be are had
TWICE: Final = 1.8
FAST_ENOUGH: Final = 64e6  # bytes a second: who sends that fast has no need of another connection

FRAGMENTS: Final = 6  # that come at once in the beginning, as in browsers: each has to wait for its answer
HALF: Final = 0.015  # seconds that each half of a measurement takes at least
READS: Final = 2  # of each connection in each half
STEADY: Final = 1.25  # times the first half: what grows more than that is measured again
PATIENCE: Final = 1.0  # seconds after which a measurement counts as it is


class Ramp:
    """Begins with few and doubles them while the speed of all together rises; goes one step back when it does not.

    When the speed doubles as well, the next step is to as many as may be.

    Not for several threads at once.
    """

    def __init__(self, most: int, *, first: int = 1, ceiling: float = FAST_ENOUGH) -> None:
        """At most this many, `first` at the beginning; nothing is gained above `ceiling` bytes a second."""
        self.wanted = min(first, most)
        self._most = most
        self._ceiling = ceiling
        self._fewer = self.wanted
        self._before = 0.0
        self.is_settled = most <= self.wanted

    def judge(self, speed: float) -> None:
        """Take the speed of as many as are wanted, in bytes a second, and set how many are wanted from now on."""
        if speed < self._before * (1 + PAYS * (self.wanted / self._fewer - 1)):
            self.wanted = self._fewer
            self.is_settled = True
        elif speed >= self._ceiling or self.wanted == self._most:
            self.is_settled = True
        else:
            is_twice = self._before and speed >= self._before * TWICE
            self._before, self._fewer = speed, self.wanted
            self.wanted = self._most if is_twice else min(2 * self.wanted, self._most)

    def settle(self, number: int) -> None:
        """No more than these (at least one) are to be had."""
        self.wanted = max(min(self.wanted, number), 1)
        self.is_settled = True


class Countable(Protocol):
    """A connection, as far as a measurement looks at it: how much it has read, how often, and when last."""

    received: int
    reads: int
    last_read: float


class _Mark:
    """Where a connection was when a measurement began."""

    def __init__(self, connection: Countable) -> None:
        self.received, self.reads, self.at = connection.received, connection.reads, connection.last_read

    def has_enough(self, connection: Countable) -> bool:
        return connection.last_read - self.at >= HALF and connection.reads - self.reads >= READS

    def speed(self, connection: Countable) -> float:
        seconds = connection.last_read - self.at
        return (connection.received - self.received) / seconds if seconds > 0 else 0.0


class Measurement:
    """Measures how fast some connections are together, once each of them receives.

    A speed that still grows is not taken, since a connection begins slowly.
    """

    def __init__(self) -> None:
        """Measure whatever is given to `take`."""
        self._connections: list[Countable] = []
        self._marks: list[_Mark] = []
        self._begun = False
        self._since = 0.0
        self._first_half: float | None = None

    def take(self, connections: Sequence[Countable], now: float) -> float | None:
        """The speed of all together, in bytes a second; None while it is not known, or with others than last time."""
        if self._connections != list(connections):
            self._connections = list(connections)
            self._begin(now, begun=False)
            return None
        is_late = now - self._since >= PATIENCE
        pairs = list(zip(self._marks, self._connections, strict=True))
        if not self._begun:
            if is_late or all(connection.reads > mark.reads for mark, connection in pairs):
                self._begin(now, begun=True)
            return None
        if not is_late and not all(mark.has_enough(connection) for mark, connection in pairs):
            return None
        speed = sum(mark.speed(connection) for mark, connection in pairs)
        before, self._first_half = self._first_half, speed
        self._marks = [_Mark(each) for each in self._connections]
        return speed if is_late or (before is not None and speed <= before * STEADY) else None

    def _begin(self, now: float, *, begun: bool) -> None:
        self._begun = begun
        self._since = now
        self._first_half = None
        self._marks = [_Mark(each) for each in self._connections]


class Allowance:
    """How many connections one download has, over all of its files, and how many it may have."""

    def __init__(self, most: int) -> None:
        """Allow so many."""
        self.most = most
        self.changed = threading.Condition()
        self._free = most

    def take(self) -> None:
        """Have one, in any case: each file gets on."""
        with self.changed:
            self._free -= 1

    def take_another(self) -> bool:
        """Have one more, if there is one to be had."""
        with self.changed:
            if self._free <= 0:
                return False
            self._free -= 1
            return True

    def give_back(self) -> None:
        """Have one less."""
        with self.changed:
            self._free += 1
            self.changed.notify_all()


class Gate:
    """Lets as many threads fetch fragments of one file as pay; the others wait. To be used in a `with`."""

    def __init__(self, allowance: Allowance) -> None:
        """Share the connections of the download with its other files."""
        self._allowance = allowance
        self._ramp = Ramp(allowance.most, first=FRAGMENTS)
        self._inside = 0
        self._count = self._bytes = 0
        self._began = 0.0

    def __enter__(self) -> Self:
        with self._allowance.changed:
            self._allowance.changed.wait_for(self._may_enter)
            self._inside += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._allowance.changed:
            self._inside -= 1
            self._allowance.give_back()

    def count(self, amount: int) -> None:
        """A fragment of so many bytes is there."""
        with self._allowance.changed:
            now = time.monotonic()
            if self._ramp.is_settled:
                return
            if self._count == 0:
                self._began = now
            else:
                self._bytes += amount
            self._count += 1
            if self._count > 2 * self._ramp.wanted and now > self._began:
                self._ramp.judge(self._bytes / (now - self._began))
                self._count = self._bytes = 0
                self._allowance.changed.notify_all()

    def refuse(self) -> None:
        """The server refused a fragment: half as many are asked for at once from now on."""
        with self._allowance.changed:
            self._ramp.settle(self._ramp.wanted // 2)

    def _may_enter(self) -> bool:
        if not self._inside:
            self._allowance.take()
            return True
        return self._inside < self._ramp.wanted and self._allowance.take_another()
