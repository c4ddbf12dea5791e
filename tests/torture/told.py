"""What launches tell of themselves: how far they got, what they warned of, how they noted their end."""

import json
import re
from collections.abc import Iterator

from pipelines.rundir import RunDir

SIGNS = (
    ("sending", "everything of this run is in"),
    ("judging", "100% done"),
    ("training", "INFO epoch "),
    ("in its first epoch", " steps an epoch"),
    ("opening the data", "INFO run "),
)
"""Phases, the last first, and the words in the log that tell that one has begun."""


def phase_of(said: str) -> str:
    """How far a launch had got, by what it has said."""
    return next((phase for phase, sign in SIGNS if sign in said), "importing")


def warnings_of(said: str) -> Iterator[str]:
    """Warnings and errors that a launch told, without figures and paths, so that equal ones are equal."""
    for line in said.splitlines():
        if found := re.search(r"\b(?:WARNING|ERROR) (.*)", line):
            plain = re.sub(r"/\S*/(?=[\w.]+\b)", "", found[1])
            yield re.sub(r"\b[0-9a-f]{32,}\b|\d+(\.\d+)?", "#", plain)[:140]
        elif line.startswith("Traceback"):
            yield "Traceback"


def ends_of_launches(run: RunDir) -> list[str]:
    """The journal's starts and ends of launches in order: start, KILLED, start, FINISHED, ..."""
    path = run.tracking / "journal.jsonl"
    found = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record.get("kind") in ("start", "status"):
            found.append(str(record.get("status", "start")))
    return found
