"""The clock of the scheduler, passed in so that a test can have its own."""

import time
from datetime import UTC, datetime
from typing import Protocol

NAP_SECONDS = 1.0
"""No sleep is longer: a signal, an edited job, a clock that is put forward are noticed after so long."""


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """The time, aware."""

    def wait(self, until: datetime | None, busy: bool) -> None:
        """Return at `until` or earlier (None: some time later); `busy`: a shot is at work and may end."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    def wait(self, until: datetime | None, busy: bool) -> None:
        """Return after NAP_SECONDS, or at `until` where that is sooner."""
        left = NAP_SECONDS if until is None else (until - self.now()).total_seconds()
        time.sleep(min(max(left, 0.0), NAP_SECONDS))
