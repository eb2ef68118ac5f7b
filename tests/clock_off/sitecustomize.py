"""On the path of a process, this sets its clock forward by a minute, as that process sees it."""

from datetime import UTC, datetime, timedelta

import time_machine

time_machine.travel(datetime.now(UTC) + timedelta(minutes=1), tick=True).start()
