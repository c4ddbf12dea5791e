"""What starts the training of a challenger. Imports nothing slow.

New steps and clips, age, drift and a score that sank are counted from the last shot that trained a challenger
to its end, promoted or refused: the same data are not trained on again because of what they were like then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self

from pydantic import Field, model_validator

from datamodules.options import Options, sentence
from pipelines.retraining.ledger import Row

if TYPE_CHECKING:
    from pipelines.retraining.job import Job

DAY = 86_400.0
Count = Annotated[int, Field(ge=1)]


class StartOptions(Options):
    """What starts training; one cause is enough, and the first shot of a job always trains.

    new_steps: so many time steps since the last challenger was trained (maps).
    new_clips: so many clips since then (clips).
    age_days: the champion, and the last challenger, are so old; without new data too.
    drift: whether drifted data start it.
    score_sank: the share by which the champion has become worse since it was promoted, such as 0.1.
    always: every shot trains, whatever there is.
    """

    new_steps: Count | None = None
    new_clips: Count | None = None
    age_days: Annotated[float, Field(gt=0)] | None = None
    drift: bool = False
    score_sank: Annotated[float, Field(gt=0, lt=1)] | None = None
    always: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not any(getattr(self, name) for name in type(self).model_fields):
            names = ", ".join(type(self).model_fields)
            raise sentence(f"nothing would ever start this job; set one or more of {names}")
        return self

    @property
    def told(self) -> str:
        """What is waited for, in words."""
        found = {
            "nothing (it always trains)": self.always,
            f"{self.new_steps} new steps": self.new_steps,
            f"{self.new_clips} new clips": self.new_clips,
            f"an age of {self.age_days or 0:g} days": self.age_days,
            "drift": self.drift,
            f"a score that sank by {100 * (self.score_sank or 0):g} %": self.score_sank,
        }
        return " or ".join(words for words, wanted in found.items() if wanted)


class Plain(Protocol):
    """What can be told as plain values: a look, a drift report."""

    def as_plain(self) -> Any:
        """Plain values."""


class VersionLike(Protocol):
    """A version of a registered model, as far as its age counts."""

    @property
    def number(self) -> int: ...
    @property
    def created(self) -> Any: ...


class ChampionLike(Protocol):
    """The champion, as far as its age counts."""

    @property
    def version(self) -> VersionLike: ...


@dataclass(frozen=True)
class Check:
    """One cause that was looked at: whether it starts training, and what was found."""

    name: str
    started: bool
    told: str


@dataclass(frozen=True)
class Trigger:
    """Whether a challenger is to be trained, why (or why not), and all that was looked at."""

    start: bool
    why: str
    checks: tuple[Check, ...]

    def as_plain(self) -> dict[str, Any]:
        """Plain values, as decision.json holds them."""
        return asdict(self)


def trained(rows: Iterable[Row]) -> list[Row]:
    """Those shots whose challenger was trained to its end, in the order of `rows`."""
    return [row for row in rows if row.trained]


def due(
    job: "Job",
    look: Plain,
    rows: Sequence[Row],
    champion: ChampionLike | None,
    drift: Plain | None,
    sank: float | None = None,
    now: datetime | None = None,
) -> Trigger:
    """Whether the job has cause to train, by the data's look and the ledger's finished rows, newest first.

    champion: None without one.     drift: None where it was not looked for.     now: the clock without it.
    sank: the share by which the champion's figure is worse than when it was promoted; None: not known.
    """
    before = trained(rows)
    if not before:
        without = "" if champion is not None else ", and there is no champion"
        return _trigger([Check("first", True, f"no shot of this job has trained yet{without}")])
    if champion is None and before[0].outcome == "promoted":
        return _trigger([Check("first", True, "the champion has been taken away")])
    options, plain = job.start, dict(look.as_plain())
    then = dict((before[0].decision and before[0].decision.look) or {})
    fresh = plain.get("digest") is None or plain.get("digest") != then.get("digest")
    checks = []
    if options.always:
        checks.append(Check("always", True, "every shot trains"))
    for name, least, what in (
        ("new_steps", options.new_steps, "steps"),
        ("new_clips", options.new_clips, "clips"),
    ):
        if least is not None:
            checks.append(_grown(name, least, what, plain, then))
    if options.age_days is not None:
        checks.append(_aged(options.age_days, rows, before[0], champion, now or datetime.now(UTC)))
    if options.drift:
        checks.append(_drifted(drift, fresh))
    if options.score_sank is not None:
        checks.append(_sunk(options.score_sank, sank, fresh))
    return _trigger(checks)


def _trigger(checks: Sequence[Check]) -> Trigger:
    causes = [check.told for check in checks if check.started]
    told = "; ".join(causes or [check.told for check in checks])
    return Trigger(bool(causes), told if causes else f"no cause to train: {told}", tuple(checks))


def _grown(name: str, least: int, what: str, look: Mapping[str, Any], then: Mapping[str, Any]) -> Check:
    """New steps or clips; where data were taken away, those that are left are no news."""
    count = int(look["count"]) - int(then.get("count", 0))
    told = f"{max(0, count)} new {what} since the last challenger, {least} start one"
    return Check(name, count >= least, told)


def _aged(
    days: float, rows: Sequence[Row], before: Row, champion: ChampionLike | None, now: datetime
) -> Check:
    """Age of the champion or of the last challenger, whichever is younger."""
    since = [datetime.fromisoformat(before.now)]
    if champion is not None and (made := _became_champion(rows, champion.version)) is not None:
        since.append(made)
    age = (now - max(since)).total_seconds() / DAY
    return Check("age_days", age >= days, f"champion and last challenger are {age:.1f} of {days:g} days old")


def _became_champion(rows: Sequence[Row], version: VersionLike) -> datetime | None:
    """When a version was made: the time taken to be now by the shot that promoted it, else the registry's."""
    for row in rows:
        if row.outcome == "promoted" and row.decision and row.decision.challenger == version.number:
            return datetime.fromisoformat(row.now)
    found = version.created
    if isinstance(found, (int, float)):  # MLflow counts milliseconds
        return datetime.fromtimestamp(found / 1000, UTC)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    if not isinstance(found, datetime):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _drifted(drift: Plain | None, fresh: bool) -> Check:
    names = [] if drift is None else drifted_names(drift.as_plain())
    if not names:
        return Check("drift", False, "nothing has drifted")
    told = f"drifted: {', '.join(names)}"
    return Check("drift", fresh, told if fresh else f"{told}, in data that were trained on already")


def drifted_names(report: Any) -> list[str]:
    """What drifted, by the plain values of a drift report: its rows say it of themselves."""
    rows = report.get("rows", []) if isinstance(report, Mapping) else report
    return [str(row["variable"]) for row in rows if row.get("drifted")]


def _sunk(least: float, sank: float | None, fresh: bool) -> Check:
    if sank is None:
        return Check("score_sank", False, "how the champion does on new data is not known yet")
    told = f"the champion is {100 * sank:.1f} % worse than when promoted, {100 * least:g} % start training"
    told = told if fresh else f"{told}; a challenger has trained on these data already"
    return Check("score_sank", fresh and sank >= least, told)
