"""Decisions of retraining among the runs of MLflow, which a list leaves out unless they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipelines.reviewing.archive import Archive, Query
from pipelines.reviewing.columns import OUTCOME
from pipelines.reviewing.filters import Term
from pipelines.reviewing.names import Name

DECIDED, TRAINED = (Term(OUTCOME, sign, None) for sign in ("IS NOT NULL", "IS NULL"))
"""Decisions, and all other runs: also those that no `skyreel.kind` was noted of."""
TELLING = tuple(f"skyreel.{tag}" for tag in ("kind", "job", "shot", "outcome", "model", "version"))
"""Tags that decisions are found by."""
COUNTED = 200
"""So many are counted where the archive does not tell how many there are."""


@dataclass(frozen=True)
class LeftOut:
    """How many decisions are not in a list; `more`: there may be more of them."""

    count: int = 0
    more: bool = False

    def __str__(self) -> str:
        """The line that tells so, and how to see them."""
        many = f"{self.count:,} or more decisions of retraining are"
        few = (
            "1 decision of retraining is"
            if self.count == 1
            else f"{self.count:,} decisions of retraining are"
        )
        return f"{many if self.more else few} left out; filter=tags.skyreel.kind=retrain shows them"


def without_decisions(query: Query, columns: Sequence[Name], archive: Archive) -> tuple[Query, LeftOut]:
    """The query for all other runs, and what it leaves out; the query itself where it asks for decisions."""
    if _asks_for_them(query, columns):
        return query, LeftOut()
    found = archive.find(replace(query, terms=(*query.terms, DECIDED), order=None, limit=COUNTED))
    count = len(found.rows) if found.total is None else found.total
    if not count:
        return query, LeftOut()
    return replace(query, terms=(*query.terms, TRAINED)), LeftOut(count, found.total is None)


def _asks_for_them(query: Query, columns: Sequence[Name]) -> bool:
    """Whether a call names runs, or asks for something that decisions are told by."""
    sorted_by = [query.order.name] if query.order else []
    asked = [*columns, *sorted_by, *(term.name for term in query.terms)]
    named = any(term.name.key in ("run_name", "run_id") for term in query.terms)
    return named or any(name.key in TELLING or name.key.startswith("gate/") for name in asked)
