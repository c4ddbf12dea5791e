"""Small stores with known contents, written as the packer writes them."""

from pathlib import Path

import numpy as np

from datamodules.gridded.describe import Channel, Step
from datamodules.gridded.grid import Grid
from datamodules.gridded.series import Series
from datamodules.gridded.store import Store, write_description


def make_store(
    folder: Path,
    values: np.ndarray,
    *,
    step: Step | None = None,
    time: np.ndarray | None = None,
    tick: np.ndarray | None = None,
    series: np.ndarray | None = None,
    calendar: str = "standard",
) -> Store:
    """A store of `values` (time, channel, lat, lon) on a regular grid, 6-hourly from 1970 unless told."""
    step = step or Step(seconds=21600)
    steps, channels, lats, lons = values.shape
    tick = np.arange(steps) if tick is None else tick
    time = tick * (step.seconds or 0) if time is None else time
    lat, lon = np.linspace(80, 10, lats), np.arange(lons) * (360 / lons)
    area = np.repeat(np.cos(np.deg2rad(lat))[:, None], lons, axis=1)
    folder.mkdir(parents=True)
    np.save(folder / "values.npy", values.astype(np.float32))
    np.save(folder / "time.npy", time.astype(np.int64))
    np.save(folder / "tick.npy", tick.astype(np.int64))
    nowhere = np.full(0 if series is None else series.shape[1], np.nan)
    write_description(
        folder,
        channels=tuple(Channel(f"v{c}", f"v{c}", None, "K", "", "") for c in range(channels)),
        grid=Grid(lat, lon, area / area.sum(), wraps=True),
        step=step,
        calendar=calendar,
        static={},
        series=None
        if series is None
        else Series(
            names=tuple(f"s{i}" for i in range(series.shape[1])),
            units=("K",) * series.shape[1],
            values=series.astype(np.float32),
            lat=nowhere,
            lon=nowhere,
        ),
        digest=f"{hash(values.tobytes()) & 0xFFFFFFFF:08x}",
        report={},
    )
    return Store.open(folder)


def weather(steps: int, shape: tuple[int, int] = (4, 6), channels: int = 2, seed: int = 0) -> np.ndarray:
    """Seasonal and daily cycles and persistent noise, (time, channel, lat, lon) about 280, 6-hourly."""
    rng = np.random.default_rng(seed)
    day = np.arange(steps)[:, None, None, None] / 4
    noise = rng.normal(size=(steps, channels, *shape))
    for now in range(1, steps):
        noise[now] = 0.8 * noise[now - 1] + 0.6 * noise[now]
    cycle = 10 * np.cos(2 * np.pi * day / 365.25) + 3 * np.sin(2 * np.pi * day)
    return (280 + 5 * np.arange(channels)[:, None, None] + cycle + noise).astype(np.float32)
