"""Points in time as people write them, and as they are shown."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from datamodules.errors import InputError


def parse_time(text: str, key: str) -> datetime:
    """The time that `text` says (ISO 8601), in UTC; without an offset it is UTC. Errors: InputError."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            f"{key}={text}: this is no time; write it as 2026-11-22, 2026-11-22T06:00 (UTC) or "
            "2026-11-22T06:00+01:00"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def shown_time(instant: datetime, zone: ZoneInfo) -> str:
    """`instant` on the clock of `zone`: Mon 2026-11-23 06:00 CET."""
    return instant.astimezone(zone).strftime("%a %Y-%m-%d %H:%M %Z")
