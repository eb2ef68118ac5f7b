"""What is wanted of a link, as the API takes it: quality, processing, and the finer wishes, one flat field each."""

from typing import Annotated, Any, Literal, Self

from ninja import Field, Schema
from pydantic import ConfigDict, StrictBool, model_validator

from downloads.api.schemas import Text
from downloads.engine.choices import (
    ITEMS,
    LANGUAGE,
    MAX_BYTES,
    MAX_LANGUAGES,
    MAX_SECONDS,
    AudioFormat,
    Container,
    Place,
    Sponsors,
    VideoCodec,
)
from downloads.engine.formats import PostProcessing, Quality
from downloads.operations import IfExists, Wish

Language = Annotated[str, Field(pattern=LANGUAGE, examples=["en"])]
Seconds = Annotated[float, Field(strict=True, ge=0, le=MAX_SECONDS)]


class SubtitlesIn(Schema):
    """Which subtitles, and where they go."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"languages": ["en", "zh-Hans"]}})

    languages: list[Language] = Field(
        min_length=1,
        max_length=MAX_LANGUAGES,
        description="BCP 47 tags; `en` takes `en-GB` as well, `all` takes every one.",
    )
    auto: StrictBool = Field(
        default=False, description="Take machine-made ones where there are no others in a language."
    )
    place: Literal[Place.EMBED, Place.BESIDE] = Place.EMBED


class SectionIn(Schema):
    """A part of the video, in seconds from its beginning."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"from": 30, "to": 90}})

    start: Seconds = Field(0.0, alias="from")
    end: Seconds | None = Field(None, alias="to", gt=0, description="Null: the end of the video.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError("A section ends after it begins")
        return self


class ChoicesIn(Schema):
    """Finer wishes. What is left out is as the preset says, or else as usual."""

    audio_format: AudioFormat = Field(
        AudioFormat.SOURCE, description="For the post-processing `audio`; `source` keeps the codec and encodes nothing."
    )
    container: Container = Field(
        Container.SOURCE, description="For the post-processing `none`; streams are copied wherever it can hold them."
    )
    video_codec: VideoCodec = Field(
        VideoCodec.ANY, description="Preferred among the formats of the wanted height; nothing is encoded for it."
    )
    max_height: int = Field(
        0, strict=True, ge=0, le=10_000, description="Pixels of the shorter side, 0 for what `quality` says."
    )
    max_filesize: int = Field(0, strict=True, ge=0, le=MAX_BYTES, description="Bytes, 0 for no limit.")
    subtitles: SubtitlesIn | None = Field(None, description="None unless asked for.")
    thumbnail: Place = Field(Place.NONE, description="The picture of the video: in the file, or beside it.")
    metadata: StrictBool = Field(default=False, description="Write title, uploader, date and link into the file.")
    chapters: StrictBool = Field(default=False, description="Write the site's chapters into the file.")
    sponsorblock: Sponsors = Field(Sponsors.KEEP, description="What becomes of parts that SponsorBlock knows.")
    section: SectionIn | None = Field(None, description="Only a part of the video.")
    live_from_start: StrictBool = Field(
        default=False, description="Record a live stream from its start, where the site can."
    )
    playlist_items: str = Field(
        "",
        pattern=rf"{ITEMS}|^$",
        description="Which items of a playlist: numbers and ranges such as `1-10,15`; empty for all.",
        examples=["1-10,15"],
    )
    skip_existing: StrictBool = Field(
        default=False, description="Leave out items of a playlist that are in the library already."
    )


class TaskIn(ChoicesIn):
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
    preset: str = Field(
        "", max_length=50, description="What is left out is as this preset says; empty for the default preset, if any."
    )
    quality: Quality = Quality.BEST
    post_processing: PostProcessing = PostProcessing.NONE
    cookies: Annotated[Text, Field(description="A Cookie header, a cookies.txt, or a browser extension's JSON.")] = ""
    custom_filename: Annotated[str, Field(max_length=1000, description="A name, not a path.")] = ""
    auto_start: Annotated[bool, Field(description="Start it at once.")] = False
    if_exists: Annotated[
        IfExists,
        Field(
            description="With `return`, a task of the same link, quality and processing that is waiting or running "
            "is the answer, with the status `exists`; with `ask`, one of the same link in any state but failed and "
            "cancelled."
        ),
    ] = IfExists.NEW


class TaskPatch(ChoicesIn):
    """What to change; what is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"example": {"quality": "1080p", "custom_filename": "holiday.mp4"}})

    quality: Quality | None = None
    post_processing: PostProcessing | None = None
    cookies: Annotated[Text | None, Field(description="Empty: forget them.")] = None
    custom_filename: Annotated[str | None, Field(max_length=1000, description="Empty: name it by its title.")] = None
    keep: StrictBool | None = Field(
        None, description="Keep it for good: neither retention nor cleanup takes it. May be changed in every state."
    )


NAMES = set(ChoicesIn.model_fields)


def choices_of(payload: ChoicesIn) -> dict[str, Any]:
    """What was said of them, as a `Choices` is in JSON."""
    return payload.model_dump(mode="json", by_alias=True, exclude_unset=True, include=NAMES)


def wish_of(payload: TaskIn) -> Wish:
    """What was said, and nothing that was not: a preset may say it."""
    return Wish(**payload.model_dump(exclude_unset=True, exclude=NAMES), choices=choices_of(payload))


def changes_of(payload: TaskPatch) -> dict[str, Any]:
    """What `operations.change` takes."""
    return payload.model_dump(exclude_none=True, exclude=NAMES) | {"choices": choices_of(payload)}
