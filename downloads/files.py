"""How finished files go out: Django decides who gets which file, Starlette sends it, and the client sets the pace.

Django's own file response reads a whole file into memory under ASGI. So a view answers with the file's path in a header
that never leaves the process, and `FileSender`, which is wrapped around Django, sends that file in its place.

With `DOWNIE_ACCEL_PREFIX` the reverse proxy sends it: it is told the file's place in the library by `X-Accel-Redirect`.
"""

import asyncio
import mimetypes
from pathlib import Path
from urllib.parse import quote, unquote

from django.conf import settings
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.http import content_disposition_header
from starlette.responses import FileResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from downloads import refusals
from downloads.library import LibraryUnreachable, bucket, is_remote, library
from downloads.library.local import library_path
from downloads.models import Task
from downloads.refusals import Refused

HEADER = "X-Downie-File"
TYPE_HEADER = "X-Downie-Type"
SENT_BY_STARLETTE = {b"content-type", b"content-length", HEADER.lower().encode(), TYPE_HEADER.lower().encode()}
# What browsers may show instead of saving: media, which run no script. Their type is ours, not the file's.
PLAYABLE = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".webm": "video/webm",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
}
# Should a browser take such a file for a document all the same, then for one that can do nothing
SANDBOX = "sandbox; default-src 'none'"


def is_playable(file_name: str) -> bool:
    """Whether browsers play files of this kind."""
    return Path(file_name).suffix.lower() in PLAYABLE


def hand_over(task: Task, *, inline: bool = False, method: str = "GET") -> HttpResponse:
    """The answer by which the task's file is sent: as an attachment, unless a player wants it.

    Where the library is elsewhere, it leads there instead; `method` is that of the request.

    Raises:
        Refused: FILE_NOT_FOUND, somebody moved or deleted it; FILE_NOT_PLAYABLE, browsers do not play this kind;
            LIBRARY_UNREACHABLE.
    """
    if inline and not is_playable(task.file_name):
        raise Refused("FILE_NOT_PLAYABLE", "Browsers do not play this kind of file; fetch it without inline.")
    if not _is_there(task):
        raise Refused("FILE_NOT_FOUND", "The file of this task is no longer in the library.")
    kind = PLAYABLE[Path(task.file_name).suffix.lower()] if inline else ""
    if is_remote():
        return _link(task, kind, method)
    headers = {"Content-Security-Policy": SANDBOX} if inline else {}
    if settings.ACCEL_PREFIX:
        return HttpResponse(headers=headers | _for_the_proxy(task.file_name, kind))
    headers |= {HEADER: quote(str(library_path(task.file_name)))}
    return HttpResponse(headers=headers | ({TYPE_HEADER: kind} if inline else {}))


def _for_the_proxy(file_name: str, kind: str) -> dict[str, str]:
    name = Path(file_name).name
    return {
        "X-Accel-Redirect": settings.ACCEL_PREFIX + quote(file_name),
        "Content-Type": kind or mimetypes.guess_type(name)[0] or "application/octet-stream",
        "Content-Disposition": content_disposition_header(as_attachment=not kind, filename=name) or "",
    }


def _is_there(task: Task) -> bool:
    try:
        return library().is_stored(task.file_name, task.file_size)
    except LibraryUnreachable:
        raise refusals.library_unreachable() from None


def _link(task: Task, kind: str, method: str) -> HttpResponse:
    """Send whoever asks to the bucket itself, with an address that is good for some hours and for nothing else."""
    name = content_disposition_header(as_attachment=not kind, filename=Path(task.file_name).name) or "inline"
    address = bucket().link(task.file_name, method=method, disposition=name, kind=kind)
    return HttpResponseRedirect(address, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


class FileSender:
    """Wraps an ASGI application; where that hands over a file, sends it with Range, If-Range and ETag."""

    def __init__(self, application: ASGIApp) -> None:
        """Wrap this application."""
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything through but a hand-over."""
        handed_over: dict[bytes, bytes] = {}

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = {name.lower(): value for name, value in message["headers"]}
                if HEADER.lower().encode() in headers:
                    handed_over.update(headers)
            if not handed_over:
                await send(message)

        await self._application(scope, receive, watch)
        if handed_over:
            await _send_file(handed_over, scope, receive, send)


async def _send_file(headers: dict[bytes, bytes], scope: Scope, receive: Receive, send: Send) -> None:
    path = Path(unquote(headers[HEADER.lower().encode()].decode()))
    kept = {name.decode(): value.decode() for name, value in headers.items() if name not in SENT_BY_STARLETTE}
    kind = headers.get(TYPE_HEADER.lower().encode(), b"").decode()
    # By Django as above: for a name with spaces Starlette has a form only that curl does not know
    kept["content-disposition"] = content_disposition_header(as_attachment=not kind, filename=path.name) or "inline"
    response = FileResponse(path, headers=kept, media_type=kind or None)
    sending = asyncio.ensure_future(response(scope, receive, send))
    leaving = asyncio.ensure_future(_client_leaves(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        sending.cancel()
        leaving.cancel()


async def _client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
