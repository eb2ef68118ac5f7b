"""`manage.py apikey`: make, list and revoke API keys."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from downloads.models import ApiKey, Scope
from downloads.models.api_key import NAME_LENGTH

LONGEST = 36_500  # days


class Command(BaseCommand):
    """Keys at the command line; a running service knows of every change at once."""

    help = "Make, list and revoke API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take one of three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a key and show it, once")
        create.add_argument("name", help="whose it is, or what for")
        create.add_argument(
            "--scopes", type=_scopes, default=tuple(Scope), help="what it is good for, with commas: read,add,manage"
        )
        create.add_argument("--expires", type=_days, metavar="DAYS", help="in how many days it ends; never by default")
        verbs.add_parser("list", help="show every key but its secret")
        revoke = verbs.add_parser("revoke", help="make a key useless at once")
        revoke.add_argument("id", help="the id that the list shows")

    def handle(self, *_: Any, verb: str, **options: Any) -> None:  # noqa: ANN401  Django's interface
        """Do it."""
        if verb == "create":
            self._create(options["name"], options["scopes"], options["expires"])
        elif verb == "list":
            self._list()
        else:
            self._revoke(options["id"])

    def _create(self, name: str, scopes: tuple[Scope, ...], expires: timedelta | None) -> None:
        if not 0 < len(name.strip()) <= NAME_LENGTH:
            raise CommandError("The name of a key has 1 to 100 characters.")
        _key, text = ApiKey.objects.make(name.strip(), scopes, timezone.now() + expires if expires else None)
        self.stdout.write(text)
        self.stderr.write("This is the only time that it is shown. From now on everybody needs a key or a login.")

    def _list(self) -> None:
        for key in ApiKey.objects.all():
            state = _state(key)
            used = f"last used {_day(key.last_used_at)}" if key.last_used_at else "never used"
            self.stdout.write(f"{key.public_id}  {','.join(key.scopes):15}  {state:22}  {used:22}  {key.name}")

    def _revoke(self, public_id: str) -> None:
        key = ApiKey.objects.filter(public_id=public_id).first()
        if key is None:
            raise CommandError(f"There is no key with the id {public_id!r}; manage.py apikey list shows them.")
        key.revoke()
        self.stdout.write(f"Revoked: {key}")
        if not ApiKey.objects.configured().exists():
            self.stderr.write("No key is left: on this machine everybody may use the service, from elsewhere nobody.")


def _scopes(text: str) -> tuple[Scope, ...]:
    try:
        return tuple(Scope(word.strip()) for word in text.split(","))
    except ValueError:
        raise ArgumentTypeError("scopes are read, add and manage, separated by commas") from None


def _days(text: str) -> timedelta:
    if not text.isdecimal() or not 0 < int(text[:9]) <= LONGEST:
        raise ArgumentTypeError(f"it must be a whole number of days from 1 to {LONGEST}")
    return timedelta(days=int(text))


def _state(key: ApiKey) -> str:
    if key.revoked_at:
        return f"revoked {_day(key.revoked_at)}"
    if not key.expires_at:
        return "never expires"
    return f"{'expired' if key.expires_at <= timezone.now() else 'expires'} {_day(key.expires_at)}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
