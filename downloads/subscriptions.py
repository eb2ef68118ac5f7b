"""The verbs of people about webhooks: the door through which API and admin touch them."""

from functools import partial
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext_noop

from downloads import actors
from downloads.engine.network import BadUrl, normalise_url
from downloads.models import WebhookDelivery, WebhookEndpoint
from downloads.models.webhook import Event
from downloads.operations import address_policy
from downloads.refusals import Refused

MAX_ENDPOINTS: Final = 50


def checked_url(url: str) -> str:
    """The address as it is kept. A name is judged when it is told something, an address in numbers now.

    Raises:
        Refused: INVALID_URL.
    """
    try:
        return normalise_url(url, address_policy())
    except BadUrl as error:
        raise Refused("INVALID_URL", str(error), "url") from None


def find(webhook_id: str) -> WebhookEndpoint:
    """The webhook of this id.

    Raises:
        Refused: WEBHOOK_NOT_FOUND.
    """
    found = WebhookEndpoint.objects.filter(pk=webhook_id).first() if webhook_id.isalnum() else None
    if found is None:
        raise Refused("WEBHOOK_NOT_FOUND", gettext_noop("There is no webhook with this id; it may have been deleted."))
    return found


def find_delivery(delivery_id: str) -> WebhookDelivery:
    """The delivery of this id.

    Raises:
        Refused: DELIVERY_NOT_FOUND.
    """
    known = delivery_id.replace("_", "").isalnum()
    found = WebhookDelivery.objects.select_related("endpoint").filter(pk=delivery_id).first() if known else None
    if found is None:
        raise Refused(
            "DELIVERY_NOT_FOUND", gettext_noop("There is no delivery with this id; they are kept for 30 days.")
        )
    return found


def add(url: str, *, events: list[Event], description: str = "", active: bool = True) -> tuple[WebhookEndpoint, str]:
    """Store a webhook; with it comes its secret, this once.

    Raises:
        Refused: INVALID_URL or TOO_MANY_WEBHOOKS.
    """
    endpoint = WebhookEndpoint(url=checked_url(url), events=_in_order(events), description=description, active=active)
    if WebhookEndpoint.objects.count() >= MAX_ENDPOINTS:
        raise Refused("TOO_MANY_WEBHOOKS", f"There are {MAX_ENDPOINTS} webhooks already; delete one first.")
    secret = endpoint.make_secret()
    endpoint.save()
    endpoint.refresh_from_db()
    return endpoint, secret


def change(webhook_id: str, **changes: Any) -> WebhookEndpoint:  # noqa: ANN401  columns and their values
    """Change what is named; switching on forgets why it was switched off.

    Raises:
        Refused: WEBHOOK_NOT_FOUND or INVALID_URL.
    """
    endpoint = find(webhook_id)
    if "url" in changes:
        changes["url"] = checked_url(changes["url"])
    if "events" in changes:
        changes["events"] = _in_order(changes["events"])
    if changes.get("active"):
        changes["disabled_because"] = ""
    if changes:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**changes)
    return find(webhook_id)


def delete(webhook_id: str) -> None:
    """Delete a webhook and its log.

    Raises:
        Refused: WEBHOOK_NOT_FOUND.
    """
    find(webhook_id).delete()


def test(webhook_id: str) -> WebhookDelivery:
    """Send it a test.

    Raises:
        Refused: WEBHOOK_NOT_FOUND or WEBHOOK_INACTIVE.
    """
    endpoint = find(webhook_id)
    _must_be_active(endpoint)
    delivery = endpoint.send_test()
    transaction.on_commit(partial(actors.deliver_webhook.send, delivery.id))
    return delivery


def redeliver(delivery_id: str) -> WebhookDelivery:
    """Send this once more, under the same id, whatever came of it so far.

    Raises:
        Refused: DELIVERY_NOT_FOUND or WEBHOOK_INACTIVE.
    """
    delivery = find_delivery(delivery_id)
    _must_be_active(delivery.endpoint)
    delivery.send_again()
    transaction.on_commit(partial(actors.deliver_webhook.send, delivery.id))
    return delivery


def _must_be_active(endpoint: WebhookEndpoint) -> None:
    if not endpoint.active:
        raise Refused("WEBHOOK_INACTIVE", gettext_noop("This webhook is switched off; switch it on first."))


def _in_order(events: list[Event]) -> list[str]:
    return [event.value for event in Event if event in events]
