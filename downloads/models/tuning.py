"""What an administrator changes while the service runs: one row, read by every process on every machine."""

import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from downloads.hours import Hours

ONLY: Final = 1  # the key of the only row
ALWAYS: Final = "always"
KEPT: Final = 1.0  # seconds: how soon a change is seen by another process


@dataclass(frozen=True, kw_only=True)
class InForce:
    """What holds now, whether the row or the environment says it."""

    max_downloads: int  # at once, by all workers together
    speed_limit: int  # bytes a second of all together, 0 for none
    task_speed_limit: int  # bytes a second of each, 0 for none
    hours: Hours | None  # in which downloads run; None for all
    retention_age: timedelta  # after which finished tasks go; 0: never
    retention_size: int  # bytes that all finished files may have together, 0 for any number

    def opens_at(self) -> datetime | None:
        """When the hours begin in which downloads run; None while they last."""
        if self.hours is None:
            return None
        now = timezone.now()
        return None if now in self.hours else self.hours.next_begin(now)


class TuningManager(models.Manager["Tuning"]):
    """Finds the row, whether it is there or not."""

    _recent: "Tuning"
    _read_at = -math.inf

    def the_row(self) -> "Tuning":
        """The only one; until somebody has changed something it is empty, and not stored."""
        return self.filter(pk=ONLY).first() or Tuning(pk=ONLY)

    def in_force(self) -> InForce:
        """What holds now, by a row that was read within the last second."""
        if time.monotonic() - self._read_at >= KEPT:
            self._recent, self._read_at = self.the_row(), time.monotonic()
        return self._recent.in_force()

    def forget(self) -> None:
        """Read it anew the next time: it has changed."""
        self._read_at = -math.inf


class Tuning(models.Model):
    """The settings that are changed while it runs. What is null or empty is as the environment says."""

    id = models.PositiveSmallIntegerField(primary_key=True, editable=False)
    max_downloads = models.PositiveSmallIntegerField(
        _("downloads at once"), null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    speed_limit = models.PositiveBigIntegerField(_("speed limit"), null=True, blank=True)
    task_speed_limit = models.PositiveBigIntegerField(_("speed limit of each"), null=True, blank=True)
    working_hours = models.CharField(_("working hours"), max_length=80, blank=True)
    retention_days = models.FloatField(
        _("days"), null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(36_500)]
    )
    retention_gb = models.FloatField(
        _("GiB in all"), null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(1_000_000)]
    )

    objects = TuningManager()

    class Meta:
        verbose_name = _("settings")
        verbose_name_plural = _("settings")
        constraints = [models.CheckConstraint(name="tuning_is_one_row", condition=Q(id=ONLY))]

    def __str__(self) -> str:
        return str(_("Settings"))

    def save(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Django's interface
        """Save it; this process sees it at once."""
        super().save(*args, **kwargs)
        Tuning.objects.forget()

    def in_force(self) -> InForce:
        """What holds by this row, and by the environment where it says nothing."""
        days, gigabytes = self.retention_days, self.retention_gb
        return InForce(
            max_downloads=_first(self.max_downloads, settings.MAX_CONCURRENT_DOWNLOADS),
            speed_limit=_first(self.speed_limit, settings.SPEED_LIMIT),
            task_speed_limit=_first(self.task_speed_limit, settings.TASK_SPEED_LIMIT),
            hours=self._hours() if self.working_hours else settings.WORKING_HOURS,
            retention_age=settings.RETENTION_AGE if days is None else timedelta(days=days),
            retention_size=settings.RETENTION_SIZE if gigabytes is None else int(gigabytes * 1024**3),
        )

    def _hours(self) -> Hours | None:
        return None if self.working_hours == ALWAYS else Hours.of(self.working_hours)


def _first(said: int | None, otherwise: int) -> int:
    return otherwise if said is None else said
