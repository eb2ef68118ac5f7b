"""The library in a bucket that speaks S3. Imported only where the settings name one: it brings boto3."""

import logging
import mimetypes
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.utils import timezone
from storages.backends.s3 import S3Storage

from downloads.engine.filenames import numbered, side_name
from downloads.library.contract import Finished, Keep, LibraryUnreachable, OutsideLibrary, Reserve

PART = 16 * 1024 * 1024  # bytes; a file has at most 10,000 parts, so the parts of a very large one are larger
MOST_PARTS = 10_000
KEEP_EVERY = 0.5  # seconds between two looks while bytes are on their way
CONNECT_LIMIT, READ_LIMIT = 5, 20  # seconds
LINK_LASTS = 6 * 3600  # seconds; a player asks for more of a film as long as that
FORGOTTEN = timedelta(days=1)  # after which an upload that nobody knows of is thrown away
OWNER = "downie-task"  # whose file it is, beside its bytes
TRANSPORT = "downie-transport"  # which attempt has brought it
TAKEN = {"PreconditionFailed", "412"}
GONE = {"NoSuchKey", "NotFound", "404"}
# What a server answers that cannot write on a condition; the name is reserved and was free a moment ago all the same
UNCONDITIONAL = {"NotImplemented", "501"}

logger = logging.getLogger(__name__)


class NameTaken(Exception):
    """Somebody else has put a file there."""


class S3Library(S3Storage):
    """A bucket, or a folder in it. The row reserves a name, and nothing is written over what is there already."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  what S3Storage takes
        """Take what S3Storage takes; an address of its own wants the bucket in the path, not in the host's name."""
        config = Config(
            s3={"addressing_style": "path" if options.get("endpoint_url") else "auto"},
            signature_version="s3v4",
            connect_timeout=CONNECT_LIMIT,
            read_timeout=READ_LIMIT,
            retries={"total_max_attempts": 3, "mode": "standard"},
        )
        super().__init__(client_config=config, **options)
        self._lock = threading.Lock()
        self._client: Any = None

    @property
    def client(self) -> Any:  # noqa: ANN401  boto3 has no types
        """One for all threads: clients may be shared, and each takes a while and some MB to make."""
        with self._lock:
            if self._client is None:
                self._client = self.connection.meta.client
            return self._client

    def is_stored(self, name: str, size: int) -> bool:
        """See `Library`."""
        try:
            found = self._look(self._key(name))
        except OutsideLibrary:
            return False
        return found is not None and found["ContentLength"] == size

    def is_taken(self, name: str) -> bool:
        """See `Library`."""
        try:
            return self._look(self._key(name)) is not None
        except OutsideLibrary:
            return False

    def delete_stored(self, *names: str) -> None:
        """See `Library`."""
        self._delete(self._key(name) for name in filter(None, names))

    def link(self, name: str, *, method: str, disposition: str, kind: str = "") -> str:
        """A signed address at which the file can be fetched for some hours, without our keys."""
        answer = {"ResponseContentDisposition": disposition} | ({"ResponseContentType": kind} if kind else {})
        parameters = {"Bucket": self.bucket_name, "Key": self._key(name)} | (answer if method == "GET" else {})
        verb = "get_object" if method == "GET" else "head_object"
        with _said():
            return str(self.client.generate_presigned_url(verb, Params=parameters, ExpiresIn=LINK_LASTS))

    def check(self) -> None:
        """Ask whether the bucket is there and ours to use.

        Raises:
            LibraryUnreachable: it is not.
        """
        with _said():
            self.client.head_bucket(Bucket=self.bucket_name)

    def store(self, task_id: str, finished: Finished, name: str, reserve: Reserve, keep: Keep) -> str:
        """Bring the files there, in parts where they are large; see `Library`.

        What an earlier attempt of this task has left, and could not take back, gives way.
        """
        total = sum(file.stat().st_size for file in (*finished.beside.values(), finished.file))
        for candidate in numbered(name):
            beside = [side_name(candidate, suffix) for suffix in finished.beside]
            keys = [self._key(each) for each in (*beside, candidate)]
            found = {key: self._owner(key) for key in keys}
            if set(found.values()) - {None, task_id} or not reserve(candidate, beside):
                continue
            self._delete(key for key, owner in found.items() if owner == task_id)
            transport = _Transport(self.client, self.bucket_name, task_id, total, keep)
            if transport.bring(zip(keys, [*finished.beside.values(), finished.file], strict=True)):
                return candidate
        raise AssertionError("there is always a next number")

    def _owner(self, key: str) -> str | None:
        """Whose file is there: the id of a task, empty for one that is not ours, None for no file."""
        found = self._look(key)
        return None if found is None else str(found["Metadata"].get(OWNER, ""))

    def _delete(self, keys: Iterable[str]) -> None:
        with _said():
            for key in keys:
                self.client.delete_object(Bucket=self.bucket_name, Key=key)

    def settle(self, task_id: str, name: str) -> None:
        """Nothing: what a bucket has taken, it has."""

    def withdraw(self, task_id: str, names: Sequence[str], work_folder: Path) -> None:  # noqa: ARG002  see `Library`
        """Take back what says that it is this task's, and break off what was on its way; see `Library`."""
        for name in names:
            try:
                key = self._key(name)
                self._break_off(key)
                if self._owner(key) == task_id:
                    self._delete([key])
            except (LibraryUnreachable, OutsideLibrary) as error:
                logger.warning("%r may stay in the library: %s", name, error, extra={"task": task_id})

    def sweep(self, reserved: set[str]) -> None:
        """Break off what was begun long ago and belongs to no attempt any more: its machine may be gone for good."""
        keys = {self._key(name) for name in reserved if name}
        with _said():
            for upload in self._uploads(self.location):
                if upload["Key"] not in keys and upload["Initiated"] < timezone.now() - FORGOTTEN:
                    self._abort(upload)

    def _break_off(self, key: str) -> None:
        with _said():
            for upload in self._uploads(key):
                if upload["Key"] == key:
                    self._abort(upload)

    def _uploads(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Those in parts that are neither done nor broken off."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket_name, Prefix=prefix)
        for page in pages:
            yield from page.get("Uploads", [])

    def _abort(self, upload: dict[str, Any]) -> None:
        self.client.abort_multipart_upload(Bucket=self.bucket_name, Key=upload["Key"], UploadId=upload["UploadId"])

    def _key(self, name: str) -> str:
        """Where in the bucket this is.

        Raises:
            OutsideLibrary: nowhere in our part of it.
        """
        if not name or any(part in ("", ".", "..") for part in name.split("/")):
            raise OutsideLibrary(f"{name!r} leads out of the library")
        return f"{self.location}/{name}" if self.location else name

    def _look(self, key: str) -> dict[str, Any] | None:
        """What is known of a file; None when there is none."""
        try:
            with _said():
                found: dict[str, Any] = self.client.head_object(Bucket=self.bucket_name, Key=key)
        except LibraryUnreachable as error:
            if isinstance(error.__cause__, ClientError) and _code(error.__cause__) in GONE:
                return None
            raise
        return found


class _Transport:
    """Brings the files of one download, one after the other."""

    def __init__(self, client: Any, bucket: str, task_id: str, total: int, keep: Keep) -> None:  # noqa: ANN401
        self._client = client
        self._bucket = bucket
        self._marks = {OWNER: task_id, TRANSPORT: secrets.token_hex(8)}
        self._total = max(total, 1)
        self._keep = keep
        self._sent = 0  # bytes of parts and files that are there
        self._stopped = threading.Event()

    def bring(self, files: "Iterator[tuple[str, Path]]") -> bool:
        """Bring them all; False, and none of them is there, when somebody else took a name in the meantime."""
        begun: list[str] = []
        try:
            for key, file in files:
                begun.append(key)
                self._bring_one(key, file)
        except NameTaken:
            self._take_back(begun)
            return False
        except BaseException:
            self._take_back(begun)
            raise
        return True

    def _take_back(self, keys: list[str]) -> None:
        """Delete what this very transport has brought: by now another worker may have the task, and bring its files."""
        for key in keys:
            try:
                there = self._client.head_object(Bucket=self._bucket, Key=key)["Metadata"]
                if there.get(TRANSPORT) == self._marks[TRANSPORT]:
                    self._client.delete_object(Bucket=self._bucket, Key=key)
            except (BotoCoreError, ClientError) as error:
                if not isinstance(error, ClientError) or _code(error) not in GONE:
                    logger.warning("%r may stay in the library: %s", key, error)

    def _bring_one(self, key: str, file: Path) -> None:
        size = file.stat().st_size
        place = {"Bucket": self._bucket, "Key": key}
        described = {"Metadata": self._marks, "ContentType": mimetypes.guess_type(key)[0] or "application/octet-stream"}
        if size <= PART:
            with file.open("rb") as reader:
                body = _Reader(reader, 0, size, self._stopped)
                self._unless_taken(self._client.put_object, body, **place, **described, Body=body)
            self._sent += size
            return
        with _said():
            upload = self._client.create_multipart_upload(**place, **described)
        place["UploadId"] = upload["UploadId"]
        try:
            parts = list(self._parts(file, size, place))
            self._unless_taken(self._client.complete_multipart_upload, None, **place, MultipartUpload={"Parts": parts})
        except BaseException:
            self._break_off(place)
            raise

    def _parts(self, file: Path, size: int, place: dict[str, str]) -> Iterator[dict[str, Any]]:
        length = max(PART, -(-size // MOST_PARTS))
        for number, start in enumerate(range(0, size, length), start=1):
            end = min(start + length, size)
            with file.open("rb") as reader:
                body = _Reader(reader, start, end, self._stopped)
                answer = self._patiently(self._client.upload_part, body, **place, PartNumber=number, Body=body)
            self._sent += end - start
            yield {"PartNumber": number, "ETag": answer["ETag"]} | _checksums(answer)

    def _break_off(self, place: dict[str, str]) -> None:
        try:
            self._client.abort_multipart_upload(**place)
        except (BotoCoreError, ClientError) as error:  # recovery or the sweep does it later
            logger.warning("An upload to %r is not broken off yet: %s", place["Key"], error)

    def _unless_taken(self, call: Callable[..., Any], body: "_Reader | None", **arguments: Any) -> None:  # noqa: ANN401
        """Write on the condition that nothing is there.

        Raises:
            NameTaken: something is.
        """
        try:
            self._patiently(call, body, **arguments, IfNoneMatch="*")
        except LibraryUnreachable as error:
            code = _code(error.__cause__) if isinstance(error.__cause__, ClientError) else ""
            if code in TAKEN:
                raise NameTaken from None
            if code not in UNCONDITIONAL:
                raise
            if body:
                body.seek(0)
            self._patiently(call, body, **arguments)

    def _patiently(self, call: Callable[..., Any], body: "_Reader | None", **arguments: Any) -> Any:  # noqa: ANN401
        """Do it in a thread, and say meanwhile how far it is; what `keep` raises stops it."""
        self._keep(self._sent / self._total)  # whoever holds the lease no more writes nothing more
        with _said(), ThreadPoolExecutor(max_workers=1) as thread:
            running: Future[Any] = thread.submit(call, **arguments)
            try:
                while wait([running], timeout=KEEP_EVERY).not_done:
                    self._keep((self._sent + (body.position if body else 0)) / self._total)
            except BaseException:
                self._stopped.set()
                raise
            return running.result()


class _Stopped(Exception):
    """Nobody waits for these bytes any more."""


class _Reader:
    """A part of a file, for boto3 to read, perhaps more than once: it sums up first, and tries again."""

    def __init__(self, file: BinaryIO, start: int, end: int, stopped: threading.Event) -> None:
        self._file = file
        self._start = start
        self._length = end - start
        self._stopped = stopped
        self.position = 0

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        if self._stopped.is_set():
            raise _Stopped
        left = self._length - self.position
        self._file.seek(self._start + self.position)
        data = self._file.read(left if size is None or size < 0 else min(size, left))
        self.position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + (0, self.position, self._length)[whence]
        return self.position

    def tell(self) -> int:
        return self.position


@contextmanager
def _said() -> Iterator[None]:
    """Say in one exception that the bucket does not answer, or refuses."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise LibraryUnreachable(str(error)) from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _checksums(answer: dict[str, Any]) -> dict[str, Any]:
    """What the server has summed up of a part has to be said again at the end."""
    return {name: value for name, value in answer.items() if name.startswith("Checksum") and name != "ChecksumType"}
