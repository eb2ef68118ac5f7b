"""The hours of the day in which downloads run."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)(?: (\S+))?")


@dataclass(frozen=True)
class Hours:
    """From one time of the day to another, which may be that of the next day, by the clocks of a time zone."""

    begin: time
    end: time
    zone: ZoneInfo

    @classmethod
    def of(cls, text: str) -> Self:
        """Read `22:00-07:00 Europe/Berlin`; without a time zone it is UTC.

        Raises:
            ValueError: there are no such hours, or the zone is not known.
        """
        found = _HOURS.fullmatch(text.strip())
        if not found:
            raise ValueError("not two times")
        begin, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
        if begin == end:
            raise ValueError("no time at all")
        try:
            zone = ZoneInfo(found[5] or "UTC")
        except (OSError, KeyError):
            raise ValueError("no such time zone") from None
        return cls(begin, end, zone)

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M} {self.zone.key}"

    def __contains__(self, moment: datetime) -> bool:
        now = moment.astimezone(self.zone).time()
        if self.begin < self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def next_begin(self, moment: datetime) -> datetime:
        """When they begin the next time after this moment."""
        local = moment.astimezone(self.zone)
        today = datetime.combine(local.date(), self.begin, self.zone)
        return today if today > local else datetime.combine(local.date() + timedelta(days=1), self.begin, self.zone)
