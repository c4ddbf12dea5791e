"""What a run directory keeps of its data, so that a forecast needs no more than it and new maps."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from datamodules.gridded import fitted as fitted_file
from datamodules.gridded.fitted import Fitted
from datamodules.gridded.store import Store, write_description
from pipelines.rundir import RunDir


def kept_folder(run: RunDir) -> Path:
    """`model/` in the run directory: a store without steps, and everything fitted on training."""
    return run.path / "model"


def keep_model(run: RunDir, store: Store, fitted: Fitted) -> None:
    """Write the store's description, without its maps, and `fitted.npz`; published by rename."""
    folder = kept_folder(run)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    nothing = np.empty((0, len(store.channels), *store.grid.shape), np.float32)
    for name, array in (("values", nothing), ("time", store.time[:0]), ("tick", store.tick[:0])):
        np.save(part / f"{name}.npy", array, allow_pickle=False)
    series = store.series
    write_description(
        part,
        channels=store.channels,
        grid=store.grid,
        step=store.step,
        calendar=store.calendar,
        static=store.static,
        series=None if series is None else replace(series, values=series.values[:0]),
        digest=store.digest,
        report=store.report,
    )
    fitted_file.save(fitted, part / "fitted.npz")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def kept_model(run: RunDir) -> tuple[Store, Fitted]:
    """The description of the training data, a store of no steps, and what was fitted.

    Errors: InputError when the run directory does not hold them whole.
    """
    folder = kept_folder(run)
    return Store.open(folder), fitted_file.load(folder / "fitted.npz")
