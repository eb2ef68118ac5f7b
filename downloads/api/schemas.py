"""The shapes of requests and answers, with the examples of the specification."""

from typing import Annotated

from ninja import Field, Schema
from pydantic import ConfigDict

from downloads.engine.formats import PostProcessing, Quality
from downloads.models import ID_LENGTH
from downloads.states import Status, Stop

TASK_ID = "abc123def456"
Text = Annotated[str, Field(max_length=64 * 1024)]


class TaskIn(Schema):
    """What to download, and in which form."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
                "quality": "720p",
                "post_processing": "mp4",
                "cookies": "",
                "custom_filename": "my_video.mp4",
            }
        }
    )

    url: Annotated[str, Field(max_length=8192, description="The page or file to download.")]
    quality: Quality = Quality.BEST
    post_processing: PostProcessing = PostProcessing.NONE
    cookies: Annotated[Text, Field(description="A Cookie header, a cookies.txt, or a browser extension's JSON.")] = ""
    custom_filename: Annotated[str, Field(max_length=1000, description="A name, not a path.")] = ""


class Created(Schema):
    """A task was made."""

    task_id: str = Field(examples=[TASK_ID], min_length=ID_LENGTH, max_length=ID_LENGTH)
    message: str = "Download task created successfully"
    status: str = "created"


class Acknowledged(Schema):
    """It was done to this task."""

    message: str = Field(examples=["Download started"])
    task_id: str = Field(examples=[TASK_ID])


class TaskOut(Schema):
    """A task. Sizes in bytes, 0 while unknown; times in seconds since 1970, null until they come."""

    id: str = Field(examples=[TASK_ID])
    url: str
    title: str
    status: Status
    progress_percentage: float = Field(ge=0, le=100)
    downloaded_bytes: int
    total_bytes: int
    speed: int = Field(description="Bytes a second.")
    eta: int = Field(description="Seconds left.")
    created_at: float
    started_at: float | None
    completed_at: float | None
    error_message: str
    error_code: str
    error_reason: str
    finished_at: float | None
    quality: Quality
    post_processing: PostProcessing
    custom_filename: str
    stopping: Stop
    failures: int = Field(description="Failures in a row; the next attempt is one more.")
    next_attempt_at: float | None
    site: str
    uploader: str
    duration: float = Field(description="Seconds, 0 while unknown.")
    thumbnail: str
    file_name: str
    file_size: int
    file_url: str
    revision: int


class Qualities(Schema):
    """What may be asked for."""

    qualities: list[str]
    post_processing: list[str]


class SupportedSites(Schema):
    """The featured sites; the engine knows many more."""

    supported_sites: list[str]
    total_sites: int


class Health(Schema):
    """The service answers."""

    status: str = "healthy"
    message: str = "Downie Enhanced Backend is running"
    version: str


class Stats(Schema):
    """Counts at a glance."""

    active_downloads: int
    total_downloads: int
    supported_sites: int


class FieldError(Schema):
    """One wrong field of a request."""

    field: str
    message: str


class Error(Schema):
    """What went wrong, in one sentence for people and one word for programs."""

    detail: str
    error_code: str = Field(examples=["INVALID_URL"])
    timestamp: str = Field(examples=["2025-01-30T10:00:00Z"])


class InvalidInput(Error):
    """What is wrong with the request, field by field."""

    errors: list[FieldError]
