"""What a shot came to: one value that the ledger, decision.json, the page, MLflow and the alerts all tell."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from datamodules.errors import InputError

Outcome = Literal["promoted", "refused", "nothing", "failed", "busy", "rolled_back"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
TRAINED: tuple[Outcome, ...] = ("promoted", "refused")
"""Outcomes that a challenger which was trained to its end can have."""


@dataclass(frozen=True)
class Decision:
    """A decision and what it rests on. Whatever is not known is None or empty.

    job, shot: whose it is; shots of all jobs of a ledger are counted together.     model: the registered one.
    outcome: promoted (the challenger is champion now), refused (bad data, or by the gate), nothing (no cause
        to train), failed (after the retries that the job allows), busy (another shot was at work),
        rolled_back (the former champion is back).
    reason: in a sentence.     trigger: why the shot trained, with each cause that was looked at.
    started, ended: by the clock, ISO, UTC.     now: the time that was taken to be now.
    champion: the version when the shot began.     challenger: the version it registered.
    former: the version that is `previous` after a promotion, or that was taken back by a roll-back.
    restored: the version that a roll-back made champion again.
    look, drift, verdict: what the data checks, the drift report and the gate found, as plain values.
    runs: directories, by "champion" and "challenger".     changed: what the page shows of both.
    retries: of the training.     mlflow_run_id: the MLflow run that holds the page.
    """

    job: str
    shot: int
    model: str
    outcome: Outcome
    reason: str
    started: str
    ended: str
    now: str
    trigger: Mapping[str, Any] | None = None
    champion: int | None = None
    challenger: int | None = None
    former: int | None = None
    restored: int | None = None
    look: Mapping[str, Any] | None = None
    drift: Any = None
    verdict: Mapping[str, Any] | None = None
    runs: Mapping[str, str] = field(default_factory=dict)
    changed: Any = None
    retries: int = 0
    mlflow_run_id: str | None = None

    @property
    def trained(self) -> bool:
        """Whether a challenger was trained to its end, so that its data have had their turn."""
        return self.outcome in TRAINED and "challenger" in self.runs

    def as_plain(self) -> dict[str, Any]:
        """Plain values, as decision.json holds them; `from_plain` reads them."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Decision":
        """The decision that plain values describe; keys of a later version of the program are left out.

        Errors: InputError where one that is needed is absent, or the outcome is unknown.
        """
        known = {one.name for one in fields(cls)}
        try:
            found = cls(**{key: value for key, value in plain.items() if key in known})
        except TypeError as error:
            raise InputError(f"this is no decision of a retraining job: {error}") from None
        if found.outcome not in OUTCOMES:
            raise InputError(f"outcome={found.outcome}: a decision is one of {', '.join(OUTCOMES)}")
        return found
