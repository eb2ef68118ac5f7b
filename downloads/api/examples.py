"""An example for every answer in the document: made from its schema, so that none can be forgotten or grow stale.

A field's own example goes first, then what `VALUES` says for its name, then its default, then its kind.
"""

from typing import Any, Final

Json = dict[str, Any]

NOW: Final = 1706616000.0
VALUES: Final[Json] = {
    "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    "title": "Rick Astley - Never Gonna Give You Up",
    "status": "downloading",
    "progress_percentage": 45.7,
    "downloaded_bytes": 11534336,
    "total_bytes": 25165824,
    "speed": 1048576,
    "eta": 13,
    "created_at": NOW,
    "started_at": NOW + 5,
    "completed_at": None,
    "finished_at": None,
    "ended_at": NOW + 5,
    "next_attempt_at": None,
    "waits_for": "",
    "needed_bytes": 0,
    "usable_bytes": None,
    "error": "This is not the address of a video; check it and add it again.",
    "error_message": "",
    "error_code": "",
    "error_reason": "",
    "quality": "720p",
    "post_processing": "mp4",
    "custom_filename": "my_video.mp4",
    "keep": False,
    "stopping": "",
    "site": "youtube.com",
    "uploader": "Rick Astley",
    "duration": 212,
    "thumbnail": "https://img.youtube.com/vi/dQw4w9WgXcQ/maxresdefault.jpg",
    "description": "Official video...",
    "ext": "mp4",
    "filesize": 25165824,
    "width": 1280,
    "height": 720,
    "fps": 30,
    "video_codec": "avc1.64001F",
    "audio_codec": "mp4a.40.2",
    "bitrate": 950.5,
    "video_bitrate": 822.5,
    "audio_bitrate": 128.0,
    "language": "en",
    "note": "720p",
    "name": "phone",
    "version": "1.0.0",
    "timestamp": "2025-01-30T10:00:00Z",
    "ticket": "3yqH5h0aXIvYJpZr8bVQ2c",
    "playlist_id": None,
    "file_name": "",
    "file_url": "",
    "picture_url": "/api/downloads/tasks/abc123def456/picture",
    "disabled_because": "",
    "qualities": ["auto", "best", "1080p", "720p", "480p", "360p", "worst"],
    "selected_formats": ["22"],
    "total_sites": 12,
    "message": "Operation successful",
}
# One sentence for each status of an error; what is not found or in the way depends on the endpoint.
ERRORS: Final = {
    400: ("INVALID_URL", "Only web addresses that begin with http:// or https:// can be downloaded."),
    401: ("UNAUTHORIZED", "This API key is not known here: it may have expired or been revoked."),
    403: ("FORBIDDEN", 'This API key is not good for this: it lacks the scope "manage".'),
    404: ("TASK_NOT_FOUND", "There is no task with this id; it may have been deleted."),
    409: ("TASK_ALREADY_RUNNING", "This task is waiting or running already."),
    413: ("VALIDATION_ERROR", "The body is larger than 2 MiB."),
    422: ("VALIDATION_ERROR", "url: Field required."),
    429: ("RATE_LIMITED", "Too many requests; try again in 30 seconds."),
    500: ("EXTRACTION_FAILED", "The site has changed and is not understood any more; an update of yt-dlp may help."),
    503: ("INTERNAL_ERROR", "The database does not answer."),
}
PARTICULAR: Final = {
    ("webhooks", 404): ("WEBHOOK_NOT_FOUND", "There is no webhook with this id; it may have been deleted."),
    ("webhooks", 409): ("TOO_MANY_WEBHOOKS", "There are 50 webhooks already; delete one first."),
    ("presets", 404): ("PRESET_NOT_FOUND", "There is no preset with this name; it may have been deleted."),
    ("presets", 409): ("TOO_MANY_PRESETS", "There are 100 presets already; delete one first."),
    ("cancel", 409): ("TASK_NOT_ACTIVE", "This task is completed; there is nothing to cancel."),
    ("pause", 409): (
        "TASK_NOT_PAUSABLE",
        "This task is processing; only one that waits for its turn or downloads can be paused.",
    ),
    ("resume", 409): ("TASK_NOT_PAUSED", "This task is failed; only a paused one can be resumed."),
    ("retry", 409): ("TASK_NOT_RETRYABLE", "This task is paused; only a failed or cancelled one can be retried."),
    ("finish", 409): (
        "TASK_NOT_LIVE",
        "This task is not recording a live stream; only such a one can be finished early.",
    ),
    ("file", 409): ("TASK_NOT_COMPLETED", "This task has no file yet; its status says how far it is."),
    ("file", 500): ("DOWNLOAD_FAILED", "The site's server has an error; try again later."),
    ("add", 409): (
        "IDEMPOTENCY_KEY_REUSED",
        "This Idempotency-Key came with another request before; use a new key for a new request.",
    ),
}
PATCHED: Final = ("TASK_NOT_EDITABLE", "This task is downloading; pause or cancel a task to change it.")


def error_example(method: str, path: str, status: int) -> Json:
    """What an endpoint answers with this status, for example."""
    parts = path.split("/")
    named = next((PARTICULAR[part, status] for part in parts if (part, status) in PARTICULAR), ERRORS[status])
    code, sentence = PATCHED if (method, status) == ("patch", 409) else named
    example: Json = {"detail": sentence, "error_code": code, "timestamp": VALUES["timestamp"]}
    if status == 422:  # noqa: PLR2004
        example["errors"] = [{"field": "url", "message": "Field required"}]
    return example


def example_of(schema: Json, shapes: Json, name: str = "") -> Any:  # noqa: ANN401  whatever the schema describes
    """A value that this schema describes; `shapes` are the document's named ones, `name` is the field's."""
    schema = _resolved(schema, shapes)
    given = [schema[key] for key in ("example", "const") if key in schema] + schema.get("examples", [])[:1]
    if name in VALUES and ("enum" not in schema or VALUES[name] in schema["enum"]):
        given.append(VALUES[name])
    given += [schema["default"]] if "default" in schema else []
    given += schema.get("enum", [])[:1]
    return given[0] if given else _of_kind(schema, shapes)


def _resolved(schema: Json, shapes: Json) -> Json:
    """The schema itself, for one that only names it, or that is one of several."""
    choices = [choice for key in ("allOf", "anyOf", "oneOf") for choice in schema.get(key, [])]
    if choices:
        own = {key: schema[key] for key in ("default", "examples") if key in schema}
        return _resolved(choices[0] | own, shapes)
    if "$ref" in schema:
        named: Json = shapes[schema["$ref"].rpartition("/")[2]]
        return named | {key: schema[key] for key in schema if key != "$ref"}
    return schema


def _of_kind(schema: Json, shapes: Json) -> Any:  # noqa: ANN401
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            if isinstance(schema.get("additionalProperties"), dict):
                fields = {"database": schema["additionalProperties"]}
            return {name: example_of(field, shapes, name) for name, field in fields.items()}
        case "array":
            return [example_of(schema["items"], shapes)]
        case "boolean":
            return False
        case "integer":
            return max(int(schema.get("minimum", 0)), 0)
        case "number":
            return max(float(schema.get("minimum", 0)), 0.0)
        case _:
            return ""
