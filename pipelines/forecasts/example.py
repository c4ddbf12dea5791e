"""One forecast of a run beside what happened, kept as `predictions/example.npz` for pages that show maps."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.gridded.clock import dates
from datamodules.gridded.store import Store
from pipelines.rundir import RunDir, write_bytes

MOST_LEADS, MOST_CHANNELS, MOST_CELLS = 12, 8, 360
"""At most so many lead times, variables, and cells along an axis of the map are kept."""


@dataclass(frozen=True, eq=False)
class Example:
    """Maps of one forecast of the test split, and the error of every place over all test windows.

    issued: the last known step, ISO 8601.      variables, units: one entry a channel.
    lead_names: of the first axis of forecast and truth (lead, channel, lat, lon), physical units, NaN where
    missing.     error_leads: of the first axis of error_by_place (lead, channel, lat, lon), an RMSE.
    lat, lon: degrees, (lat,) and (lon,), or (lat, lon) on a projected grid. All thinned for a picture.
    """

    issued: str
    variables: tuple[str, ...]
    units: tuple[str, ...]
    lead_names: tuple[str, ...]
    forecast: np.ndarray
    truth: np.ndarray
    error_leads: tuple[str, ...]
    error_by_place: np.ndarray
    lat: np.ndarray
    lon: np.ndarray

    def write(self, path: Path) -> None:
        """Publish the arrays, compressed."""
        content = io.BytesIO()
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in vars(self).items()}
        np.savez_compressed(content, **arrays)
        write_bytes(path, content.getvalue())

    @staticmethod
    def read(path: Path) -> "Example":
        """What `write` has left. OSError, ValueError or KeyError where it is not there, or not whole."""
        with np.load(path, allow_pickle=False) as found:
            words: dict[str, Any] = {
                name: tuple(str(word) for word in found[name])
                for name in ("variables", "units", "lead_names", "error_leads")
            }
            arrays: dict[str, Any] = {
                name: np.asarray(found[name], dtype=np.float64)
                for name in ("forecast", "truth", "error_by_place", "lat", "lon")
            }
            return Example(issued=str(found["issued"]), **words, **arrays)


def example_file(run: RunDir) -> Path:
    """Where a run keeps its example."""
    return run.predictions / "example.npz"


def example_of(
    store: Store,
    issued: int,
    lead_names: tuple[str, ...],
    forecast: np.ndarray,
    truth: np.ndarray,
    error_leads: tuple[str, ...],
    error_by_place: np.ndarray,
) -> Example:
    """The example, thinned: forecast, truth (lead, channel, lat, lon); issued: a step of the store."""
    count = len(lead_names)
    leads = sorted({0, *np.linspace(0, count - 1, min(count, MOST_LEADS)).round().astype(int).tolist()})
    rows, columns = (slice(None, None, -(-size // MOST_CELLS)) for size in store.grid.shape)
    lat, lon = np.asarray(store.grid.lat), np.asarray(store.grid.lon)
    channels = store.channels[:MOST_CHANNELS]

    def thin(maps: np.ndarray) -> np.ndarray:
        return maps[:, :MOST_CHANNELS, rows, columns].astype(np.float32)

    return Example(
        issued=dates(store.time[[issued]], store.calendar)[0],
        variables=tuple(channel.name for channel in channels),
        units=tuple(channel.units for channel in channels),
        lead_names=tuple(lead_names[lead] for lead in leads),
        forecast=thin(forecast[leads]),
        truth=thin(truth[leads]),
        error_leads=error_leads,
        error_by_place=thin(error_by_place),
        lat=lat[rows] if lat.ndim == 1 else lat[rows, columns],
        lon=lon[columns] if lon.ndim == 1 else lon[rows, columns],
    )
