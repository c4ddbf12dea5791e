"""What the scheduler writes down: which due times have been dealt with, and how."""

import logging
import sqlite3
from datetime import datetime
from typing import Protocol

from datamodules.errors import InputError

log = logging.getLogger(__name__)

WATCHED = "watched"
"""Not a firing: since then the scheduler has known the job."""
STARTED = "started"
SKIPPED = "skipped"
LEFT = "left running"


class FiringLedger(Protocol):
    """The part of the ledger of retraining that the scheduler uses."""

    def record_firing(self, job: str, due: datetime, status: str) -> None:
        """Note what became of a due time of a job, in place of an earlier note."""

    def last_firing(self, job: str) -> datetime | None:
        """The newest due time of a job that has a note."""


class Notes:
    """The firings in the ledger of retraining. What cannot be noted is told; nothing stops for it."""

    def __init__(self, ledger: FiringLedger) -> None:
        self._ledger = ledger

    def write(self, job: str, due: datetime, status: str) -> None:
        """Note what became of a due time, in place of an earlier note on it."""
        try:
            self._ledger.record_firing(job, due, status)
        except (sqlite3.Error, OSError, InputError) as error:
            log.error("%s: the ledger cannot be written (%s); %s is not noted", job, error, status)

    def last(self, job: str) -> datetime | None:
        """The newest due time of a job that has been noted; None where there is none.

        Errors: InputError where the file is no ledger.
        """
        try:
            return self._ledger.last_firing(job)
        except (sqlite3.Error, OSError) as error:
            log.error("%s: the ledger cannot be read (%s); what was missed before is not known", job, error)
            return None
