"""What is known of a site beside its rule: when a download from it began last, and until when it is left alone."""

from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from downloads.engine.cookies import site_of
from downloads.models.cookie_jar import SITE_LENGTH

KEPT = timedelta(days=1)  # longer than any pause, and than any rest that a site may ask for


class HostField(models.CharField):  # type: ignore[type-arg]  # not generic at run time
    """The site that the link of its row leads to, whoever writes the row; empty where the link leads nowhere."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: ANN401, FBT001  Django's interface
        """Look at the link."""
        if add:
            setattr(model_instance, self.attname, host_of(getattr(model_instance, "url", "")))
        return super().pre_save(model_instance, add)


def host_of(url: str) -> str:
    """Whom a download of this link is a burden to: its site."""
    try:
        return site_of(url)[:SITE_LENGTH]
    except ValueError:
        return ""


class HostQuerySet(models.QuerySet["Host"]):
    """The sets of hosts, and what is noted of them. All times are the database's own clock."""

    def note_start(self, name: str) -> None:
        """Note that a download from there begins now."""
        host = Host(name=name, started_at=Now())
        self.bulk_create([host], update_conflicts=True, unique_fields=["name"], update_fields=["started_at"])

    def let_rest(self, name: str, seconds: float) -> None:
        """Leave it alone for so long from now on; a longer rest that it has already stays."""
        self.bulk_create([Host(name=name)], ignore_conflicts=True)
        until = Now() + timedelta(seconds=seconds)
        self.filter(pk=name).filter(Q(rests_until=None) | Q(rests_until__lt=until)).update(rests_until=until)

    def of_interest(self, longest_pause: timedelta) -> Self:
        """Those that rest, or began so lately that it counts; each with the database's `now`."""
        recent = Q(started_at__gt=Now() - longest_pause) if longest_pause else Q(pk__in=[])
        return self.filter(Q(rests_until__gt=Now()) | recent).annotate(now=Now())

    def outdated(self) -> Self:
        """Of no interest any more."""
        is_rested = Q(rests_until=None) | Q(rests_until__lt=Now())
        return self.filter(is_rested, Q(started_at=None) | Q(started_at__lt=Now() - KEPT))


class Host(models.Model):
    """A site that downloads come from."""

    name = models.CharField(primary_key=True, max_length=SITE_LENGTH)
    started_at = models.DateTimeField(null=True)
    rests_until = models.DateTimeField(null=True)

    objects = HostQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
