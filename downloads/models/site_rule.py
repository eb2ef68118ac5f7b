"""Site rules: how an administrator wants a site to be reached, or all of them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from downloads.engine.cookies import site_of
from downloads.models.cookie_jar import SITE_LENGTH
from downloads.sealing import Unreadable, seal, unseal

NONE: Final = "none"


class ProxyUnreadable(Exception):
    """The user name and password of a proxy were stored with another secret key. Nothing goes out without them."""


class Browser(models.TextChoices):
    """Whom requests can be made to look like, as yt-dlp names them."""

    NOBODY = NONE, _("nobody")
    CHROME = "chrome", "Chrome"
    EDGE = "edge", "Edge"
    FIREFOX = "firefox", "Firefox"
    SAFARI = "safari", "Safari"


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """What holds for one URL. `rate_limit` is in bytes a second for each task; 0 and "" mean nothing in particular.

    `proxy` is `http://` or `socks5://`, `login@` where it wants one (each part percent-encoded), host and port.
    """

    proxy: str = field(default="", repr=False)
    source_address: str = ""
    rate_limit: int = 0
    impersonate: str = ""


@dataclass(frozen=True)
class Manners:
    """How a site is spared: downloads from it at once, 0 for any number, and seconds between the starts of two."""

    most: int
    pause: int


class SiteRuleQuerySet(models.QuerySet["SiteRule"]):
    """Which rules they are."""

    def for_url(self, url: str) -> SiteSettings:
        """What holds for a normalised URL: field by field its site's rule, or else the rule for all sites.

        Raises:
            ProxyUnreadable: see the class.
        """
        own_first = self.filter(is_active=True, site__in=("", site_of(url))).order_by("-site")
        rules = list(own_first)
        limits = [rule.rate_limit for rule in rules if rule.rate_limit is not None]
        return SiteSettings(
            proxy=_first(rule.upstream() for rule in rules),
            source_address=_first(rule.source_address for rule in rules),
            rate_limit=limits[0] if limits else 0,
            impersonate=_first(rule.impersonate for rule in rules),
        )

    def manners(self) -> "defaultdict[str, Manners]":
        """How each site that has a rule is spared, by its name, and by default any other."""
        rules = {rule.site: rule for rule in self.filter(is_active=True)}
        usual = rules.pop("", SiteRule()).manners(Manners(settings.MAX_DOWNLOADS_PER_HOST, 0))
        return defaultdict(lambda: usual, {site: rule.manners(usual) for site, rule in rules.items()})


def _first(values: Iterable[str]) -> str:
    """The first that says something; that may be that there shall be none."""
    value = next(filter(None, values), NONE)
    return "" if value == NONE else value


class SiteRule(models.Model):
    """How a site is reached; the rule without a site holds for all.

    What is empty (of numbers: null) is left to the rule for all; `none` and 0 mean none, whatever that one says.
    """

    site = models.CharField(
        _("site"),
        max_length=SITE_LENGTH,
        blank=True,
        unique=True,
        help_text=_("such as example.com, with all below it. Empty: all sites. The site's own rule goes first."),
        error_messages={"unique": _("There is a rule for this already; change that one.")},
    )
    is_active = models.BooleanField(_("active"), default=True)
    proxy = models.CharField(_("proxy"), max_length=300, blank=True)
    sealed_login = models.TextField(blank=True, editable=False)
    source_address = models.CharField(_("source address"), max_length=45, blank=True)
    rate_limit = models.PositiveBigIntegerField(_("rate limit"), null=True, blank=True)
    impersonate = models.CharField(_("impersonate"), max_length=8, choices=Browser, blank=True)
    max_downloads = models.PositiveSmallIntegerField(
        _("downloads at once"), null=True, blank=True, help_text=_("by all workers together. 0: any number.")
    )
    pause = models.PositiveSmallIntegerField(
        _("pause"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(3600)],
        help_text=_("Seconds between the starts of two downloads. 0: none."),
    )

    objects = SiteRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("site rule")
        verbose_name_plural = _("site rules")
        ordering = ["site"]

    def __str__(self) -> str:
        return self.site or str(_("all sites"))

    def manners(self, usual: Manners) -> Manners:
        """How its site is spared, where this is usual."""
        most, pause = self.max_downloads, self.pause
        return Manners(usual.most if most is None else most, usual.pause if pause is None else pause)

    def seal_login(self, login: str) -> None:
        """Take `user:password`, each percent-encoded, for the proxy; empty for none. Not saved yet."""
        self.sealed_login = seal(login)

    def upstream(self) -> str:
        """The proxy with what it wants to be told; `none` for none at all.

        Raises:
            ProxyUnreadable: see the class.
        """
        scheme, _separator, rest = self.proxy.partition("://")
        try:
            login = unseal(self.sealed_login)
        except Unreadable as error:
            raise ProxyUnreadable(str(error)) from None
        return f"{scheme}://{login}@{rest}" if login else self.proxy
