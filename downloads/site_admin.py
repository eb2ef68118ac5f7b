"""The administrator's settings for sites: cookie jars, and rules about how a site is reached."""

import re
from functools import partial
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import quote, unquote

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db import transaction
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from downloads import cookie_jars
from downloads.engine.cookies import BadCookies, site_of
from downloads.engine.network import BadUrl, normalise_url
from downloads.fields import RateField
from downloads.lookups import Busy
from downloads.models import CookieJar, ProxyUnreadable, SiteRule
from downloads.models.cookie_jar import Outcome
from downloads.models.site_rule import NONE
from downloads.operations import address_policy
from downloads.sealing import Unreadable

TEST: Final = "test"  # what the button that saves and tests sends
KEPT_LOGIN: Final = "***"  # stands for a user name and a password, which are never shown
LIMITS: Final = ("rate_limit", "max_downloads", "pause")
_PROXY: Final = re.compile(
    r"(?P<scheme>http|socks5)://(?:(?P<login>[^/?#\s]{1,200})@)?"
    r"(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})/?"
)
_LARGEST_PORT: Final = 65_535


class SiteForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A row for a site, whose name stays as it is once the row is there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Django's interface
        super().__init__(*args, **kwargs)
        if self.instance.pk and "site" in self.fields:  # there is none for somebody who may only look
            self.fields["site"].disabled = True

    def clean_site(self) -> str:
        """Take a name or any address at the site."""
        text: str = self.cleaned_data["site"]
        if not text or self.instance.pk:
            return text
        try:
            return site_of(normalise_url(text, address_policy()))
        except BadUrl:
            raise forms.ValidationError(_("Give the name of a site, such as example.com.")) from None


class SecretTextarea(forms.Textarea):
    """Takes a text and never shows one, not even what was just entered."""

    def format_value(self, value: Any) -> None:  # noqa: ANN401  Django's interface
        """Nothing."""


class CookieJarForm(SiteForm):
    """A jar, and cookies for it in any form that a task takes."""

    cookies = forms.CharField(
        label=_("Cookies"),
        required=False,
        strip=False,
        widget=SecretTextarea(attrs={"rows": 6, "cols": 80, "autocomplete": "off", "spellcheck": "false"}),
        help_text=_("A Cookie header, a cookies.txt, or a browser extension's JSON. Empty: those that are kept stay."),
    )
    file = forms.FileField(label=_("or a file"), required=False, widget=forms.FileInput)

    class Meta:
        model = CookieJar
        fields = ("site", "account", "is_active", "test_url")
        widgets = {
            "site": AdminTextInputWidget,
            "test_url": AdminTextInputWidget(attrs={"class": "vLargeTextField"}),
        }

    def clean_file(self) -> str:
        """Read the file, which is in memory: no body is larger than 2 MiB."""
        file = self.cleaned_data["file"]
        try:
            return file.read().decode() if file else ""
        except UnicodeDecodeError:
            raise forms.ValidationError(_("This is no text file in UTF-8.")) from None

    def clean_test_url(self) -> str:
        """Take what a task would."""
        text: str = self.cleaned_data["test_url"]
        try:
            return normalise_url(text, address_policy()) if text else ""
        except BadUrl as error:
            raise forms.ValidationError(gettext(str(error))) from None

    def clean(self) -> dict[str, Any]:
        """Fill the jar, which is still to be saved."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        self.instance.site = cleaned["site"]
        if cleaned["test_url"] and site_of(cleaned["test_url"]) != self.instance.site:
            self.add_error("test_url", _("This address is not at the jar's site, so that its cookies are not sent."))
        if cleaned["cookies"] and cleaned["file"]:
            self.add_error("file", _("Enter cookies or choose a file, not both."))
        elif text := cleaned["cookies"] or cleaned["file"]:
            self._fill(text, "cookies" if cleaned["cookies"] else "file")
        elif not self.instance.pk:
            self.add_error("cookies", _("Enter the cookies, or choose a file."))
        return cleaned

    def _fill(self, text: str, field: str) -> None:
        try:
            self.instance.fill(text)
        except BadCookies as error:
            self.add_error(field, gettext(str(error)))


class CookieJarAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Whose cookies go to which site, and until when."""

    class Media:
        css = {"all": ["downloads/admin.css"]}

    form = CookieJarForm
    list_display = ("site", "account", "is_active", "contents", "expiry", "last_used_at", "last_test")
    list_filter = ("is_active",)
    search_fields = ("site", "account")
    readonly_fields = (
        *("contents", "expiry", "first_expires_at", "changed_at", "last_used_at"),
        *("last_test", "what_the_test_said"),
    )

    def get_fieldsets(self, request: HttpRequest, obj: CookieJar | None = None) -> Any:  # noqa: ANN401  Django's interface
        """A new one has no past to show yet; somebody who may only look has no cookies to enter."""
        secret = ("cookies", "file") if obj is None or self.has_change_permission(request, obj) else ()
        entered = {
            "fields": ("site", "account", "is_active", *secret, "test_url"),
            "description": _(
                "For every task and look-up of this site that brings no cookies of its own. "
                "What the site changes about them is not written back."
            ),
        }
        return [(None, entered), *([(_("How it is"), {"fields": self.readonly_fields})] if obj else [])]

    @admin.display(description=_("number of cookies"), ordering="cookie_count")
    def contents(self, jar: CookieJar) -> str:
        """Say how many there are, or that nobody can read them any more."""
        try:
            jar.unsealed()
        except Unreadable:
            return format_html('<span class="over">{}</span>', gettext(cookie_jars.UNREADABLE))
        return str(jar.cookie_count)

    @admin.display(description=_("expires"), ordering="expires_at")
    def expiry(self, jar: CookieJar) -> str:
        """Say when the last of them ends, and whether that is over or near."""
        if jar.expires_at is None:
            return gettext("no date known")
        date = date_format(localtime(jar.expires_at))
        if jar.is_expired:
            return format_html('<span class="over">{}</span> {}', gettext("expired"), date)
        if jar.expires_soon:
            return format_html('<span class="soon">{}</span> {}', gettext("soon"), date)
        return date

    @admin.display(description=_("last test"), ordering="tested_at")
    def last_test(self, jar: CookieJar) -> str | None:
        """Say how it went, and when it was."""
        if jar.tested_at is None:
            return None
        outcome, date = Outcome(jar.test_outcome), date_format(localtime(jar.tested_at))
        return format_html('<span class="{}">{}</span> {}', outcome, outcome.label, date)

    @admin.display(description=_("what the test said"))
    def what_the_test_said(self, jar: CookieJar) -> str:
        """Say it in the reader's language; it is kept in English."""
        return gettext(jar.test_sentence) if jar.test_sentence else ""

    def save_model(self, request: HttpRequest, obj: CookieJar, form: Any, change: bool) -> None:  # noqa: ANN401, FBT001  Django's interface
        """Save, and test once the admin's own transaction is over: nobody could write while a site is asked."""
        super().save_model(request, obj, form, change)
        if request.POST.get("_continue") == TEST:
            transaction.on_commit(partial(self._test, request, obj))

    def _test(self, request: HttpRequest, jar: CookieJar) -> None:
        try:
            outcome, sentence = cookie_jars.test(jar)
        except Busy as busy:
            self.message_user(request, str(busy), messages.WARNING)
            return
        level = messages.SUCCESS if outcome == Outcome.PASSED else messages.WARNING
        self.message_user(request, f"{gettext(sentence)} ({jar.address})", level)


class ProxyInput(AdminTextInputWidget):
    """Shows no user name and no password, not even those that were just entered."""

    def format_value(self, value: Any) -> str | None:  # noqa: ANN401  Django's interface
        """Put something else in their place."""
        shown = super().format_value(value)
        return shown and re.sub(r"^([a-z0-9]*://)?.*@", rf"\1{KEPT_LOGIN}@", shown, flags=re.DOTALL)


class SiteRuleForm(SiteForm):
    """A rule, each part of it checked."""

    rate_limit = RateField(
        label=_("Rate limit"),
        help_text=_("Bytes a second for each task, such as 500K or 2M (K is 1,024). 0: no limit."),
    )

    class Meta:
        model = SiteRule
        fields = ("site", "is_active", "proxy", "source_address", *LIMITS, "impersonate")
        widgets = {
            "proxy": ProxyInput(attrs={"class": "vLargeTextField", "autocomplete": "off", "spellcheck": "false"})
        }
        help_texts = {
            "proxy": _("http:// or socks5://, with user:password@ if needed, a host and a port. “none”: no proxy."),
            "source_address": _("The address of this server that connections come from. “none”: any."),
            "impersonate": _("Requests look like this browser's. Costs ten times the computing time."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Django's interface
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["proxy"] = shown_proxy(self.instance)

    def clean_proxy(self) -> str:
        """Split it: what may be shown goes into one column, what may not is sealed in another."""
        text: str = self.cleaned_data["proxy"].strip()
        if text in ("", NONE):
            self.instance.seal_login("")
            return text
        found = _PROXY.fullmatch(text)
        if not found or not 0 < int(found["port"]) <= _LARGEST_PORT:
            raise forms.ValidationError(_("Give a proxy as http://host:port or socks5://user:password@host:port."))
        plain = f"{found['scheme']}://{found['host'].lower()}:{int(found['port'])}"
        if found["login"] != KEPT_LOGIN:
            self.instance.seal_login(_encoded(found["login"] or ""))
        elif plain != self.instance.proxy or not self.instance.sealed_login:
            raise forms.ValidationError(_("Another proxy has to be told the user name and the password again."))
        return plain

    def clean_source_address(self) -> str:
        """Take an IP address."""
        text: str = self.cleaned_data["source_address"].strip()
        if text in ("", NONE):
            return text
        try:
            address = ip_address(text)
        except ValueError:
            address = None
        if address is None or address.is_unspecified or address.is_multicast or "%" in text:
            raise forms.ValidationError(_("Give an IP address of this server, such as 192.0.2.7."))
        return str(address)


def _encoded(login: str) -> str:
    """`user:password` as it belongs into an address, whether it was typed so or not."""
    user, colon, password = login.partition(":")
    return f"{quote(unquote(user), safe='')}{colon}{quote(unquote(password), safe='')}"


def shown_proxy(rule: SiteRule) -> str:
    """The proxy, without what it is told."""
    scheme, separator, rest = rule.proxy.partition("://")
    return f"{scheme}{separator}{KEPT_LOGIN}@{rest}" if rule.sealed_login else rule.proxy


class SiteRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """How sites are reached."""

    class Media:
        css = {"all": ["downloads/admin.css"]}

    form = SiteRuleForm
    list_display = ("__str__", "is_active", "proxy_shown", "source_address", "rate", *LIMITS[1:], "impersonate")
    list_filter = ("is_active",)
    search_fields = ("site",)
    fieldsets = (
        (
            None,
            {
                "fields": ("site", "is_active", "proxy", "source_address", *LIMITS, "impersonate"),
                "description": _("What is empty in the rule of a site is as in the rule for all sites."),
            },
        ),
    )

    @admin.display(description=_("proxy"), ordering="proxy")
    def proxy_shown(self, rule: SiteRule) -> str:
        """Show it without user name and password; say so if these cannot be read any more."""
        try:
            rule.upstream()
        except ProxyUnreadable:
            sentence = gettext("The user name and the password cannot be read any more; enter them again.")
            return format_html('{} <span class="over">{}</span>', shown_proxy(rule), sentence)
        return shown_proxy(rule)

    @admin.display(description=_("rate limit"), ordering="rate_limit")
    def rate(self, rule: SiteRule) -> str | None:
        """Show it as the page shows speeds."""
        if rule.rate_limit is None:
            return None
        return gettext("{size}/s").format(size=filesizeformat(rule.rate_limit)) if rule.rate_limit else gettext("none")
