"""What the verbs need of a system, forecasts or captions, and which of the two the settings ask for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl

from lightning_modules.optimization import Optimized
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from pipelines.tracking.logger import JournalLogger


@dataclass(frozen=True)
class SplitRecord:
    """One split of the data as tracking shows it: what it is called, where it came from, how large it is."""

    name: str
    digest: str
    source: str
    split: str
    profile: Mapping[str, Any] = field(default_factory=dict)


class Judged(Protocol):
    """Scores on the test split; `metrics` are flat, finite and named as in metrics.json."""

    @property
    def metrics(self) -> Mapping[str, float]: ...

    def show(self) -> None:
        """Print the table."""


class System(Protocol):
    """The opened data of a run, and what train, evaluate and predict do with them."""

    def about(self) -> dict[str, Any]:
        """What provenance says of the data."""

    def records(self) -> Iterable[SplitRecord]:
        """One record a split."""

    def loaders(self) -> pl.LightningDataModule:
        """The batches of each split."""

    def counts(self) -> str:
        """How much there is to learn from, for people."""

    def new_module(self, run: RunDir) -> Optimized:
        """An untrained module: same settings and seed, same weights. The first rank leaves in the run
        directory whatever a prediction will need besides the checkpoint."""

    def judge(
        self, run: RunDir, checkpoint: Path, logger: JournalLogger | None = None, *, publish: bool = True
    ) -> Judged:
        """Scores over the test split, each sample counted once; rank 0 publishes them.

        All that is gathered from the ranks is gathered here: once this returns, ranks may end.
        """

    def found_before(self, run: RunDir) -> Judged:
        """What a finished run found, read back from its files."""

    def next_steps(self, program: str, place: Path, words: str) -> list[str]:
        """What to try next, as commands with a comment."""


def open_system(settings: Settings) -> System:
    """The data that `settings` name, checked and packed where they were not yet.

    Errors: InputError as the sources give cause.
    """
    if settings.task.kind == "caption":
        from pipelines.captions.system import CaptionSystem

        return CaptionSystem.open(settings)
    from pipelines.forecasts.system import ForecastSystem

    return ForecastSystem.open(settings)
