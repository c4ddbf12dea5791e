"""The weather as the verbs see it: a packed store, a forecaster, its scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.gridded.datamodule import GriddedDataModule
from lightning_modules.forecasting import ForecastingModule
from pipelines.console import rank
from pipelines.forecasts.data import ForecastData, open_data
from pipelines.forecasts.judge import JudgedForecasts, found_before, judge
from pipelines.forecasts.kept import keep_model
from pipelines.forecasts.model import build_module, calibrated, domain_of
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from pipelines.systems import SplitRecord
from pipelines.tracking.logger import JournalLogger


@dataclass(frozen=True, eq=False)
class ForecastSystem:
    """Packed maps and what the verbs do with them (see `pipelines.systems.System`)."""

    settings: Settings
    data: ForecastData
    windows: GriddedDataModule

    @classmethod
    def open(cls, settings: Settings) -> "ForecastSystem":
        """Pack and fit what is not there yet. Errors: InputError."""
        options, task = settings.maps, settings.forecast
        data = open_data(options, Path(settings.paths.stores), task)
        return cls(settings, data, data.windows(task, options.batch_size, options.workers, settings.seed))

    def about(self) -> dict[str, Any]:
        """What provenance says of the data."""
        data, path = self.data, self.settings.maps.path
        return {
            "name": self.settings.maps.name,
            "path": str(data.store.path),
            "digest": data.store.digest,
            "fitted": data.fitted.digest,
            "sources": path if isinstance(path, str) else list(path),
            "splits": {name: [split.first, split.stop] for name, split in data.splits.items()},
        }

    def records(self) -> Iterator[SplitRecord]:
        """One record a split."""
        store = self.data.store
        for split, part in self.data.splits.items():
            profile = {"steps": len(part), "first": part.first, "stop": part.stop}
            yield SplitRecord(f"{store.path.name}-{split}", store.digest, str(store.path), split, profile)

    def loaders(self) -> GriddedDataModule:
        """Whole windows of each split."""
        return self.windows

    def counts(self) -> str:
        """How many windows each split has."""
        train, validation, test = (
            f"{self.windows.counts[name]:,}" for name in ("train", "validation", "test")
        )
        return f"{train} training windows, {validation} validation, {test} test"

    def new_module(self, run: RunDir) -> ForecastingModule:
        """An untrained module; what was fitted is kept in the run directory."""
        store, settings = self.data.store, self.settings
        fitted = calibrated(self.data.fitted, settings, store, self.windows)
        if not rank():
            keep_model(run, store, fitted)
        return build_module(settings, domain_of(store, settings.forecast.horizon), fitted)

    def judge(
        self, run: RunDir, checkpoint: Path, logger: JournalLogger | None = None, *, publish: bool = True
    ) -> JudgedForecasts:
        """Scores over all test windows beside every reference."""
        return judge(self.settings, run, self.data, checkpoint, logger, publish=publish)

    def found_before(self, run: RunDir) -> JudgedForecasts:
        """What a finished run found."""
        return found_before(run)

    def next_steps(self, program: str, place: Path, words: str) -> list[str]:
        """What to try next."""
        other = "convlstm" if self.settings.forecaster.recurrent.kind != "convlstm" else "convgru"
        return [
            f"everything of this run is in {place}: metrics.json, skill.csv, plots/, log.txt",
            "next:",
            f"  {program} predict run={place} output=forecast.nc    # a forecast from the newest maps",
            f"  {program} train {words} model={other}    # another network, side by side in MLflow",
            "  make ui    # the runs in MLflow",
        ]
