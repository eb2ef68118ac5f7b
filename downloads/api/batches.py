"""Many tasks at once: each item gets an answer of its own, in order, and nobody waits for those that run."""

from collections.abc import Sequence
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Body, Query, Router
from pydantic import Field, ValidationError

from downloads import batches, operations
from downloads.api.errors import sentence_of
from downloads.api.idempotency import IdempotencyKey, once
from downloads.api.schemas import TASK_ID, BatchCreated, BatchDone, Error, InvalidInput
from downloads.api.wishes import TaskIn, wish_of
from downloads.batches import Verdicts
from downloads.operations import Added, Wish
from downloads.refusals import Refused

router = Router(tags=["Batches"])

Json = dict[str, Any]

AT_MOST = 1000
# What is no sound task is taken as it is and refused by itself, so that a bad item spoils no other.
Item = Annotated[TaskIn | Any, Field(union_mode="left_to_right")]
Items = Annotated[list[Item], Field(max_length=AT_MOST), Body()]
Ids = Annotated[list[str], Field(max_length=AT_MOST, examples=[[TASK_ID]]), Body()]
DeleteFile = Annotated[bool, Query(description="Whether finished files go as well.")]


@router.post(
    "/downloads/batch/add",
    response={200: BatchCreated, 409: Error, 422: InvalidInput},
    operation_id="batch_add",
    summary="Add many tasks",
)
def batch_add(
    request: HttpRequest, response: HttpResponse, payload: Items, idempotency_key: IdempotencyKey = None
) -> Json:
    """Add up to 1,000 tasks. A bad item gets an error of its own, and the good ones are still added."""
    return once(request, response, idempotency_key, lambda: _add(payload))


@router.post(
    "/downloads/batch/start",
    response={200: BatchDone, 422: InvalidInput},
    operation_id="batch_start",
    summary="Start many tasks",
)
def batch_start(request: HttpRequest, payload: Ids) -> Json:
    """Start these, or start them again; paused and failed ones go on from their bytes."""
    return _results(batches.start_all(payload))


@router.post(
    "/downloads/batch/pause",
    response={200: BatchDone, 422: InvalidInput},
    operation_id="batch_pause",
    summary="Pause many tasks",
)
def batch_pause(request: HttpRequest, payload: Ids) -> Json:
    """Pause these. One that a worker holds is answered with `stopping`; the feed says when it is paused."""
    return _results(batches.pause_all(payload))


@router.post(
    "/downloads/batch/resume",
    response={200: BatchDone, 422: InvalidInput},
    operation_id="batch_resume",
    summary="Resume many tasks",
)
def batch_resume(request: HttpRequest, payload: Ids) -> Json:
    """Let these paused tasks go on from their bytes."""
    return _results(batches.resume_all(payload))


@router.post(
    "/downloads/batch/cancel",
    response={200: BatchDone, 422: InvalidInput},
    operation_id="batch_cancel",
    summary="Cancel many tasks",
)
def batch_cancel(request: HttpRequest, payload: Ids) -> Json:
    """Cancel these. One that a worker holds is answered with `stopping`; the feed says when it is cancelled."""
    return _results(batches.cancel_all(payload))


@router.post(
    "/downloads/batch/delete",
    response={200: BatchDone, 422: InvalidInput},
    operation_id="batch_delete",
    summary="Delete many tasks",
)
def batch_delete(request: HttpRequest, payload: Ids, delete_file: DeleteFile = False) -> Json:  # noqa: FBT002  a query parameter
    """Delete these. One that a worker holds is answered with `stopping`; the feed says when it is deleted."""
    return _results(batches.delete_all(payload, delete_files=delete_file))


def _add(items: Sequence[object]) -> Json:
    wishes = [_wish(item) for item in items]
    added = iter(operations.add_all([wish for wish in wishes if isinstance(wish, Wish)]))
    results = [next(added) if isinstance(wish, Wish) else wish for wish in wishes]
    return {"results": [_item(*pair) for pair in zip(items, results, strict=True)]}


def _wish(item: object) -> Wish | Refused:
    try:
        task = item if isinstance(item, TaskIn) else TaskIn.model_validate(item)
        return wish_of(task)
    except ValidationError as error:
        return Refused("VALIDATION_ERROR", sentence_of(error.errors()[0]))


def _item(item: object, result: Added | Refused) -> Json:
    url = _url(item)
    if isinstance(result, Refused):
        return {"url": url, "status": "error", **_refusal(result)}
    return {"task_id": result.task.pk, "url": url, "status": "created" if result.is_new else "exists"}


def _url(item: object) -> str:
    """Give back the link as it was sent, if there was any."""
    url = item.url if isinstance(item, TaskIn) else item.get("url") if isinstance(item, dict) else None
    return url if isinstance(url, str) else ""


def _results(verdicts: Verdicts) -> Json:
    return {"results": [_verdict(task_id, verdict) for task_id, verdict in verdicts.items()]}


def _verdict(task_id: str, verdict: str | Refused) -> Json:
    if isinstance(verdict, Refused):
        return {"task_id": task_id, "status": "error", **_refusal(verdict)}
    return {"task_id": task_id, "status": verdict}


def _refusal(refused: Refused) -> Json:
    return {"error": str(refused), "error_code": refused.code}
