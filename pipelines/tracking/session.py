"""The tracking of one launch, from the first record to the last: what rank 0 wraps its work in."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from pipelines import provenance
from pipelines.rundir import RunDir
from pipelines.tracking.journal import first_start
from pipelines.tracking.logger import JournalLogger
from pipelines.tracking.process import Sender
from pipelines.tracking.sender import Destination
from pipelines.tracking.system import SystemSampler

Status = Literal["FINISHED", "FAILED", "KILLED"]

STOPPED_WAIT = 10.0
"""Seconds that a run which was told to stop waits for a server at most: somebody is in a hurry. A database in
a file, which answers but may still have to be made, has its full time."""


@contextmanager
def tracked(
    run: RunDir,
    to: Destination | None,
    *,
    tags: dict[str, str] | None = None,
    experiment: str | None = None,
    system_every: float | None = 10.0,
    wait: float = 15.0,
    parent: Path | None = None,
) -> Iterator[JournalLogger]:
    """The logger of `run` while the block lasts; a server that is slow or down never delays the block.

    Ends the run as FINISHED, KILLED (SystemExit, KeyboardInterrupt: what signals become) or FAILED (any other
    error), writes the end into provenance.json, and then waits at most `wait` seconds for the server. `to`:
    where records go, None keeps them in the journal alone. `experiment`: its MLflow name, else the folder's.
    `system_every`: seconds between samples of the machine, None for no samples. `parent`: the directory of
    the run that this one is a child of.
    """
    logger = JournalLogger(run)
    journal = logger.journal
    experiment = experiment or logger.name
    journal.start(experiment, logger.version, tags or {}, parent)
    begin = first_start(journal.path).get("time", 0) / 1000
    sender = None
    if to is not None:
        sender = Sender(run.path, to, on_run=partial(provenance.note_mlflow, run, to.shown, experiment))
    sampler = SystemSampler(journal, begin, system_every) if system_every else None
    for worker in (sender, sampler):
        if worker is not None:
            worker.start()
    status: Status = "FAILED"
    try:
        yield logger
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        if sampler is not None:
            sampler.close()
        journal.append("status", status=status)  # first: provenance must not know an end that it does not
        provenance.note_end(run, status)
        if sender is not None:
            hurry = status == "KILLED" and to is not None and to.uri.startswith("http")
            sender.close(min(wait, STOPPED_WAIT) if hurry else wait)
        journal.close()
