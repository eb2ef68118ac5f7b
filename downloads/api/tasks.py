"""Tasks, one at a time and in lists: parse, guard, one verb, one shape."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from downloads import files, operations
from downloads.api.schemas import Acknowledged, Created, Error, InvalidInput, TaskIn, TaskOut
from downloads.models import Task
from downloads.operations import Refused
from downloads.schemas import task_json
from downloads.states import Status

router = Router(tags=["Tasks"])

Json = dict[str, Any]

Limit = Annotated[int, Query(ge=1, le=500, description="How many tasks at most.")]
Offset = Annotated[int, Query(ge=0, le=2**31, description="How many of the newest to pass over.")]
Statuses = Annotated[str, Query(description="One status, or several with commas.")]


def _statuses(text: str) -> list[Status]:
    try:
        return [Status(name) for name in text.split(",") if name]
    except ValueError:
        sentence = f"A status in the filter is not known; there are {', '.join(Status)}."
        raise Refused("VALIDATION_ERROR", sentence, "status") from None


@router.post("/downloads/add", response={200: Created, 400: Error, 422: InvalidInput})
def add(request: HttpRequest, payload: TaskIn) -> Json:
    """Add a task. It waits for its start; nothing is fetched yet."""
    return {"task_id": operations.add(**payload.dict()).id}


@router.post("/downloads/start/{task_id}", response={200: Acknowledged, 404: Error, 409: Error})
def start(request: HttpRequest, task_id: str) -> Json:
    """Start a task, or start it again: a paused or failed one goes on from its bytes."""
    operations.start(task_id)
    return {"message": "Download started", "task_id": task_id}


@router.post("/downloads/cancel/{task_id}", response={200: Acknowledged, 404: Error, 409: Error})
def cancel(request: HttpRequest, task_id: str) -> Json:
    """Cancel a task; answers when no process of it is left, or after 3 s."""
    operations.cancel(task_id)
    return {"message": "Download cancelled", "task_id": task_id}


@router.get("/downloads/tasks", response={200: list[TaskOut], 422: InvalidInput})
def tasks(
    request: HttpRequest, response: HttpResponse, limit: Limit = 50, offset: Offset = 0, status: Statuses = ""
) -> list[Json]:
    """List tasks, newest first; `X-Total-Count` says how many there are in all."""
    found = Task.objects.newest_first()
    if wanted := _statuses(status):
        found = found.filter(status__in=wanted)
    response.headers["X-Total-Count"] = str(found.count())
    return [task_json(task) for task in found[offset : offset + limit]]


@router.get("/downloads/tasks/active", response=list[TaskOut])
def active_tasks(request: HttpRequest) -> list[Json]:
    """List the tasks that a worker holds: starting, downloading, processing."""
    return [task_json(task) for task in Task.objects.running().newest_first()]


@router.get("/downloads/tasks/{task_id}", response={200: TaskOut, 404: Error})
def task(request: HttpRequest, task_id: str) -> Json:
    """Show one task."""
    return task_json(operations.find(task_id))


@router.delete("/downloads/tasks/{task_id}", response={200: Acknowledged, 404: Error, 422: InvalidInput})
def delete(request: HttpRequest, task_id: str, delete_file: bool = False) -> Json:  # noqa: FBT001, FBT002  a query parameter
    """Delete a task, stopping it first. Its finished file stays unless `delete_file=true`."""
    operations.delete(task_id, delete_file=delete_file)
    return {"message": "Task deleted", "task_id": task_id}


@router.api_operation(
    ["GET", "HEAD"],
    "/downloads/tasks/{task_id}/file",
    response={404: Error, 409: Error, 500: Error},
    openapi_extra={
        "responses": {
            200: {
                "description": "The finished file.",
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            },
            206: {"description": "The range that was asked for."},
            416: {"description": "The file has no such range."},
        }
    },
)
def file(request: HttpRequest, task_id: str) -> HttpResponse:
    """Send the finished file as an attachment; takes `Range`, `If-Range` and `HEAD`."""
    found = operations.find(task_id)
    if found.status == Status.FAILED:
        raise Refused(found.error_code, found.error_message)
    if found.status != Status.COMPLETED:
        raise Refused("TASK_NOT_COMPLETED", "This task has no file yet; its status says how far it is.")
    return files.hand_over(found)
