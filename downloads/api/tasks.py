"""Tasks, one at a time and in lists: parse, guard, one verb, one shape."""

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from ninja.decorators import decorate_view

from downloads import batches, details, files, operations, pictures, storage, turns
from downloads.api.idempotency import IdempotencyKey, once
from downloads.api.kept import kept_until_written
from downloads.api.lists import Filters, ListQuery, with_etag
from downloads.api.schemas import (
    Acknowledged,
    AttemptOut,
    CleanedUp,
    Counts,
    Created,
    DownloadStats,
    Error,
    InvalidInput,
    MediaOut,
    StreamOut,
    TaskOut,
)
from downloads.api.wishes import TaskIn, TaskPatch, changes_of, wish_of
from downloads.models import FEW, Attempt, Task
from downloads.operations import Wish
from downloads.refusals import Refused
from downloads.schemas import epoch, task_json
from downloads.states import Status

router = Router(tags=["Tasks"])

Json = dict[str, Any]

Hours = Annotated[int, Query(ge=0, le=1_000_000, description="How long ago a task must have finished.")]
DeleteFile = Annotated[bool, Query(description="Whether the finished file goes as well.")]
Inline = Annotated[bool, Query(description="For players in a page: only MP4, WebM and the usual kinds of sound.")]
DeleteFiles = Annotated[bool, Query(description="Whether the files of completed tasks go as well.")]

ETAG = {"ETag": {"description": "Send it back as `If-None-Match`.", "schema": {"type": "string"}}}
PART = {
    "X-Count-Is-Part": {
        "description": f"`true` where a search found more than {FEW:,} tasks: only among so many is counted then.",
        "schema": {"type": "string", "const": "true"},
    }
}
LIST_HEADERS = ETAG | {
    "X-Total-Count": {"description": "How many tasks match, on all pages.", "schema": {"type": "integer"}},
    **PART,
    "X-Next-Cursor": {
        "description": "The `cursor` of the next page; absent on the last.",
        "schema": {"type": "string"},
    },
}


@router.post(
    "/downloads/add",
    response={200: Created, 400: Error, 409: Error, 422: InvalidInput},
    operation_id="add",
    summary="Add a task",
)
def add(request: HttpRequest, response: HttpResponse, payload: TaskIn, idempotency_key: IdempotencyKey = None) -> Json:
    """Add a task. It waits for its start, unless `auto_start` says otherwise."""
    return once(request, response, idempotency_key, lambda: _add(wish_of(payload)))


def _add(wish: Wish) -> Json:
    added = operations.add(wish)
    if added.is_new:
        return {"task_id": added.task.pk}
    message = "This link is waiting or being downloaded already"
    return {"task_id": added.task.pk, "message": message, "status": "exists"}


@router.post(
    "/downloads/start/{task_id}",
    response={200: Acknowledged, 404: Error, 409: Error},
    operation_id="start",
    summary="Start a task",
)
def start(request: HttpRequest, task_id: str) -> Json:
    """Start a task, or start it again: a paused or failed one goes on from its bytes."""
    operations.start(task_id)
    return {"message": "Download started", "task_id": task_id}


@router.post(
    "/downloads/pause/{task_id}",
    response={200: Acknowledged, 404: Error, 409: Error},
    operation_id="pause",
    summary="Pause a task",
)
def pause(request: HttpRequest, task_id: str) -> Json:
    """Pause a task and keep its bytes; answers when no process of it is left, or after 3 s."""
    operations.pause(task_id)
    return {"message": "Download paused", "task_id": task_id}


@router.post(
    "/downloads/resume/{task_id}",
    response={200: Acknowledged, 404: Error, 409: Error},
    operation_id="resume",
    summary="Resume a paused task",
)
def resume(request: HttpRequest, task_id: str) -> Json:
    """Let a paused task go on from its bytes."""
    operations.resume(task_id)
    return {"message": "Download resumed", "task_id": task_id}


@router.post(
    "/downloads/retry/{task_id}",
    response={200: Acknowledged, 404: Error, 409: Error},
    operation_id="retry",
    summary="Retry a failed or cancelled task",
)
def retry(request: HttpRequest, task_id: str) -> Json:
    """Try once more: a failed task goes on from its bytes, a cancelled one from nothing."""
    operations.retry(task_id)
    return {"message": "Download retried", "task_id": task_id}


@router.post(
    "/downloads/cancel/{task_id}",
    response={200: Acknowledged, 404: Error, 409: Error},
    operation_id="cancel",
    summary="Cancel a task",
)
def cancel(request: HttpRequest, task_id: str) -> Json:
    """Cancel a task; answers when no process of it is left, or after 3 s."""
    operations.cancel(task_id)
    return {"message": "Download cancelled", "task_id": task_id}


@router.post(
    "/downloads/finish/{task_id}",
    response={200: Acknowledged, 404: Error, 409: Error},
    operation_id="finish",
    summary="End the recording of a live stream",
)
def finish(request: HttpRequest, task_id: str) -> Json:
    """End the recording of a live stream and keep what there is; any other task is refused."""
    operations.finish(task_id)
    return {"message": "Recording finished", "task_id": task_id}


@router.get(
    "/downloads/tasks",
    response={200: list[TaskOut], 304: None, 422: InvalidInput},
    operation_id="list_tasks",
    summary="List tasks",
    openapi_extra={"responses": {200: {"headers": LIST_HEADERS}, 304: {"headers": LIST_HEADERS}}},
)
@decorate_view(kept_until_written, with_etag)
def tasks(request: HttpRequest, query: Query[ListQuery]) -> HttpResponse:
    """List tasks, newest first unless asked otherwise; `X-Total-Count` says how many there are in all."""
    page = query.page()
    # Ninja would check each field that we wrote and copy it, which takes as long as all the rest of the list
    body = msgspec.json.encode([each.json for each in page.tasks])
    response = HttpResponse(body, content_type="application/json; charset=utf-8")
    response.headers["X-Total-Count"] = str(page.total)
    if page.is_part:
        response.headers["X-Count-Is-Part"] = "true"
    if page.cursor:
        response.headers["X-Next-Cursor"] = page.cursor
    return response


@router.get(
    "/downloads/tasks/active",
    response=list[TaskOut],
    operation_id="list_active_tasks",
    summary="List active tasks",
)
def active_tasks(request: HttpRequest) -> list[Json]:
    """List the tasks that a worker holds: starting, downloading, processing."""
    return [task_json(task) for task in Task.objects.running().newest_first()]


@router.api_operation(
    ["GET", "HEAD"],
    "/downloads/tasks/{task_id}",
    response={200: TaskOut, 304: None, 404: Error},
    operation_id="get_task",
    summary="Show a task",
    openapi_extra={"responses": {200: {"headers": ETAG}, 304: {"headers": ETAG}}},
)
@decorate_view(with_etag)
def task(request: HttpRequest, task_id: str) -> Json:
    """Show one task."""
    found = operations.find(task_id)
    return task_json(found) | {"waits_for": turns.waiting_for(found).what}


@router.patch(
    "/downloads/tasks/{task_id}",
    response={200: TaskOut, 404: Error, 409: Error, 422: InvalidInput},
    operation_id="change_task",
    summary="Change a task",
)
def change(request: HttpRequest, task_id: str, payload: TaskPatch) -> Json:
    """Change what was asked for while the task is pending, paused, failed or cancelled.

    Another quality or processing throws away the bytes that are there, since they belong to another format.
    """
    return task_json(operations.change(task_id, **changes_of(payload)))


@router.delete(
    "/downloads/tasks/{task_id}",
    response={200: Acknowledged, 404: Error, 422: InvalidInput, 503: Error},
    operation_id="delete_task",
    summary="Delete a task",
)
def delete(request: HttpRequest, task_id: str, delete_file: DeleteFile = False) -> Json:  # noqa: FBT002  a query parameter
    """Delete a task, stopping it first. Its finished file stays unless `delete_file=true`."""
    operations.delete(task_id, delete_file=delete_file)
    return {"message": "Task deleted", "task_id": task_id}


@router.get("/downloads/stats", response=DownloadStats, operation_id="get_stats", summary="Count all tasks")
def stats(request: HttpRequest) -> Json:
    """Count tasks by what becomes of them, and sum up bytes and speed."""
    room = storage.room(Task.objects.bytes_to_come())
    return {**Task.objects.stats(), "free_bytes": room.free_bytes, "is_space_short": room.is_short}


@router.get(
    "/downloads/counts",
    response={200: Counts, 422: InvalidInput},
    operation_id="count_tasks",
    summary="Count tasks by their states",
    openapi_extra={"responses": {200: {"headers": PART}}},
)
def counts(request: HttpRequest, response: HttpResponse, query: Query[Filters]) -> Json:
    """Count the tasks that a list with these filters holds, state by state."""
    counts, is_part = query.counts()
    if is_part:
        response.headers["X-Count-Is-Part"] = "true"
    return counts


@router.get(
    "/downloads/tasks/{task_id}/attempts",
    response={200: list[AttemptOut], 404: Error},
    operation_id="list_attempts",
    summary="List the attempts at a task",
)
def attempts(request: HttpRequest, task_id: str) -> list[Json]:
    """List what was tried, oldest first."""
    return [_attempt(attempt) for attempt in operations.find(task_id).attempts.all()]


def _attempt(attempt: Attempt) -> Json:
    return {
        "number": attempt.number,
        "started_at": epoch(attempt.started_at),
        "ended_at": epoch(attempt.ended_at),
        "bytes_on_disk": attempt.bytes_on_disk,
        "outcome": attempt.outcome,
        "error_code": attempt.error_code,
        "error_message": attempt.error_message,
        "notes": attempt.notes,
    }


@router.get(
    "/downloads/tasks/{task_id}/media",
    response={200: MediaOut, 404: Error, 409: Error},
    operation_id="get_media",
    summary="Say what the finished file holds",
)
def media(request: HttpRequest, task_id: str) -> Json:
    """Look into the finished file: its container, its length, and the codec, size and rate of its streams."""
    found = operations.find(task_id)
    if found.status != Status.COMPLETED or found.is_playlist:
        raise Refused("TASK_NOT_COMPLETED", "This task has no file yet; its status says how far it is.")
    held = details.media(found)
    if held is None:
        raise Refused("FILE_NOT_FOUND", "The file of this task is no longer in the library, or is no media.")
    names = list(StreamOut.model_fields)
    return {
        "container": held.container,
        "duration": held.duration or 0.0,
        "size": held.size,
        "streams": [{name: getattr(stream, name) for name in names} for stream in held.streams],
    }


@router.post(
    "/downloads/cleanup",
    response={200: CleanedUp, 422: InvalidInput, 503: Error},
    operation_id="cleanup",
    summary="Remove old finished tasks",
)
def cleanup(request: HttpRequest, max_age_hours: Hours = 24, delete_files: DeleteFiles = False) -> Json:  # noqa: FBT002  a query parameter
    """Remove tasks that were completed, failed or cancelled longer ago than that. Files of completed ones stay."""
    removed = batches.cleanup(timedelta(hours=max_age_hours), delete_files=delete_files)
    return {"message": f"Cleaned up tasks older than {max_age_hours} hours", "removed": removed}


@router.get(
    "/downloads/tasks/{task_id}/picture",
    response={404: Error},
    operation_id="get_picture",
    summary="Fetch the picture",
    openapi_extra={
        "responses": {
            200: {
                "description": "A JPEG at most 640 pixels wide.",
                "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
            }
        }
    },
)
def picture(request: HttpRequest, task_id: str) -> HttpResponse:
    """Send the picture of the video."""
    content = pictures.read(operations.find(task_id).pk)
    if content is None:
        raise Refused("FILE_NOT_FOUND", "This task has no picture.")
    return HttpResponse(content, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


@router.api_operation(
    ["GET", "HEAD"],
    "/downloads/tasks/{task_id}/file",
    response={404: Error, 409: Error, 500: Error, 503: Error},
    operation_id="get_file",
    summary="Fetch the finished file",
    openapi_extra={
        "responses": {
            200: {
                "description": "The finished file.",
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            },
            206: {"description": "The range that was asked for."},
            302: {"description": "Where finished files are in a bucket: it is fetched from there."},
            416: {"description": "The file has no such range."},
        }
    },
)
def file(request: HttpRequest, task_id: str, inline: Inline = False) -> HttpResponse:  # noqa: FBT002  a query parameter
    """Send the finished file, as an attachment unless `inline=true`; takes `Range`, `If-Range` and `HEAD`."""
    found = operations.find(task_id)
    if found.is_playlist:
        raise Refused("TASK_NOT_COMPLETED", "A playlist has no file of its own; fetch those of its items.")
    if found.status == Status.FAILED:
        raise Refused(found.error_code, found.error_message)
    if found.status != Status.COMPLETED:
        raise Refused("TASK_NOT_COMPLETED", "This task has no file yet; its status says how far it is.")
    return files.hand_over(found, inline=inline, method=request.method or "GET")
