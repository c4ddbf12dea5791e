"""When a retraining job is due, as its file says it. Imports nothing slow."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

from datamodules.options import Options, sentence
from pipelines.mistakes import nearest
from pipelines.scheduling.durations import Duration

FIELDS = "minute hour day-of-month month day-of-week"


def _check_cron(text: str) -> str:
    """A cron expression of five fields that comes at least once in fifty years, its spaces made single."""
    fields = text.split()
    hint = f"it has five fields, {FIELDS}, such as '0 6 * * *' (every day at 6:00)"
    if len(fields) != 5:
        raise sentence(f"'{text}' has {len(fields)} fields; {hint}")
    expression = " ".join(fields)
    try:
        next(CronSim(expression, datetime(2024, 1, 1)))
    except CronSimError as error:
        raise sentence(f"'{text}' is no cron expression ({error}); {hint}") from None
    except StopIteration:
        raise sentence(f"'{text}' never comes; {hint}") from None
    return expression


def _check_zone(name: str) -> str:
    """The name of a zone that this machine knows."""
    from zoneinfo import available_timezones

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = nearest(name, available_timezones())
        meant = f"; did you mean {near}" if near else ""
        raise sentence(
            f"'{name}' is no time zone; use an IANA name like Europe/Berlin or UTC{meant}"
        ) from None
    return name


class ScheduleOptions(Options):
    """When `skyreel schedule` starts a shot of the job.

    cron: minute hour day-of-month month day-of-week, in quotes: '0 6 * * *' is every day at 6:00.
    timezone: whose clock that is, an IANA name.
    missed: what becomes of due times at which no shot could start (the scheduler was off, or an earlier shot
        still ran): skip (none of them), latest (the newest one), all (each, the oldest first).
    max_age: a missed due time older than this is skipped, such as 2d or 6h; null for no bound.
    jitter: a shot starts up to so much later, differently for each job and due time, always before the next
        due time.
    """

    cron: Annotated[str, AfterValidator(_check_cron)]
    timezone: Annotated[str, AfterValidator(_check_zone)] = "UTC"
    missed: Literal["skip", "latest", "all"] = "latest"
    max_age: Duration | None = None
    jitter: Duration = timedelta(0)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone whose clock counts."""
        return ZoneInfo(self.timezone)
