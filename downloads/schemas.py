"""The JSON shapes of a task, shared by the API and the feed."""

from datetime import datetime
from typing import Any, Final

from django.conf import settings

from downloads.models import MAX_FAILURES, Task
from downloads.states import Status

# What `task_json` and `progress_json` read
COLUMNS: Final = (
    *("id", "url", "title", "status", "progress_percentage", "downloaded_bytes", "total_bytes", "speed", "eta"),
    *("created_at", "started_at", "finished_at", "error_message", "error_code", "error_reason", "quality"),
    *("post_processing", "choices", "custom_filename", "keep", "stop", "failures", "available_at", "waits_for"),
    *("needed_bytes", "usable_bytes", "site", "uploader", "duration", "thumbnail", "has_picture", "is_live"),
    *("is_playlist", "playlist_id", "playlist_index", "playlist_total", "playlist_skipped", "file_name"),
    *("side_files", "file_size", "revision"),
)


def epoch(moment: datetime | None) -> float | None:
    """Seconds since 1970, as the API gives times; None for what has not come."""
    return moment.timestamp() if moment else None


def picture_url(task: Task) -> str:
    """Where its picture is, if it has one."""
    return f"{settings.PATH_PREFIX}/api/downloads/tasks/{task.id}/picture" if task.has_picture else ""


def file_url(task: Task) -> str:
    """Where its file is, once there is one."""
    return f"{settings.PATH_PREFIX}/api/downloads/tasks/{task.id}/file"


def task_json(task: Task) -> dict[str, Any]:
    """A task as lists and the feed show it: the fields of the specification, then ours."""
    has_file = task.status == Status.COMPLETED and not task.is_playlist
    return {
        "id": task.id,
        "url": task.url,
        "title": task.title,
        "status": task.status,
        "progress_percentage": round(task.progress_percentage, 1),
        "downloaded_bytes": task.downloaded_bytes,
        "total_bytes": task.total_bytes,
        "speed": task.speed,
        "eta": task.eta,
        "created_at": epoch(task.created_at),
        "started_at": epoch(task.started_at),
        "completed_at": epoch(task.finished_at) if task.status == Status.COMPLETED else None,
        "error_message": task.error_message,
        "error_code": task.error_code,
        "error_reason": task.error_reason,
        "finished_at": epoch(task.finished_at),
        "quality": task.quality,
        "post_processing": task.post_processing,
        "choices": task.choices,
        "custom_filename": task.custom_filename,
        "keep": task.keep,
        "stopping": task.stop,
        "failures": task.failures,
        "max_failures": MAX_FAILURES,
        "next_attempt_at": epoch(task.available_at),
        "waits_for": task.waits_for,
        "needed_bytes": task.needed_bytes,
        "usable_bytes": task.usable_bytes,
        "site": task.site,
        "uploader": task.uploader,
        "duration": task.duration,
        "thumbnail": task.thumbnail,
        "picture_url": picture_url(task),
        "is_live": task.is_live,
        "is_playlist": task.is_playlist,
        "playlist_id": task.playlist_id,
        "playlist_index": task.playlist_index,
        "playlist_total": task.playlist_total,
        "playlist_skipped": task.playlist_skipped,
        "file_name": task.file_name if has_file else "",
        "side_files": task.side_files if has_file else [],
        "file_size": task.file_size,
        "file_url": file_url(task) if has_file else "",
        "revision": task.revision,
    }


def progress_json(task: Task) -> dict[str, Any]:
    """How far a task is, as a `progress` message of the feed says it."""
    return {
        "status": task.status,
        "percentage": round(task.progress_percentage, 1),
        "downloaded_bytes": task.downloaded_bytes,
        "total_bytes": task.total_bytes,
        "speed": task.speed,
        "eta": task.eta,
        "progress_text": progress_text(task),
        "speed_text": f"{megabytes(task.speed)}/s",
    }


def progress_text(task: Task) -> str:
    """As the specification writes it: `45.7% (11.0 MB/24.0 MB)`; without the total where it is not known."""
    sizes = megabytes(task.downloaded_bytes)
    if task.total_bytes:
        sizes += f"/{megabytes(task.total_bytes)}"
    return f"{task.progress_percentage:.1f}% ({sizes})"


def megabytes(size: int) -> str:
    """The specification's MB are 1024 * 1024 bytes: 11534336 is written `11.0 MB`."""
    return f"{size / 1024 / 1024:.1f} MB"
