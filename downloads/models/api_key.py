"""API keys, and the one-time tickets that a browser opens the feed with."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q, TextChoices
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

PREFIX = "downie"
NAME_LENGTH = 100
USE_NOTED_EVERY = timedelta(minutes=1)
TICKET_LIFE = timedelta(seconds=30)


class Scope(TextChoices):
    """What a key is good for. None of them includes another."""

    READ = "read", _("look at everything, follow the feed, fetch files")
    ADD = "add", _("look videos up, add and start downloads")
    MANAGE = "manage", _("cancel, pause, delete, and everything else")


def digest_of(secret: str) -> str:
    """How a secret is kept: by SHA-256, plain and fast.

    Slow hashes and salts protect what people choose, since that can be guessed. These are 256 random bits, which
    cannot, and a slow hash would have to be paid with every request.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Sets of keys, and the two ways to one."""

    def configured(self) -> Self:
        """Every key that was not revoked: while there is one, nobody comes in without a key or a login.

        An expired key counts. Nobody did anything when it expired, so that must not open the service.
        """
        return self.filter(revoked_at=None)

    def usable(self) -> Self:
        """Every key that lets in."""
        return self.configured().filter(Q(expires_at=None) | Q(expires_at__gt=Now()))

    def make(
        self, name: str, scopes: Collection[Scope] = tuple(Scope), expires_at: datetime | None = None
    ) -> "tuple[ApiKey, str]":
        """Store a new key; return it and its text, which is kept nowhere and cannot be shown again."""
        key = ApiKey(name=name, expires_at=expires_at, **{f"may_{scope}": scope in scopes for scope in Scope})
        text = key.draw_secret()
        key.save()
        return key, text

    def find(self, text: str) -> "ApiKey | None":
        """The usable key with this text."""
        prefix, _first, rest = text.partition("_")
        public_id, _second, secret = rest.partition("_")
        if prefix != PREFIX or not secret or "\0" in public_id:
            return None
        key = self.usable().filter(public_id=public_id).first()
        return key if key and compare_digest(key.digest, digest_of(secret)) else None


class ApiKey(models.Model):
    """Who may ask over the API, and for what. The key's text is `downie_<public id>_<secret>`."""

    public_id = models.CharField(_("id"), max_length=12, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=NAME_LENGTH, help_text=_("whose it is, or what for"))
    digest = models.CharField(max_length=64, editable=False)
    may_read = models.BooleanField(Scope.READ.value, default=True, help_text=Scope.READ.label)
    may_add = models.BooleanField(Scope.ADD.value, default=True, help_text=Scope.ADD.label)
    may_manage = models.BooleanField(Scope.MANAGE.value, default=True, help_text=Scope.MANAGE.label)
    created_at = models.DateTimeField(_("made"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("never, if left empty"))
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["id"], name="apikey_configured", condition=Q(revoked_at=None))]

    def __str__(self) -> str:
        return f"{self.name} ({self.public_id})"

    @property
    def scopes(self) -> list[Scope]:
        """What it is good for."""
        return [scope for scope in Scope if self.allows(scope)]

    def allows(self, scope: Scope) -> bool:
        """Whether it is good for this."""
        return bool(getattr(self, f"may_{scope}"))

    def draw_secret(self) -> str:
        """Give an unsaved key its id and its secret; the key's text, here and never again."""
        secret = secrets.token_urlsafe(32)
        self.public_id = secrets.token_hex(6)
        self.digest = digest_of(secret)
        return f"{PREFIX}_{self.public_id}_{secret}"

    def note_use(self) -> None:
        """Note that it was used just now; at most once a minute, so that reading costs no writing."""
        if self.last_used_at is None or timezone.now() - self.last_used_at >= USE_NOTED_EVERY:
            ApiKey.objects.filter(pk=self.pk).update(last_used_at=Now())

    def revoke(self) -> None:
        """Make it useless from this moment on. Revoking twice changes nothing."""
        ApiKey.objects.configured().filter(pk=self.pk).update(revoked_at=Now())


class FeedTicketQuerySet(models.QuerySet["FeedTicket"]):
    """How tickets come and go."""

    def issue(self, **owner: Any) -> str:  # noqa: ANN401  the columns that say whose it is
        """Store a ticket; return its text. Those that nobody used are swept out on the way."""
        self.filter(expires_at__lte=Now()).delete()
        text = secrets.token_urlsafe(32)
        self.create(digest=digest_of(text), expires_at=Now() + TICKET_LIFE, **owner)
        return text

    def redeem(self, text: str) -> "FeedTicket | None":
        """The ticket of this text, which is worth nothing any more: whoever deletes the row has used it."""
        ticket = self.filter(digest=digest_of(text), expires_at__gt=Now()).first()
        used, _by_model = self.filter(pk=ticket.pk).delete() if ticket else (0, {})
        return ticket if used else None


class FeedTicket(models.Model):
    """Opens the feed once, within 30 s, in the name of whoever asked for it; of nobody where everybody may ask."""

    digest = models.CharField(max_length=64, unique=True, editable=False)
    key = models.ForeignKey(ApiKey, null=True, on_delete=models.CASCADE, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, editable=False)
    expires_at = models.DateTimeField(editable=False)

    objects = FeedTicketQuerySet.as_manager()

    class Meta:
        verbose_name = _("feed ticket")
        verbose_name_plural = _("feed tickets")

    def __str__(self) -> str:
        return f"{self.pk}"
