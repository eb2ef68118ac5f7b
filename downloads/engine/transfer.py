"""Parts of one file, each fetched over a connection and from a thread of its own, into one partial file."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import parse_http_range

from downloads.engine.bodies import Body
from downloads.engine.ramp import Allowance, Measurement, Ramp
from downloads.engine.resume import Gap, PartialFile, StartAnew
from downloads.engine.write_back import WriteBack

BUFFER: Final = 256 * 1024  # bytes of each connection
SMALLEST: Final = 1024 * 1024  # bytes that are worth to be parted: each half is longer than a buffer
FLUSH: Final = 0.03  # seconds until what has come is written
TICK: Final = 0.01  # seconds, while the number of connections is not settled
WRITE_EVERY: Final = 0.1  # seconds between two notes, and two calls of the hooks
TELL_EVERY: Final = 4 * 1024 * 1024  # bytes after which the hooks are called sooner: they watch the disk
WORTH: Final = 0.5  # seconds: a rest that comes in less needs no other connection
REST: Final = 5.0  # seconds after a connection broke until another is tried


@dataclass(eq=False, slots=True)
class Part:
    """What one connection fetches: from `position`, which moves, to `end`, which moves, too: others take and give.

    `begin` is where its position was at first.
    """

    begin: int
    end: int
    position: int = 0

    def __post_init__(self) -> None:
        self.position = self.begin

    @property
    def left(self) -> int:
        """How many bytes are missing."""
        return max(self.end - self.position, 0)


@dataclass(eq=False, slots=True)
class Connection:
    """One connection, its part, and what the measurement wants to know. `reach` is where its answer ends."""

    part: Part
    response: Response | None = None
    reach: int = 0
    received: int = 0
    reads: int = 0
    last_read: float = 0.0
    is_retired: bool = False


@dataclass(frozen=True)
class Ways:
    """How a transfer asks for a part (from here to there), how many connections it may have, and whom it tells.

    `ask` raises StartAnew where the server has another file by now, or sends no parts. `tell` takes how many bytes are
    there.
    """

    ask: Callable[[int, int], Response]
    tell: Callable[[int], None]
    ramp: Callable[[int], Ramp]
    allowance: Allowance
    is_paced: bool


class Transfer:
    """Fetches everything that is missing of a file. `run` and `stop` are for one thread."""

    def __init__(self, partial: PartialFile, missing: Sequence[Gap], length: int, ways: Ways) -> None:
        """Fetch what is missing, which is not nothing; the file has `length` bytes in all."""
        self._partial = partial
        self._length = length
        self._ways = ways
        self._ramp = ways.ramp(1)
        self._waiting = [Part(*gap) for gap in missing]
        self._connections: list[Connection] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_stopped = False
        self._is_starved = False
        self.is_refused = False
        self._error: Exception | None = None
        self._untold = 0
        self._rests_until = 0.0
        self._measurement = Measurement()

    def run(self, response: Response) -> None:
        """Fetch it all, the first part from this answer.

        Raises:
            Exception: whatever went wrong with the last connection, when there was no other left.
        """
        self._partial.path.touch()
        self._ways.tell(self._length - self._left())
        self._ways.allowance.take()
        self._start(response)
        written = time.monotonic()
        write_back = WriteBack(self._partial.path)
        while self._missing():
            self._wake.wait(WRITE_EVERY if self._ramp.is_settled or self._is_starved else TICK)
            self._wake.clear()
            now = time.monotonic()
            if now - written >= WRITE_EVERY or self._untold >= TELL_EVERY:
                written = now
                write_back.grow(self._write())
            with self._lock:
                connections, waiting = list(self._connections), bool(self._waiting)
            if connections:
                self._steer(connections, now)
            elif waiting:
                self._go_on_with_one()
        write_back.end()

    def stop(self) -> None:
        """End it: nothing is written from now on. A thread that waits for the server ends when that says something."""
        self._is_stopped = True
        if self._partial.has_gaps:
            self._note()

    # How many connections

    def _steer(self, connections: list[Connection], now: float) -> None:
        if self._rests_until and now > self._rests_until and not self.is_refused:
            self._rests_until = 0.0
            self._ramp = self._ways.ramp(len(connections))
        if len(connections) == self._ramp.wanted and not self._ramp.is_settled:
            self._judge(connections, now)
        for connection in connections[self._ramp.wanted :]:
            connection.is_retired = True
        for _ in range(self._ramp.wanted - len(connections)):
            self._add()

    def _judge(self, connections: list[Connection], now: float) -> None:
        speed = self._measurement.take(connections, now)
        if speed is None:
            return
        left = self._left()
        with self._lock:
            if left < speed * WORTH:
                self._ramp.settle(len(connections))
            else:
                self._ramp.judge(speed)

    def _go_on_with_one(self) -> None:
        """Nobody is left: because of what went wrong, or because the last left its rest to others that had ended."""
        if self._error:
            raise self._error
        self._ways.allowance.take()
        self._start()

    def _add(self) -> None:
        """Begin another connection, if it may be now, and there is a part for it."""
        self._is_starved = not self._ways.allowance.take_another()
        if self._is_starved:
            return
        with self._lock:  # whatever is missing is at any time in what waits or in a connection's part
            part = self._another_part()
            if part is None:
                self._ramp.settle(len(self._connections))
            else:
                connection = Connection(part)
                self._connections.append(connection)
        if part is None:
            self._ways.allowance.give_back()
            return
        self._note()  # before anything of it is written
        self._begin(connection)

    def _start(self, response: Response | None = None) -> None:
        """Begin a connection for the first of what waits."""
        with self._lock:
            connection = Connection(self._waiting.pop(0), response)
            self._connections.append(connection)
        self._begin(connection)

    def _begin(self, connection: Connection) -> None:
        threading.Thread(target=self._work, args=(connection,), name="part of a file", daemon=True).start()

    def _another_part(self) -> Part | None:
        """What nobody fetches yet, or the second half of what has the most left."""
        if self._waiting:
            return self._waiting.pop(0)
        if self.is_refused or not self._connections:
            return None
        longest = max((each.part for each in self._connections), key=lambda part: part.left)
        if longest.left < SMALLEST:
            return None
        second = Part(longest.position + longest.left // 2, longest.end)
        longest.end = second.position
        return second

    def _give_back(self, part: Part) -> None:
        """Let another connection have what one leaves: the one whose answer goes on with it, or whoever is free.

        The former fetches once more what little has come: a server that sends no parts need not be asked for one again.
        """
        for each in self._connections:
            has_little = part.position - part.begin < SMALLEST
            if has_little and each.part.end == part.begin and each.reach >= part.end:
                each.part.end = part.end
                return
        self._waiting.append(part)

    def _end(self, connection: Connection, error: Exception | None) -> None:
        self._connections.remove(connection)
        self._ways.allowance.give_back()
        if connection.part.left:
            self._give_back(connection.part)
        if error is None:
            return
        self._error = error
        if isinstance(error, HTTPError | StartAnew):
            self.is_refused = True
        else:
            self._rests_until = time.monotonic() + REST
        self._ramp.settle(len(self._connections))

    # What each thread does

    def _work(self, connection: Connection) -> None:
        error = None
        try:
            with self._partial.path.open("r+b", buffering=0) as file:
                while connection.part.left and not self._is_over(connection):
                    self._fetch(connection, file.fileno())
        except Exception as caught:  # noqa: BLE001  raised again by `run`, if no other connection goes on
            error = caught
        with self._lock:
            self._end(connection, error)
        self._wake.set()

    def _is_over(self, connection: Connection) -> bool:
        return self._is_stopped or connection.is_retired

    def _fetch(self, connection: Connection, descriptor: int) -> None:
        """Fetch what one answer has of the part; when the part is done, take another."""
        part = connection.part
        response, connection.response = connection.response, None
        if response is None:
            response = self._ways.ask(part.position, part.end)
        body = Body(response, paced=self._ways.is_paced)
        connection.reach = self._reach(response)
        try:
            self._receive(connection, body, descriptor)
        finally:
            body.release()
        with self._lock:
            if not part.left and not self._is_over(connection):
                connection.part = self._another_part() or part

    def _receive(self, connection: Connection, body: Body, descriptor: int) -> None:
        """Write the answer from where it begins until the part or the answer ends.

        What is written follows the answer, not the part: whose end may have come nearer meanwhile, and gone again.
        """
        part = connection.part
        position = part.position
        view = memoryview(bytearray(BUFFER))
        filled, since = 0, time.monotonic()
        try:
            while position + filled < min(part.end, connection.reach) and not self._is_over(connection):
                amount = body.read_into(view[filled:])
                if not amount:
                    raise TransportError(f"{connection.reach - position - filled} bytes less than announced")
                filled += amount
                connection.received += amount
                connection.reads += 1
                connection.last_read = now = time.monotonic()
                if filled > BUFFER // 2 or now - since >= FLUSH:
                    pending, filled, since = filled, 0, now
                    position = self._put(part, view[:pending], position, descriptor)
        finally:
            if filled:
                self._put(part, view[:filled], position, descriptor)

    def _put(self, part: Part, content: memoryview, position: int, descriptor: int) -> int:
        """Write this there, and then count it; where it ends."""
        while content and not self._is_stopped:
            written = os.pwrite(descriptor, content, position)
            content = content[written:]
            position += written
            with self._lock:
                part.position = position
                self._untold += written
            if self._untold >= TELL_EVERY:
                self._wake.set()
        return position

    def _reach(self, response: Response) -> int:
        """Where in the file this answer ends."""
        _, last, _ = parse_http_range(response.headers.get("Content-Range"))
        return self._length if last is None else last + 1

    # What is there

    def _missing(self) -> list[Gap]:
        with self._lock:
            parts = [*self._waiting, *(each.part for each in self._connections)]
            return sorted((part.position, part.end) for part in parts if part.left)

    def _left(self) -> int:
        return sum(end - begin for begin, end in self._missing())

    def _note(self) -> None:
        self._partial.note_gaps(self._missing())

    def _write(self) -> int:
        """Note and tell what is there; how many bytes have come since the last time."""
        with self._lock:
            come, self._untold = self._untold, 0
        if self._partial.has_gaps:
            self._note()
        self._ways.tell(self._length - self._left())
        return come
