"""Webhooks: who wants to be told of what, and every delivery, due or done."""

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from downloads.sealing import seal, unseal
from downloads.states import Status

# A delivery takes 10 s at most; one whose worker died meanwhile is due again after this.
CLAIM = timedelta(seconds=60)
KEPT = timedelta(days=30)
SECRET_BYTES = 32
TEST_EVENT = "webhook.test"
# Never told to anybody: what is secret, and who holds the row
_PRIVATE = frozenset({"sealed_cookies", "lease", "lease_expires_at", "worker", "error_detail"})

Row = TypeVar("Row", bound=models.Model)


class Event(models.TextChoices):
    """What can be told; the values are the words on the wire."""

    COMPLETED = "task.completed", _("A task was completed")
    FAILED = "task.failed", _("A task failed")
    CANCELLED = "task.cancelled", _("A task was cancelled")


EVENTS = {Status.COMPLETED: Event.COMPLETED, Status.FAILED: Event.FAILED, Status.CANCELLED: Event.CANCELLED}


class DeliveryStatus(models.TextChoices):
    """Where a delivery is."""

    WAITING = "waiting", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Given up")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one try at a delivery came to.

    `code` is the HTTP status, 0 where there was no answer; `sentence` says what went wrong, empty on success; `answer`
    is the beginning of what the endpoint said; `seconds` is how long it took.
    """

    code: int
    sentence: str = ""
    answer: str = ""
    seconds: float = 0


def all_events() -> list[str]:
    """Every event."""
    return [event.value for event in Event]


def new_endpoint_id() -> str:
    """Twelve random lower-case hexadecimal characters, like a task's."""
    return secrets.token_hex(6)


def new_delivery_id() -> str:
    """The `webhook-id` of a delivery: the same for every try, so that a receiver knows what it has had."""
    return f"msg_{secrets.token_hex(12)}"


def new_secret() -> str:
    """A secret as the Standard Webhooks specification writes it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def snapshot(row: models.Model) -> dict[str, Any]:
    """The row as it is now, for JSON, without what is secret: whoever is told may be told when it is gone."""
    fields = [field for field in row._meta.concrete_fields if field.name not in _PRIVATE]  # noqa: SLF001  its documented interface
    return {field.attname: field.value_to_string(row) for field in fields if field.value_from_object(row) is not None}


def restored(model: type[Row], fields: dict[str, Any]) -> Row:
    """The row that `snapshot` was made of; fields that the model has no more are passed over."""
    known = {field.attname: field for field in model._meta.concrete_fields}  # noqa: SLF001
    return model(**{name: known[name].to_python(value) for name, value in fields.items() if name in known})


class WebhookEndpoint(models.Model):
    """An address that wants to be told."""

    id = models.CharField(primary_key=True, max_length=12, default=new_endpoint_id, editable=False)
    url = models.TextField(_("address"))
    events = models.JSONField(_("events"), default=all_events)
    active = models.BooleanField(_("active"), default=True)
    description = models.CharField(_("description"), max_length=200, blank=True)
    sealed_secret = models.TextField(editable=False)
    disabled_because = models.TextField(_("switched off because"), blank=True, editable=False)
    created_at = models.DateTimeField(_("added"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.description or self.url

    def make_secret(self) -> str:
        """Give it a secret of its own, which is shown this once; `save` comes after."""
        secret = new_secret()
        self.sealed_secret = seal(secret)
        return secret

    def secret(self) -> str:
        """What its messages are signed with.

        Raises:
            Unreadable: the service's own key has changed since.
        """
        return unseal(self.sealed_secret)

    def switch_off(self, because: str) -> None:
        """Send nothing more there until somebody switches it on again; what is due waits."""
        self.active = False
        self.disabled_because = because
        self.save(update_fields=["active", "disabled_because"])

    def send_test(self) -> "WebhookDelivery":
        """Make a delivery that says nothing but that it is a test."""
        delivery = self.deliveries.create(event=TEST_EVENT)
        delivery.refresh_from_db()
        return delivery


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    """The sets of deliveries that the rest speaks of."""

    def announce(self, status: Status, tasks: Iterable[models.Model]) -> None:
        """Make a delivery of each of these tasks, which are in this state now, for every endpoint that wants to hear.

        To be called in the transaction that moves them: both are written, or neither is. A lazy query of tasks is
        asked only if somebody listens.
        """
        if (event := EVENTS.get(status)) is None:
            return
        active = WebhookEndpoint.objects.filter(active=True)
        interested = [endpoint for endpoint in active if event in endpoint.events]
        told = [(task.pk, snapshot(task)) for task in tasks] if interested else []
        self.bulk_create(
            WebhookDelivery(endpoint=endpoint, event=event, task_id=task_id, snapshot=fields)
            for endpoint in interested
            for task_id, fields in told
        )

    def due(self) -> Self:
        """To be sent now."""
        active = WebhookEndpoint.objects.filter(active=True)
        return self.filter(status=DeliveryStatus.WAITING, due_at__lte=Now(), endpoint__in=active)

    def outdated(self) -> Self:
        """Old enough to be forgotten."""
        return self.filter(created_at__lt=Now() - KEPT)

    def newest_first(self) -> Self:
        """In the order of the log."""
        return self.order_by("-created_at", "-id")

    def claim(self, delivery_id: str) -> "WebhookDelivery | None":
        """Take a due delivery for one try; None when it is not to be had. It is due again should nothing come of it."""
        claim = uuid4()
        taken = self.due().filter(pk=delivery_id)
        if not taken.update(claim=claim, attempts=F("attempts") + 1, due_at=Now() + CLAIM):
            return None
        return self.select_related("endpoint").filter(claim=claim).first()


class WebhookDelivery(models.Model):
    """One event for one endpoint, and what came of it. Whoever tries it is named by `claim` in every write."""

    id = models.CharField(primary_key=True, max_length=32, default=new_delivery_id, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("webhook")
    )
    event = models.CharField(_("event"), max_length=32)
    task_id = models.CharField(_("task"), max_length=12, blank=True)
    snapshot = models.JSONField(default=dict, encoder=DjangoJSONEncoder, editable=False)
    status = models.CharField(
        _("state"), max_length=12, choices=DeliveryStatus, default=DeliveryStatus.WAITING, editable=False
    )
    claim = models.UUIDField(null=True, editable=False)
    due_at = models.DateTimeField(_("next attempt"), db_default=Now(), editable=False)
    attempts = models.PositiveSmallIntegerField(pgettext_lazy("how many", "attempts"), default=0, editable=False)
    created_at = models.DateTimeField(_("happened"), db_default=Now(), editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, editable=False)
    last_code = models.PositiveIntegerField(_("last answer"), default=0, editable=False, help_text=_("HTTP status"))
    last_error = models.TextField(_("what happened"), blank=True, editable=False)
    last_answer = models.TextField(_("what was answered"), blank=True, editable=False)
    last_duration = models.FloatField(_("duration"), default=0, editable=False, help_text=_("seconds"))

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        indexes = [
            models.Index(fields=["due_at"], name="delivery_waiting", condition=Q(status="waiting")),
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_by_endpoint"),
            models.Index(fields=["created_at"], name="delivery_oldest"),
        ]
        constraints = [
            models.CheckConstraint(name="delivery_status_known", condition=Q(status__in=sorted(DeliveryStatus))),
            models.CheckConstraint(
                name="delivery_ended_if_and_only_if_not_waiting",
                condition=Q(status="waiting", ended_at__isnull=True)
                | (~Q(status="waiting") & Q(ended_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"

    def send_again(self) -> None:
        """Make it due now, whatever came of it so far, with all its attempts before it."""
        self._update(
            Q(), status=DeliveryStatus.WAITING, claim=None, attempts=0, due_at=Now(), ended_at=None, last_error=""
        )

    # Verbs of whoever claimed it. Each is False, and changes nothing, when somebody else has it by now.

    def succeed(self, claim: UUID, result: Result) -> bool:
        """It arrived."""
        return self._end(DeliveryStatus.DELIVERED, claim, result)

    def give_up(self, claim: UUID, result: Result) -> bool:
        """It did not, and is not tried again by itself."""
        return self._end(DeliveryStatus.FAILED, claim, result)

    def retry_later(self, claim: UUID, result: Result, delay: float) -> bool:
        """It did not; it is due again in so many seconds."""
        return self._update(Q(claim=claim), due_at=Now() + timedelta(seconds=delay), claim=None, **_columns(result))

    def _end(self, status: DeliveryStatus, claim: UUID, result: Result) -> bool:
        return self._update(Q(claim=claim), status=status, claim=None, ended_at=Now(), **_columns(result))

    def _update(self, held: Q, **columns: Any) -> bool:  # noqa: ANN401  as in QuerySet.update
        updated = WebhookDelivery.objects.filter(held, pk=self.pk).update(**columns)
        if updated:
            self.refresh_from_db()
        return bool(updated)


def _columns(result: Result) -> dict[str, Any]:
    return {
        "last_code": result.code,
        "last_error": result.sentence,
        "last_answer": result.answer,
        "last_duration": result.seconds,
    }
