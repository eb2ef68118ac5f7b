"""Requests that shall be done once, however often they come: what they were answered."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

KEPT_FOR = timedelta(hours=24)
KEY_LENGTH = 255
DIGEST_LENGTH = 64

Json = dict[str, Any]


class KeyReused(Exception):
    """The key came with another request before."""


class AnsweredRequestManager(models.Manager["AnsweredRequest"]):
    """Does things once."""

    def once(self, caller: str, key: str, fingerprint: str, work: Callable[[], Json]) -> tuple[Json, bool]:
        """Do the work and remember its answer, or give the answer that is remembered (then True).

        The work and the memory of it are one transaction: a crash in between leaves neither, and so no key is ever
        locked. Of two at once, the unique constraint (and SQLite's one writer) lets the second one wait for the
        first. Work that raises is not remembered.

        Raises:
            KeyReused: the answer that is remembered belongs to another request.
        """
        with transaction.atomic():
            self.filter(created_at__lt=Now() - KEPT_FOR).delete()
            answered, is_new = self.get_or_create(caller=caller, key=key, defaults={"fingerprint": fingerprint})
            if is_new:
                answer = work()
                answered.answer = json.dumps(answer)
                answered.save(update_fields=["answer"])
                return answer, False
        if answered.fingerprint != fingerprint:
            raise KeyReused
        remembered: Json = json.loads(answered.answer)
        return remembered, True


class AnsweredRequest(models.Model):
    """One request that came with an `Idempotency-Key`, as digests, and its answer."""

    caller = models.CharField(max_length=DIGEST_LENGTH, blank=True)
    key = models.CharField(max_length=KEY_LENGTH)
    fingerprint = models.CharField(max_length=DIGEST_LENGTH)
    answer = models.TextField()  # JSON; not of the database's kind, since that of PostgreSQL takes no NUL
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    objects = AnsweredRequestManager()

    class Meta:
        verbose_name = _("answered request")
        verbose_name_plural = _("answered requests")
        constraints = [models.UniqueConstraint(name="answered_once", fields=["caller", "key"])]

    def __str__(self) -> str:
        return self.key
