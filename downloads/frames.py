"""What the feed sends: frames, made once for all clients, and how many of them wait for one that reads slowly."""

import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import msgspec

from downloads.states import Status

OF_TASKS: Final = ("task", "progress")
DELETED: Final = "deleted"
MANY_FRAMES: Final = "websocket.frames"  # our server's extension of ASGI: so many as `count`, as they are on the wire
PART_SIZE: Final = 64 * 1024  # bytes that are written to a client at once
FINAL_TEXT: Final = 0x81  # RFC 6455, 5.2: the only frame of a message, whose payload is text

Key = tuple[str, str, str]  # task, kind, and state of the task


@dataclass(frozen=True, slots=True)
class Frame:
    """One message to a client: its JSON, and what it tells of which revision of which task, if of any."""

    payload: bytes
    kind: str
    task_id: str
    status: str
    revision: int

    @classmethod
    def of(cls, message: dict[str, Any], task_id: str = "", status: str = "", revision: int = 0) -> Self:
        """Make the frame of a message with a `type`."""
        return cls(msgspec.json.encode(message), message["type"], task_id, status, revision)


@dataclass(frozen=True, slots=True)
class Part:
    """Some frames in a row, and the bytes that they are on the wire."""

    payloads: list[bytes]
    wire: bytes


class Frames:
    """Frames in the order in which they are to be sent: of each task, kind and state only the newest, and that last.

    What is deleted has no frames but that. Several clients may hold the same `Frames`, which are not added to then.
    """

    def __init__(self, frames: Iterable[Frame] = ()) -> None:
        """Begin with these."""
        self._frames: dict[Key, Frame] = {}
        self.add(frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames.values())

    def add(self, frames: Iterable[Frame]) -> None:
        """Put these behind those that are there."""
        for frame in frames:
            if frame.kind == DELETED:
                for kind, status in itertools.product(OF_TASKS, Status):
                    self._frames.pop((frame.task_id, kind, status), None)
            key = frame.task_id, frame.kind, frame.status
            self._frames.pop(key, None)
            self._frames[key] = frame

    @cached_property
    def parts(self) -> list[Part]:
        """All of them for the wire, in pieces of about `PART_SIZE`; a larger frame is a part of its own."""
        parts: list[Part] = []
        payloads: list[bytes] = []
        size = 0
        for frame in self:
            payloads.append(frame.payload)
            size += len(frame.payload)
            if size >= PART_SIZE:
                parts.append(_part(payloads))
                payloads, size = [], 0
        if payloads:
            parts.append(_part(payloads))
        return parts


def _part(payloads: list[bytes]) -> Part:
    return Part(payloads, b"".join(piece for payload in payloads for piece in (_head(len(payload)), payload)))


def _head(size: int) -> bytes:
    """What comes before a payload of this size: a server masks nothing (RFC 6455, 5.1)."""
    if size < 126:  # noqa: PLR2004  so it says, and 65536 as well
        return struct.pack("!BB", FINAL_TEXT, size)
    if size < 65536:  # noqa: PLR2004
        return struct.pack("!BBH", FINAL_TEXT, 126, size)
    return struct.pack("!BBQ", FINAL_TEXT, 127, size)
