"""The jobs of a folder that have a schedule, read again when a file changes."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.retraining.job import list_jobs, load_job
from pipelines.scheduling.options import ScheduleOptions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScheduledJob:
    """A job that comes due: its name, what `job=` names it by, when, if its champion is watched, model."""

    name: str
    named: str
    schedule: ScheduleOptions
    watch: bool = False
    model: str | None = None


class JobFolder:
    """The scheduled jobs of a folder, by name. A file that cannot be used is told once and stands aside.

    It comes back when it is put right; nobody else is stopped meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: dict[str, ScheduledJob] = {}
        self.broken: dict[str, str] = {}
        self.unscheduled: tuple[str, ...] = ()
        self._seen: dict[str, tuple[int, int]] = {}

    def refresh(self) -> bool:
        """Read what has changed since the last time; True where anything has."""
        states = dict(self._states())
        if states == self._seen:
            return False
        for name in sorted(self._seen.keys() - states.keys()):
            log.info("%s: the job is gone", self.path(name))
            self._forget(name)
        for name, state in states.items():
            if self._seen.get(name) != state:
                self._read(name)
        self._seen = states
        return True

    def path(self, name: str) -> Path:
        """The file of a job."""
        return self.folder / f"{name}.yaml"

    def _states(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Each job's file as far as a change would show in it: when it was written, and its size."""
        for name in list_jobs(self.folder):
            try:
                found = self.path(name).stat()
            except OSError:
                continue
            yield name, (found.st_mtime_ns, found.st_size)

    def _read(self, name: str) -> None:
        known = name in self._seen
        self._forget(name)
        try:
            job = load_job(str(self.path(name)))
        except Exception as error:  # whatever is in a file, the other jobs go on
            self.broken[name] = str(error)
            log.error("%s cannot be used, and is left out until it is put right: %s", self.path(name), error)
            return
        if job.schedule is None:
            self.unscheduled = (*self.unscheduled, name)
            log.info("%s: the job has no schedule", name)
            return
        for other in self.jobs.values():
            if other.model == job.model:
                log.warning(
                    "%s and %s keep the same model, %s: each promotes over the other's champion; give each a "
                    "model of its own",
                    other.name,
                    name,
                    job.model,
                )
        watched = job.watch is not None
        self.jobs[name] = ScheduledJob(name, str(self.path(name)), job.schedule, watched, job.model)
        if known:
            log.info("%s: the job was read again", name)

    def _forget(self, name: str) -> None:
        self.jobs.pop(name, None)
        self.broken.pop(name, None)
        self.unscheduled = tuple(other for other in self.unscheduled if other != name)
