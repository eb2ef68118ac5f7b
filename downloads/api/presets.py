"""Presets: parse, one verb, one shape."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Field, Router, Schema
from pydantic import ConfigDict, StrictBool
from pydantic.config import JsonDict

from downloads import presets
from downloads.api.schemas import Choices, Description, Error, InvalidInput
from downloads.api.wishes import ChoicesIn, choices_of
from downloads.engine.formats import PostProcessing, Quality
from downloads.models import Preset
from downloads.models.preset import NAME

router = Router(tags=["Presets"])

Json = dict[str, Any]

Name = Annotated[str, Field(examples=["phone"], description="Letters, digits, - and _.")]
EXAMPLE: JsonDict = {
    "quality": "720p",
    "post_processing": "mp4",
    "subtitles": {"languages": ["en"]},
    "is_default": False,
}


class PresetIn(ChoicesIn):
    """What the preset says; what is left out is as usual."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    description: Description = ""
    quality: Quality = Quality.BEST
    post_processing: PostProcessing = PostProcessing.NONE
    is_default: StrictBool = Field(default=False, description="Whether it holds wherever no preset is named.")


class PresetOut(Schema):
    """A preset."""

    name: str = Field(examples=["phone"], pattern=NAME)
    description: str
    quality: Quality
    post_processing: PostProcessing
    choices: Choices
    is_default: bool


class PresetDeleted(Schema):
    """It is gone."""

    message: str = "Preset deleted"
    name: str = Field(examples=["phone"])


@router.get("/downloads/presets", response=list[PresetOut], operation_id="list_presets", summary="List presets")
def list_presets(request: HttpRequest) -> list[Json]:
    """List the presets, by name."""
    return [_preset(preset) for preset in Preset.objects.all()]


@router.get(
    "/downloads/presets/{name}",
    response={200: PresetOut, 404: Error},
    operation_id="get_preset",
    summary="Show a preset",
)
def preset(request: HttpRequest, name: Name) -> Json:
    """Show one preset."""
    return _preset(presets.find(name))


@router.put(
    "/downloads/presets/{name}",
    response={200: PresetOut, 409: Error, 422: InvalidInput},
    operation_id="put_preset",
    summary="Store a preset",
)
def put(request: HttpRequest, name: Name, payload: PresetIn) -> Json:
    """Store a preset under this name, in the place of one that is there."""
    stored = presets.put(
        name,
        description=payload.description,
        quality=payload.quality,
        post_processing=payload.post_processing,
        choices=choices_of(payload),
        is_default=payload.is_default,
    )
    return _preset(stored)


@router.delete(
    "/downloads/presets/{name}",
    response={200: PresetDeleted, 404: Error},
    operation_id="delete_preset",
    summary="Delete a preset",
)
def delete(request: HttpRequest, name: Name) -> Json:
    """Delete a preset; tasks that were made by it stay as they are."""
    presets.delete(name)
    return {"name": name}


def _preset(preset: Preset) -> Json:
    return {
        "name": preset.name,
        "description": preset.description,
        "quality": preset.quality,
        "post_processing": preset.post_processing,
        "choices": preset.choices,
        "is_default": preset.is_default,
    }
