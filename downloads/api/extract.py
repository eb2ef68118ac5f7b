"""Look first: what a site offers, before anything is downloaded."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from downloads import operations
from downloads.api.schemas import Error, InvalidInput, Text
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.messages import Described, Entry, Format

router = Router(tags=["Look first"])

Json = dict[str, Any]


class ExtractIn(Schema):
    """Which page, and what would be wanted of it."""

    url: str = Field(max_length=8192, examples=["https://www.youtube.com/watch?v=dQw4w9WgXcQ"])
    quality: Quality = Quality.BEST
    post_processing: PostProcessing = PostProcessing.NONE
    cookies: Text = ""


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
    thumbnail: str
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
    return video_json(payload.url, operations.extract(**payload.dict()))


def video_json(url: str, described: Described) -> Json:
    """The answer: the specification's fields, then ours."""
    found = described.found
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
    }


def _fields(struct: Format | Entry) -> Json:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
