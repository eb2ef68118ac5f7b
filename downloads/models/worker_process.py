"""Who works: every process that runs downloads says now and then that it is alive, also when it has nothing to do."""

from datetime import timedelta
from typing import Final, Self

from django.db import models
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

BEAT_EVERY: Final = 10.0  # seconds between two signs of life
LOST_AFTER: Final = timedelta(seconds=30)  # three of them are missing
KEPT: Final = timedelta(hours=1)


class WorkerProcessQuerySet(models.QuerySet["WorkerProcess"]):
    """The sets of worker processes that the rest speaks of. Their times are the database's own clock."""

    def beat(self, name: str, *, concurrency: int, version: str, is_start: bool = False) -> None:
        """Note that this process is alive; one that starts takes over the row of whoever had its name before."""
        process = WorkerProcess(name=name, concurrency=concurrency, version=version, started_at=Now(), seen_at=Now())
        written = ["concurrency", "version", "seen_at", *(["started_at"] if is_start else [])]
        self.bulk_create([process], update_conflicts=True, unique_fields=["name"], update_fields=written)

    def leave(self, name: str) -> None:
        """Forget a process that ends as it should; one that was killed is shown as lost for an hour or two."""
        self.filter(name=name).delete()

    def with_signs(self) -> Self:
        """Each with `is_alive`: whether it gave a sign of life lately. Those that started first come first."""
        is_alive = ExpressionWrapper(Q(seen_at__gte=Now() - LOST_AFTER), output_field=BooleanField())
        return self.annotate(is_alive=is_alive).order_by("started_at", "name")

    def long_gone(self) -> Self:
        """Lost for so long that nobody needs to know any more."""
        return self.filter(seen_at__lt=Now() - KEPT)


class WorkerProcess(models.Model):
    """A process that runs downloads; tasks and attempts name it by its name, `machine:pid`."""

    name = models.CharField(_("worker"), primary_key=True, max_length=255)
    concurrency = models.PositiveSmallIntegerField(_("downloads at once"))
    version = models.CharField(_("version"), max_length=32)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    seen_at = models.DateTimeField(_("last sign of life"), db_default=Now())

    is_alive: bool  # where it comes by `with_signs`

    objects = WorkerProcessQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
