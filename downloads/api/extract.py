"""Look first: what a site offers, before anything is downloaded."""

from base64 import b64encode
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from downloads import operations
from downloads.api.schemas import Error, InvalidInput, Text
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.messages import Entry, Format
from downloads.lookups import Look, Question

router = Router(tags=["Look first"])

Json = dict[str, Any]


class ExtractIn(Schema):
    """Which page, and what would be wanted of it."""

    url: str = Field(max_length=8192, examples=["https://www.youtube.com/watch?v=dQw4w9WgXcQ"])
    quality: Quality = Quality.BEST
    post_processing: PostProcessing = PostProcessing.NONE
    cookies: Text = ""
    picture: bool = Field(default=False, description="Whether to wait for the picture too, 5 seconds at most.")


class FormatOut(Schema):
    """One form in which the site offers the video. Unknown numbers are 0; bitrates are in kilobits a second."""

    format_id: str = Field(examples=["22"])
    url: str
    ext: str = Field(examples=["mp4"])
    quality: str = Field(examples=["720p"])
    filesize: int = Field(description="Bytes.")
    width: int
    height: int
    fps: int
    video_codec: str = Field(description="Empty where there is no picture, or the site does not say.")
    audio_codec: str = Field(description="Empty where there is no sound, or the site does not say.")
    bitrate: float
    video_bitrate: float
    audio_bitrate: float
    protocol: str = Field(examples=["https"])
    language: str
    note: str


class EntryOut(Schema):
    """One video of a playlist, as far as the list itself tells."""

    url: str
    title: str
    duration: int
    thumbnail: str


class VideoInfo(Schema):
    """What the site says about the video, or about the list of videos."""

    url: str
    title: str = Field(examples=["Rick Astley - Never Gonna Give You Up"])
    duration: int = Field(description="Whole seconds, 0 where unknown.", examples=[212])
    thumbnail: str = Field(description="Where the site has its picture.")
    picture_url: str = Field(
        description="The picture itself: a `data:` URL of a small JPEG, made by the service. Empty unless asked for.",
    )
    description: str
    uploader: str = Field(examples=["Rick Astley"])
    formats: list[FormatOut]
    selected_formats: list[str] = Field(description="The ids of what a download would take.")
    site: str
    is_live: bool
    is_playlist: bool
    entries: list[EntryOut] = Field(description="The first 500 of a playlist.")
    total_entries: int


@router.post(
    "/downloads/extract",
    response={200: VideoInfo, 400: Error, 422: InvalidInput, 429: Error, 500: Error},
    operation_id="extract",
    summary="Look a link up, without downloading",
)
def extract(request: HttpRequest, payload: ExtractIn) -> Json:
    """Ask the site what it offers; takes as long as the site does, at most 60 s unless set otherwise.

    What it says is kept for five minutes, so that a download right after it need not ask again.
    """
    return video_json(payload.url, operations.extract(Question(**payload.dict())))


def video_json(url: str, look: Look) -> Json:
    """The answer: the specification's fields, then ours."""
    described = look.described
    found = described.found
    picture = f"data:image/jpeg;base64,{b64encode(look.picture).decode()}" if look.picture else ""
    return {
        "url": url,
        "title": found.title,
        "duration": round(found.duration),
        "thumbnail": found.thumbnail,
        "description": described.description,
        "uploader": found.uploader,
        "formats": [_fields(each) for each in described.formats],
        "selected_formats": described.selected_formats,
        "site": found.site,
        "is_live": described.is_live,
        "is_playlist": described.is_playlist,
        "entries": [_fields(each) for each in described.entries],
        "total_entries": described.total_entries,
        "picture_url": picture,
    }


def _fields(struct: Format | Entry) -> Json:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
