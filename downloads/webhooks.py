"""Telling others: what is said to an endpoint, how it is signed, and what its answer means.

Signed as in the Standard Webhooks specification, at least once: the `webhook-id` stays the same over every try.
"""

import json
import logging
import random
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from standardwebhooks import Webhook

from downie_project.version import VERSION
from downloads import egress
from downloads.engine.network import AddressPolicy
from downloads.models import Result, Task, WebhookDelivery
from downloads.models.webhook import TEST_EVENT, restored
from downloads.schemas import task_json
from downloads.sealing import Unreadable

# Seconds until the next try: eight in all, over about ten hours
DELAYS: Final = (5.0, 30.0, 120.0, 600.0, 3600.0, 3 * 3600.0, 6 * 3600.0)
JITTER: Final = 0.2
TIME_LIMIT: Final = 10.0  # seconds until the status of the answer
KEPT_OF_ANSWER: Final = 1024  # bytes

logger = logging.getLogger(__name__)


def deliver(delivery_id: str) -> None:
    """Try this delivery once, if it is due, and write what came of it."""
    delivery = WebhookDelivery.objects.claim(delivery_id)
    if delivery is None or delivery.claim is None:
        return
    claim, result = delivery.claim, _try(delivery)
    if not result.sentence:
        delivery.succeed(claim, result)
    elif result.code == HTTPStatus.GONE:
        delivery.give_up(claim, result)
        delivery.endpoint.switch_off(result.sentence)
    elif delivery.attempts > len(DELAYS):
        delivery.give_up(claim, result)
    else:
        delivery.retry_later(claim, result, _delay(delivery.attempts))
    logger.info(
        "Webhook: %s",
        result.sentence or "delivered",
        extra={"delivery": str(delivery.id), "attempt": str(delivery.attempts)},
    )


def body(delivery: WebhookDelivery) -> str:
    """What is sent: the same text at every try."""
    content = {"type": delivery.event, "timestamp": _iso(delivery.created_at), "data": _data(delivery)}
    return json.dumps(content, separators=(",", ":"))


def _data(delivery: WebhookDelivery) -> dict[str, Any]:
    if delivery.event == TEST_EVENT:
        return {"webhook_id": delivery.endpoint_id, "message": "This is a test."}
    return task_json(restored(Task, delivery.snapshot))


def _try(delivery: WebhookDelivery) -> Result:
    began = time.monotonic()
    try:
        text = body(delivery)
        answer = egress.post(
            delivery.endpoint.url,
            text.encode(),
            _headers(delivery, text),
            policy=AddressPolicy(settings.ALLOWED_NETWORKS),
            limit=TIME_LIMIT,
        )
    except Unreadable as error:
        sentence = f"The secret of this webhook cannot be read ({error}): delete the webhook and add it again."
        return Result(code=0, sentence=sentence)
    except egress.Unreachable as error:
        return Result(code=0, sentence=str(error), seconds=time.monotonic() - began)
    return Result(
        code=answer.code,
        sentence=_complaint(answer.code),
        answer=answer.body[:KEPT_OF_ANSWER].decode(errors="replace").replace("\0", "\ufffd"),
        seconds=time.monotonic() - began,
    )


def _headers(delivery: WebhookDelivery, text: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "Content-Type": "application/json",
        "User-Agent": f"Downie-Enhanced/{VERSION}",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(delivery.endpoint.secret()).sign(delivery.id, now, text),
    }


def _complaint(code: int) -> str:
    """What is wrong with an answer of this status; empty when nothing is."""
    match code // 100:
        case 2:
            return ""
        case 3:
            return f"It answered with a redirect ({code}), which is not followed: enter the address that it leads to."
        case _ if code == HTTPStatus.GONE:
            return "It answered 410 Gone: it wants to hear nothing more."
        case _:
            return f"It answered with the status {code} instead of one of 200 to 299."


def _delay(attempts: int) -> float:
    """Seconds until the try after so many, spread out, so that many do not come at once."""
    return DELAYS[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  no secret


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
