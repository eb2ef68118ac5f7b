"""What the database keeps."""

from downloads.models.task import (
    ID_LENGTH,
    LEASE,
    MAX_FAILURES,
    Attempt,
    Facts,
    LeaseLost,
    MoveRefused,
    Task,
    TaskQuerySet,
    new_task_id,
)

__all__ = [
    "ID_LENGTH",
    "LEASE",
    "MAX_FAILURES",
    "Attempt",
    "Facts",
    "LeaseLost",
    "MoveRefused",
    "Task",
    "TaskQuerySet",
    "new_task_id",
]
