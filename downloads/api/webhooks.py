"""Webhooks and their log: parse, one verb, one shape."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from downloads import subscriptions
from downloads.api.schemas import (
    Deleted,
    DeliveryOut,
    Error,
    InvalidInput,
    WebhookCreated,
    WebhookIn,
    WebhookOut,
    WebhookPatch,
)
from downloads.models import WebhookDelivery, WebhookEndpoint
from downloads.models.webhook import DeliveryStatus
from downloads.schemas import epoch

router = Router(tags=["Webhooks"])

Json = dict[str, Any]

Limit = Annotated[int, Query(ge=1, le=500, description="How many deliveries at most.")]
Offset = Annotated[int, Query(ge=0, le=2**31, description="How many of the newest to pass over.")]


@router.get("/webhooks", response=list[WebhookOut])
def webhooks(request: HttpRequest) -> list[Json]:
    """List the webhooks, newest first."""
    return [_webhook(endpoint) for endpoint in WebhookEndpoint.objects.all()]


@router.post("/webhooks", response={200: WebhookCreated, 400: Error, 409: Error, 422: InvalidInput})
def add(request: HttpRequest, payload: WebhookIn) -> Json:
    """Add a webhook. The answer holds its secret, which is never shown again."""
    endpoint, secret = subscriptions.add(**payload.dict())
    return _webhook(endpoint) | {"secret": secret}


@router.get("/webhooks/{webhook_id}", response={200: WebhookOut, 404: Error})
def webhook(request: HttpRequest, webhook_id: str) -> Json:
    """Show one webhook."""
    return _webhook(subscriptions.find(webhook_id))


@router.patch("/webhooks/{webhook_id}", response={200: WebhookOut, 400: Error, 404: Error, 422: InvalidInput})
def change(request: HttpRequest, webhook_id: str, payload: WebhookPatch) -> Json:
    """Change what is named, and nothing else."""
    return _webhook(subscriptions.change(webhook_id, **payload.dict(exclude_unset=True)))


@router.delete("/webhooks/{webhook_id}", response={200: Deleted, 404: Error})
def delete(request: HttpRequest, webhook_id: str) -> Json:
    """Delete a webhook and its log; what is still to be sent is not."""
    subscriptions.delete(webhook_id)
    return {"webhook_id": webhook_id}


@router.post("/webhooks/{webhook_id}/test", response={200: DeliveryOut, 404: Error, 409: Error})
def test(request: HttpRequest, webhook_id: str) -> Json:
    """Send a message of the type `webhook.test`; the log says what became of it."""
    return _delivery(subscriptions.test(webhook_id))


@router.get("/webhooks/{webhook_id}/deliveries", response={200: list[DeliveryOut], 404: Error, 422: InvalidInput})
def deliveries(
    request: HttpRequest, response: HttpResponse, webhook_id: str, limit: Limit = 50, offset: Offset = 0
) -> list[Json]:
    """List what was sent there in the last 30 days, newest first; `X-Total-Count` says how many there are in all."""
    found = WebhookDelivery.objects.filter(endpoint=subscriptions.find(webhook_id)).newest_first()
    response.headers["X-Total-Count"] = str(found.count())
    return [_delivery(delivery) for delivery in found[offset : offset + limit]]


@router.post("/webhooks/deliveries/{delivery_id}/redeliver", response={200: DeliveryOut, 404: Error, 409: Error})
def redeliver(request: HttpRequest, delivery_id: str) -> Json:
    """Send it once more, under the same `webhook-id`, whatever came of it so far."""
    return _delivery(subscriptions.redeliver(delivery_id))


def _webhook(endpoint: WebhookEndpoint) -> Json:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": endpoint.events,
        "active": endpoint.active,
        "description": endpoint.description,
        "disabled_because": endpoint.disabled_because,
        "created_at": epoch(endpoint.created_at),
    }


def _delivery(delivery: WebhookDelivery) -> Json:
    return {
        "id": delivery.id,
        "event": delivery.event,
        "task_id": delivery.task_id,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "next_attempt_at": epoch(delivery.due_at) if delivery.status == DeliveryStatus.WAITING else None,
        "created_at": epoch(delivery.created_at),
        "ended_at": epoch(delivery.ended_at),
        "last_code": delivery.last_code,
        "last_error": delivery.last_error,
        "last_answer": delivery.last_answer,
        "last_duration": round(delivery.last_duration, 3),
    }
