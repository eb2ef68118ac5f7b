"""What may be asked for, and how the service is."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from downie_project.version import VERSION
from downloads.api.schemas import Health, Qualities, Stats, SupportedSites
from downloads.engine.formats import QUALITIES, PostProcessing
from downloads.models import Task
from downloads.sites import FEATURED_SITES

router = Router(tags=["Service"])

Json = dict[str, Any]


@router.get(
    "/downloads/qualities",
    response=Qualities,
    operation_id="list_qualities",
    summary="List qualities and kinds of post-processing",
)
def qualities(request: HttpRequest) -> Json:
    """Say which qualities and kinds of post-processing there are."""
    return {"qualities": list(QUALITIES), "post_processing": list(PostProcessing)}


@router.get(
    "/downloads/supported-sites",
    response=SupportedSites,
    operation_id="list_supported_sites",
    summary="List the featured sites",
)
def supported_sites(request: HttpRequest) -> Json:
    """List the featured sites."""
    return {"supported_sites": list(FEATURED_SITES), "total_sites": len(FEATURED_SITES)}


@router.get("/health", response=Health, operation_id="get_health", summary="Say that the service answers")
def health(request: HttpRequest) -> Json:
    """Say that the service answers."""
    return {"version": VERSION}


@router.get("/stats", response=Stats, operation_id="get_service_stats", summary="Count at a glance")
def stats(request: HttpRequest) -> Json:
    """Count at a glance."""
    return {
        "active_downloads": Task.objects.running().count(),
        "total_downloads": sum(Task.objects.tally().values()),
        "supported_sites": len(FEATURED_SITES),
    }
