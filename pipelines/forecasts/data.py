"""From settings to windows: sources present, packed, split, and everything fitted on the training split."""

import logging
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import InputError
from datamodules.gridded.datamodule import GriddedDataModule
from datamodules.gridded.fitted import Fitted, load_or_fit
from datamodules.gridded.linear import LinearOptions, load_or_fit_linear
from datamodules.gridded.options import GriddedOptions
from datamodules.gridded.pack import pack
from datamodules.gridded.store import Store
from datamodules.gridded.windows import Split, require_windows, split_ranges
from lightning_modules.options import ForecastOptions
from pipelines.console import progress
from pipelines.sources import bring_sources

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ForecastData:
    """Packed maps, their splits, and what the training split says of them."""

    store: Store
    splits: dict[str, Split]
    fitted: Fitted

    def windows(self, task: ForecastOptions, batch_size: int, workers: int, seed: int) -> GriddedDataModule:
        """Loaders of whole windows of each split."""
        return GriddedDataModule(
            self.store,
            self.fitted,
            self.splits,
            history=task.history,
            horizon=task.horizon,
            batch_size=batch_size,
            workers=workers,
            seed=seed,
        )


def packed(options: GriddedOptions, stores: Path) -> Store:
    """The store of the sources that `options` name, packed now unless it is there."""
    bring_sources(options)
    with progress("packing (steps)") as advance:
        return pack(options, stores, advance)


def open_data(options: GriddedOptions, stores: Path, task: ForecastOptions) -> ForecastData:
    """Everything that training and evaluation read; of several ranks one packs and fits, the others wait."""
    store = packed(options, stores)
    _refuse_equal_targets(options, store)
    window = task.history + task.horizon
    splits = split_ranges(store.time, options.split, window, store.calendar, store.tick)
    require_windows(splits, store.tick, task.history, task.horizon)
    fitted = load_or_fit(
        store, train=splits["train"], history=task.history, horizon=task.horizon, folds=task.linear.folds
    )
    linear = LinearOptions(components=task.linear.components, lags=task.linear.lags)
    return ForecastData(store, splits, load_or_fit_linear(store, fitted, linear))


def _refuse_equal_targets(options: GriddedOptions, store: Store) -> None:
    """Return when no series that is to be forecast is called like a map: their scores would share a name."""
    if store.series is None or options.series is None or not options.series.target:
        return
    if twice := sorted(set(store.series.names) & set(store.names)):
        raise InputError(
            f"data.series.target: {', '.join(twice)} is the name of a series in {options.series.path} and of "
            "a map; rename it in the series' file, or leave it out with data.series.columns"
        )
