"""Decisions as shots leave them, with as little in them as a test needs."""

from datetime import UTC, datetime
from typing import Any

from pipelines.retraining.decision import Decision
from pipelines.retraining.ledger import Ledger, iso


def day(number: float) -> datetime:
    """Midnight of so many days after 1 January 2026, UTC."""
    return datetime.fromtimestamp(datetime(2026, 1, 1, tzinfo=UTC).timestamp() + 86_400 * number, UTC)


def decision(shot: int, outcome: Any = "promoted", **more: Any) -> Decision:
    """A decision of the job `weather`."""
    plain = {
        "job": "weather",
        "shot": shot,
        "model": "wind",
        "outcome": outcome,
        "reason": "better by 3 %",
        "started": iso(day(shot)),
        "ended": iso(day(shot)),
        "now": iso(day(shot)),
    }
    return Decision.from_plain({**plain, **more})


def look(count: int, *problems: str) -> dict[str, Any]:
    """What the data checks find: so many steps; their digest follows from the number."""
    return {"count": count, "digest": f"{count:016x}", "problems": list(problems)}


def shoot(ledger: Ledger, now: datetime, outcome: Any = "promoted", **more: Any) -> int:
    """The number of a shot that has begun and ended. A promoted one has trained, and made version `shot`."""
    shot = ledger.begin("weather", now)
    if outcome == "promoted":
        more = {"challenger": shot, "runs": {"challenger": f"/runs/weather-{shot:04d}"}, **more}
    ledger.finish(decision(shot, outcome, **{"now": iso(now), **more}))
    return shot
