"""How moments are read from PostgreSQL: ten times as fast as Django has psycopg do it."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.psycopg_any import get_adapters_template
from psycopg.pq import Format


def read_quickly() -> None:
    """From the next connection on. What PostgreSQL has beyond ISO 8601 is read as before."""
    adapters: Any = get_adapters_template(settings.USE_TZ, connection.timezone)
    usual: Any = adapters.get_loader(adapters.types["timestamptz"].oid, Format.TEXT)

    class Loader(usual):  # type: ignore[misc]  # a class that Django makes
        def load(self, data: Any) -> datetime:  # noqa: ANN401  any buffer
            try:
                moment = datetime.fromisoformat(str(data, "ascii"))
            except ValueError:
                moment = super().load(data)
            # Mostly it is so already, and to say so once more takes three times as long as all the rest
            return moment if moment.tzinfo is self.timezone else moment.replace(tzinfo=self.timezone)

    adapters.register_loader("timestamptz", Loader)
