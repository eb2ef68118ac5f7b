"""Cookie jars: the cookies of one account at one site, for every task of that site that brings none of its own."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from downloads.engine.cookies import BadCookies, parse_cookies, site_of
from downloads.sealing import Unreadable, seal, unseal

SITE_LENGTH: Final = 255
SOON: Final = timedelta(days=7)
USE_NOTED_EVERY: Final = timedelta(minutes=1)
LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)  # exports may hold any number

logger = logging.getLogger(__name__)


class Outcome(models.TextChoices):
    """What a test came to."""

    PASSED = "passed", _("passed")
    OPEN = "open", _("says nothing")
    FAILED = "failed", _("failed")


class CookieJarQuerySet(models.QuerySet["CookieJar"]):
    """Which jar it is."""

    def of_site(self, url: str) -> Self:
        """The jars for the site of a normalised URL, the one whose cookies were entered last first."""
        return self.filter(is_active=True, site=site_of(url)).order_by("-changed_at", "-pk")

    def cookies_for(self, url: str, own: str = "") -> str:
        """The cookies that go with this URL: its own, or else those of the first jar of its site that can be read."""
        if own:
            return own
        for jar in self.of_site(url):
            try:
                cookies = jar.unsealed()
            except Unreadable as error:
                logger.warning("Cookie jar %s for %s is passed over: %s", jar.pk, jar.site, error)
            else:
                jar.note_use()
                return cookies
        return ""


class CookieJar(models.Model):
    """The cookies of one account at one site, encrypted. What the site changes about them is not written back."""

    site = models.CharField(_("site"), max_length=SITE_LENGTH, help_text=_("such as example.com, with all below it"))
    account = models.CharField(_("account"), max_length=100, blank=True, help_text=_("whose cookies these are"))
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Of several active ones for a site, the one whose cookies were entered last is used."),
    )
    test_url = models.TextField(
        _("test address"),
        blank=True,
        help_text=_("A video at this site that only this account may watch. Empty: the site's first page."),
    )
    sealed_cookies = models.TextField(editable=False)
    cookie_count = models.PositiveIntegerField(_("cookies"), default=0, editable=False)
    first_expires_at = models.DateTimeField(_("first to expire"), null=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, editable=False)
    created_at = models.DateTimeField(_("added"), db_default=Now(), editable=False)
    changed_at = models.DateTimeField(_("cookies entered"), editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    tested_at = models.DateTimeField(_("tested"), null=True, editable=False)
    test_outcome = models.CharField(_("last test"), max_length=8, choices=Outcome, blank=True, editable=False)
    test_sentence = models.TextField(_("what the test said"), blank=True, editable=False)

    objects = CookieJarQuerySet.as_manager()

    class Meta:
        verbose_name = _("cookie jar")
        verbose_name_plural = _("cookie jars")
        ordering = ["site", "account"]
        constraints = [
            models.UniqueConstraint(
                name="cookie_jar_once",
                fields=["site", "account"],
                violation_error_message=_("There is a jar for this account of the site already; change that one."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.site} ({self.account})" if self.account else self.site

    @property
    def address(self) -> str:
        """What a test looks up."""
        return self.test_url or self._first_page

    @property
    def is_expired(self) -> bool:
        """Whether every cookie with an end has come to it."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def expires_soon(self) -> bool:
        """Whether that is less than a week away."""
        return self.expires_at is not None and self.expires_at <= timezone.now() + SOON

    def fill(self, text: str) -> None:
        """Take these cookies, in any form that a task takes; what a test said of the old ones is void. Not saved yet.

        Raises:
            BadCookies: they cannot be read, or none of them is for this site.
        """
        found = parse_cookies(text, self._first_page)
        if not found:
            raise BadCookies(gettext_noop("None of these cookies is for this site."))
        ends = [min(cookie.expires, int(LATEST.timestamp())) for cookie in found if cookie.expires]
        self.sealed_cookies = seal(text)
        self.cookie_count = len(found)
        self.first_expires_at = datetime.fromtimestamp(min(ends), UTC) if ends else None
        self.expires_at = datetime.fromtimestamp(max(ends), UTC) if ends else None
        self.changed_at = timezone.now()
        self.tested_at, self.test_outcome, self.test_sentence = None, "", ""

    def unsealed(self) -> str:
        """The text that was entered.

        Raises:
            Unreadable: the service's own key has changed since.
        """
        return unseal(self.sealed_cookies)

    def note_use(self) -> None:
        """Note that it was used just now; at most once a minute."""
        if self.last_used_at is None or timezone.now() - self.last_used_at >= USE_NOTED_EVERY:
            CookieJar.objects.filter(pk=self.pk).update(last_used_at=Now())

    def note_test(self, outcome: Outcome, sentence: str) -> None:
        """Keep what a test of these very cookies came to."""
        tested = CookieJar.objects.filter(pk=self.pk, sealed_cookies=self.sealed_cookies)
        tested.update(tested_at=Now(), test_outcome=outcome, test_sentence=sentence)

    @property
    def _first_page(self) -> str:
        return f"https://[{self.site}]/" if ":" in self.site else f"https://{self.site}/"
