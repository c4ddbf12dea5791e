"""How fast packed windows are read, against a bare slice and copy of the same memory map, in one run.

    python -m benchmarks.windows [--json]

The map set is 4 x 32 x 64 float32; a window is 12 steps. Both sides read the same windows in the same random
order: the textbook as `np.array(maps[start : start + 12])`, the project through the training loader of
`GriddedDataModule`, which also makes batches, the clock, the climatology's basis and the series. Neither
keeps what it has read. The two ways take turns; rates are medians of 5 passes with least and most, the
ratio is the median over neighbouring passes, so that a busy machine slows both. Exits with 1 below half.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from datamodules.gridded.datamodule import GriddedDataModule
from datamodules.gridded.describe import Channel, Step
from datamodules.gridded.fitted import load_or_fit
from datamodules.gridded.grid import Grid
from datamodules.gridded.options import SplitOptions
from datamodules.gridded.store import Store, write_description
from datamodules.gridded.windows import split_ranges

STEPS, CHANNELS, LATS, LONS = 4000, 4, 32, 64
HISTORY, HORIZON, BATCH = 8, 4, 32
PASSES = 5
EPOCHS = 3
REQUIRED = 0.5


def make_store(folder: Path) -> Store:
    """A store of noise: 6-hourly maps without gaps."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    np.save(folder / "values.npy", rng.standard_normal((STEPS, CHANNELS, LATS, LONS), dtype=np.float32))
    np.save(folder / "time.npy", np.arange(STEPS, dtype=np.int64) * 21600)
    np.save(folder / "tick.npy", np.arange(STEPS, dtype=np.int64))
    lat = np.linspace(87, -87, LATS)
    area = np.repeat(np.cos(np.deg2rad(lat))[:, None], LONS, axis=1)
    write_description(
        folder,
        channels=tuple(Channel(f"v{c}", f"v{c}", None, "1", "", "") for c in range(CHANNELS)),
        grid=Grid(lat, np.arange(LONS) * 360 / LONS, area / area.sum(), wraps=True),
        step=Step(seconds=21600),
        calendar="standard",
        static={},
        series=None,
        digest="benchmark",
        report={},
    )
    return Store.open(folder)


def rate(read: Callable[[], int]) -> float:
    """Windows per second of one pass; `read` returns how many windows it read."""
    start = time.perf_counter()
    windows = read()
    return windows / (time.perf_counter() - start)


def measure(folder: Path) -> dict[str, float]:
    """Median, least and most windows per second of both ways, and the ratio."""
    store = make_store(folder / "store")
    splits = split_ranges(store.time, SplitOptions(), HISTORY + HORIZON, store.calendar)
    fitted = load_or_fit(store, train=splits["train"], history=HISTORY, horizon=HORIZON, folds=4)
    data = GriddedDataModule(store, fitted, splits, history=HISTORY, horizon=HORIZON, batch_size=BATCH)
    loader = data.train_dataloader()
    starts = np.random.default_rng(1).permutation(data.counts["train"]).tolist()
    maps = np.load(store.path / "values.npy", mmap_mode="r")

    def textbook() -> int:
        for start in starts * EPOCHS:
            np.array(maps[start : start + HISTORY + HORIZON])
        return len(starts) * EPOCHS

    def project() -> int:
        windows = 0
        for _ in range(EPOCHS):
            for batch in loader:
                windows += len(batch.start)
                del batch
        return windows

    textbook(), project()
    rates: dict[str, list[float]] = {"textbook": [], "skyreel": []}
    for _ in range(PASSES):
        rates["textbook"].append(rate(textbook))
        rates["skyreel"].append(rate(project))
    result = {}
    for name, found in rates.items():
        result[name] = statistics.median(found)
        result[f"{name}_least"], result[f"{name}_most"] = min(found), max(found)
    ratios = [ours / bare for ours, bare in zip(rates["skyreel"], rates["textbook"], strict=True)]
    return result | {"ratio": statistics.median(ratios)}


def main() -> int:
    """Print the figures; 1 when windows are read at less than half the textbook's rate, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.windows", description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder))
    if as_json:
        lines = [json.dumps(result)]
    else:
        lines = [
            f"{name:9s} {result[name]:9.0f} windows/s  ({result[f'{name}_least']:.0f} to "
            f"{result[f'{name}_most']:.0f} in {PASSES} passes)"
            for name in ("textbook", "skyreel")
        ]
        lines.append(f"ratio     {result['ratio']:9.2f}  (at least {REQUIRED})")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if result["ratio"] >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())
