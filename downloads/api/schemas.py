"""The shapes of requests and answers, with the examples of the specification.

Plain pydantic models: ninja's own `Schema` asks Python for every field of every task, which is half of a list's time.
"""

from typing import Annotated, Any, Literal

from ninja import Field
from pydantic import BaseModel, StrictBool

from downloads.api.errors import STATUSES
from downloads.engine.formats import PostProcessing, Quality
from downloads.models import ID_LENGTH
from downloads.models.webhook import DeliveryStatus, Event
from downloads.states import Outcome, Status, Stop, Wait

TASK_ID = "abc123def456"
Text = Annotated[str, Field(max_length=64 * 1024)]
Choices = Annotated[
    dict[str, Any],
    Field(
        description="The finer wishes that are not as usual, under their names in `add`.",
        examples=[{"subtitles": {"languages": ["en"]}, "max_height": 720}],
    ),
]
ErrorCode = Annotated[str, Field(json_schema_extra={"enum": sorted(STATUSES)})]


class Created(BaseModel):
    """A task was made, or is there already."""

    task_id: str = Field(examples=[TASK_ID], min_length=ID_LENGTH, max_length=ID_LENGTH)
    message: str = "Download task created successfully"
    status: Literal["created", "exists"] = "created"


class Acknowledged(BaseModel):
    """It was done to this task."""

    message: str = Field(examples=["Download started"])
    task_id: str = Field(examples=[TASK_ID])


class CleanedUp(BaseModel):
    """Finished tasks were removed."""

    message: str = Field(examples=["Cleaned up tasks older than 24 hours"])
    removed: int = Field(description="How many tasks that were.", examples=[3])


class ItemCreated(BaseModel):
    """An item of the batch became a task, or is one already."""

    task_id: str = Field(examples=[TASK_ID], min_length=ID_LENGTH, max_length=ID_LENGTH)
    url: str
    status: Literal["created", "exists"]


class ItemRefused(BaseModel):
    """An item of the batch that became no task; the others did."""

    url: str = Field(description="As it was sent; empty if it was no text.")
    status: Literal["error"]
    error: str
    error_code: ErrorCode = Field(examples=["INVALID_URL"])


class BatchCreated(BaseModel):
    """What became of each item, in order."""

    results: list[ItemCreated | ItemRefused]


class TaskDone(BaseModel):
    """It was done to this task; `stopping` means that it will be as soon as no process of it is left."""

    task_id: str = Field(examples=[TASK_ID])
    status: Literal["started", "paused", "resumed", "cancelled", "deleted", "stopping"]


class TaskRefused(BaseModel):
    """It could not be done to this task."""

    task_id: str = Field(examples=[TASK_ID])
    status: Literal["error"]
    error: str
    error_code: ErrorCode = Field(examples=["TASK_NOT_FOUND"])


class BatchDone(BaseModel):
    """What became of each task, in order; an id that was sent twice is answered once."""

    results: list[TaskDone | TaskRefused]


class DownloadStats(BaseModel):
    """All tasks in figures."""

    total_tasks: int
    active_tasks: int = Field(description="Starting, downloading or processing.")
    completed_tasks: int
    failed_tasks: int
    pending_tasks: int = Field(description="Pending or queued.")
    total_downloaded_bytes: int
    current_speed: int = Field(description="Bytes a second, of all that run.")
    cancelled_tasks: int
    paused_tasks: int
    free_bytes: int = Field(description="Free where the library is.")
    is_space_short: bool = Field(description="Less than 5 GB will be left when all that runs is here.")


class Counts(BaseModel):
    """How many tasks are in each state; a playlist counts as one, beside its items."""

    pending: int
    queued: int
    starting: int
    downloading: int
    processing: int
    paused: int
    completed: int
    failed: int
    cancelled: int


class AttemptOut(BaseModel):
    """One run of one worker at a task. Times in seconds since 1970."""

    number: int = Field(examples=[1])
    started_at: float
    ended_at: float | None = Field(description="Null while it runs.")
    bytes_on_disk: int = Field(description="At its end.")
    outcome: str = Field(description=f"Empty while it runs, then one of {', '.join(Outcome)}.", examples=["completed"])
    error_code: str
    error_message: str
    notes: list[str] = Field(description="What of the wishes could not be had, in sentences.")


class StreamOut(BaseModel):
    """One stream of a file. Texts are empty and numbers 0 where they are unknown or make no sense."""

    kind: str = Field(examples=["video"])
    codec: str = Field(examples=["h264"])
    profile: str = Field(examples=["High"])
    width: int = Field(examples=[1920])
    height: int = Field(examples=[1080])
    fps: float = Field(examples=[30.0])
    channels: int
    sample_rate: int
    bit_rate: int = Field(description="Bits a second.", examples=[4500000])


class MediaOut(BaseModel):
    """What a finished file holds."""

    container: str = Field(description="As ffprobe calls it.", examples=["mov,mp4,m4a,3gp,3g2,mj2"])
    duration: float = Field(description="Seconds, 0 where unknown.")
    size: int = Field(description="Bytes.", examples=[25165824])
    streams: list[StreamOut]


class TaskOut(BaseModel):
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
    choices: Choices
    custom_filename: str
    keep: bool = Field(description="Kept for good: neither retention nor cleanup takes it.")
    stopping: Stop
    failures: int = Field(description="Failures in a row; the attempt that runs or waits is one more.")
    max_failures: int = Field(description="After so many it is not tried again.", examples=[5])
    next_attempt_at: float | None
    waits_for: Wait = Field(
        description="What a queued task needs beside a free place: `room` on the disk; and where a single task is "
        "asked for, the working `hours`, the `rest` that its site has asked for, fewer downloads from that `host`, the "
        "`pause` between two of them, or the `machine` that has its bytes. Empty for nothing."
    )
    needed_bytes: int = Field(description="How much room that is, as far as it is known; 0 while it waits for none.")
    usable_bytes: int | None = Field(description="How much of that there was when it was refused; null otherwise.")
    site: str
    uploader: str
    duration: float = Field(description="Seconds, 0 while unknown.")
    thumbnail: str
    picture_url: str = Field(description="A small JPEG of the video, served from here; empty while there is none.")
    is_live: bool = Field(description="A live stream; `finish` ends its recording.")
    is_playlist: bool = Field(description="Its items are tasks of their own; it is what they are.")
    playlist_id: str | None = Field(description="The playlist that this is an item of.")
    playlist_index: int = Field(description="Its place there, from 1; 0 where there is none.")
    playlist_total: int = Field(description="Of a playlist: how many entries the site has, as far as it says.")
    playlist_skipped: int = Field(description="Of a playlist: how many were left out since they are here already.")
    file_name: str = Field(description="Relative to the library, with its folders.")
    side_files: list[str] = Field(description="Subtitles and pictures beside it, relative to the library.")
    file_size: int
    file_url: str
    revision: int


class Qualities(BaseModel):
    """What may be asked for."""

    qualities: list[str]
    post_processing: list[str] = Field(examples=[["none", "audio", "mp4", "permute"]])


class SupportedSites(BaseModel):
    """The featured sites; the engine knows many more."""

    supported_sites: list[str] = Field(examples=[["youtube.com", "youtu.be", "vimeo.com"]])
    total_sites: int


class Health(BaseModel):
    """The service answers."""

    status: str = "healthy"
    message: str = "Downie Enhanced Backend is running"
    version: str


class Stats(BaseModel):
    """Counts at a glance."""

    active_downloads: int
    total_downloads: int
    supported_sites: int = Field(examples=[12])


class Ticket(BaseModel):
    """Opens the feed once."""

    ticket: str
    expires_in: int = Field(examples=[30], description="Seconds.")


class CheckOut(BaseModel):
    """What a check found, in one sentence."""

    status: Literal["ok", "warning", "failed"]
    detail: str = Field(examples=["A file can be written there."])
    seconds: float = Field(description="How long it took.")
    version: str | None
    free_bytes: int | None
    age_days: int | None


class Readiness(BaseModel):
    """Whether everything that downloads need works: `degraded` with a warning, `not_ready` where something failed."""

    status: Literal["ready", "degraded", "not_ready"]
    checks: dict[str, CheckOut] = Field(
        description="database, broker, channel_layer, library, work_folder, ffmpeg, ffprobe, javascript, yt_dlp_ejs, "
        "curl_cffi, yt_dlp and engine."
    )


WEBHOOK_ID = "0a1b2c3d4e5f"
WebhookUrl = Annotated[
    str,
    Field(
        min_length=1, max_length=8192, description="Where to send to.", examples=["https://example.com/hooks/downie"]
    ),
]
WebhookEvents = Annotated[
    list[Event], Field(min_length=1, max_length=20, description="What to tell.", examples=[["task.completed"]])
]
Description = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["Tells the media server"])]


class WebhookIn(BaseModel):
    """Who wants to be told, and of what."""

    url: WebhookUrl
    events: WebhookEvents = list(Event)
    description: Description = ""
    active: StrictBool = True


class WebhookPatch(BaseModel):
    """What is to be changed; what is left out stays."""

    url: WebhookUrl = Field(default_factory=str)
    events: WebhookEvents = Field(default_factory=list)
    description: Description = Field(default_factory=str)
    active: StrictBool = Field(default_factory=bool)


class WebhookOut(BaseModel):
    """A webhook, without its secret."""

    id: str = Field(examples=[WEBHOOK_ID])
    url: str = Field(examples=["https://example.com/hooks/downie"])
    events: list[Event]
    active: bool
    description: str
    disabled_because: str = Field(description="Why the service switched it off: it answered 410.")
    created_at: float


class WebhookCreated(WebhookOut):
    """A new webhook with its secret, which is shown this once."""

    secret: str = Field(
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="],
        description="Verifies messages, as in the Standard Webhooks specification.",
    )


class Deleted(BaseModel):
    """It is gone."""

    message: str = "Webhook deleted"
    webhook_id: str = Field(examples=[WEBHOOK_ID])


class DeliveryOut(BaseModel):
    """One message to one webhook, and what came of it. Times in seconds since 1970."""

    id: str = Field(examples=["msg_0a1b2c3d4e5f6a7b8c9d0e1f"], description="The header `webhook-id`.")
    event: str = Field(examples=["task.completed"])
    task_id: str = Field(examples=[TASK_ID], description="Empty for a test.")
    status: DeliveryStatus
    attempts: int
    next_attempt_at: float | None
    created_at: float
    ended_at: float | None
    last_code: int = Field(examples=[200], description="HTTP status of the last answer, 0 where there was none.")
    last_error: str
    last_answer: str = Field(description="The first 1,024 bytes of the last answer.")
    last_duration: float = Field(description="Seconds.")


class FieldError(BaseModel):
    """One wrong field of a request."""

    field: str
    message: str


class Error(BaseModel):
    """What went wrong, in one sentence for people and one word for programs."""

    detail: str
    error_code: ErrorCode = Field(examples=["INVALID_URL"])
    timestamp: str = Field(examples=["2025-01-30T10:00:00Z"])


class InvalidInput(Error):
    """What is wrong with the request, field by field."""

    errors: list[FieldError]
