"""`manage.py retention`: let go what is too old or too much, now, or say what would go."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.template.defaultfilters import filesizeformat

from downloads import retention
from downloads.models import Tuning
from downloads.retention import Why

REASONS = {Why.AGE: "is too old", Why.SIZE: "makes room"}


class Command(BaseCommand):
    """The same as the service does every hour."""

    help = "Delete finished tasks and their files as the settings say, those of the environment or of the admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take one option."""
        parser.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")

    def handle(self, *_: Any, dry_run: bool, **__: Any) -> None:  # noqa: ANN401  Django's interface
        """Say each, and how much it is in all."""
        in_force = Tuning.objects.in_force()
        if not in_force.retention_age and not in_force.retention_size:
            self.stdout.write(
                "Everything stays: neither DOWNIE_RETENTION_DAYS nor DOWNIE_RETENTION_GB nor the admin's settings say "
                "otherwise."
            )
            return
        going = retention.due() if dry_run else retention.carry_out()
        for each in going:
            day = f"{each.task.finished_at:%Y-%m-%d}"
            size = filesizeformat(each.weight)
            self.stdout.write(f"{each.task.pk}  {day}  {size:>10}  {REASONS[each.why]:10}  {each.task}")
        verb = "would go" if dry_run else "went"
        weight = filesizeformat(sum(each.weight for each in going))
        self.stdout.write(f"{len(going)} tasks {verb}, with {weight} of files.")
