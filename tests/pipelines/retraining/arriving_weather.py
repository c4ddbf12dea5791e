"""A year of the sample weather that arrives month by month, and what can be wrong with a month."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from datamodules.samples.weather import make_sample_weather

DAYS = 730
"""A year that is there from the beginning, and one that arrives."""
COARSE = {"lat": slice(None, None, 2), "lon": slice(None, None, 2)}

TINY = (
    "data=netcdf",
    "data.name=year",
    "data.batch_size=64",
    "task.history=2",
    "task.horizon=4",
    "task.linear.components=8",
    "task.linear.lags=2",
    "task.linear.folds=2",
    "model.encoder.channels=8",
    "model.encoder.depth=1",
    "model.recurrent.hidden=8",
    "trainer=cpu",
    "trainer.precision=32",
    "trainer.threads=1",
    "trainer.max_epochs=null",
    "trainer.max_steps=40",
    "tracking.system_metrics=false",
    "seed=3",
)
"""A forecaster that trains in seconds and is a little better after each warm start."""


@dataclass(frozen=True)
class Year:
    """The months that are to come, and the folder in which they arrive."""

    source: Path
    arrived: Path

    @classmethod
    def make(cls, folder: Path, seed: int = 1) -> "Year":
        """The sample's first year in `arrived/`, the months of the second one kept back."""
        year = cls(folder / "months", folder / "arrived")
        paths = make_sample_weather(folder / "sample", days=DAYS, seed=seed)
        for place in (year.source, year.arrived):
            place.mkdir()
        coarse = [xr.open_dataset(path).isel(COARSE)[["z", "air"]] for path in paths]
        coarse[0].to_netcdf(year.arrived / "2001.nc")
        for month in range(1, 13):
            coarse[1].sel(time=coarse[1].time.dt.month == month).to_netcdf(year.source / year.name(month))
        for path in coarse:
            path.close()
        return year

    @staticmethod
    def name(month: int) -> str:
        """The file of a month of 2002."""
        return f"2002-{month:02d}.nc"

    def month(self, month: int) -> xr.Dataset:
        """What a month holds, in memory."""
        with xr.open_dataset(self.source / self.name(month)) as found:
            return found.load()

    def arrive(self, month: int) -> None:
        """The month, as it is."""
        self.put(month, self.month(month))

    def put(self, month: int, data: xr.Dataset) -> None:
        """A month as somebody sent it: written beside, then renamed."""
        beside = self.arrived / f".{month}.part"
        data.to_netcdf(beside)
        beside.replace(self.arrived / self.name(month))

    def corrupt(self, month: int) -> None:
        """The month in degrees Celsius without saying so, ten of its days missing."""
        found = self.month(month)
        found = found.isel(time=[*range(40), *range(80, found.sizes["time"])])
        found["air"] = (found["air"] - 273.15).assign_attrs(found["air"].attrs)
        self.put(month, found)

    def warm(self, month: int, kelvin: float = 6.0) -> None:
        """The month with a sensor that has drifted."""
        found = self.month(month)
        found["air"] = (found["air"] + np.float32(kelvin)).assign_attrs(found["air"].attrs)
        self.put(month, found)

    def mirrored(self, folder: Path, until: int) -> Path:
        """Everything up to a month, delivered again by somebody who turned the maps round: west is east."""
        folder.mkdir(parents=True)
        for path in sorted(self.arrived.glob("*.nc")):
            if path.name <= self.name(until):
                with xr.open_dataset(path) as found:
                    turned = found.load()
                for name in ("z", "air"):
                    values = turned[name].values[..., ::-1].copy()
                    turned[name] = (turned[name].dims, values, turned[name].attrs)
                turned.to_netcdf(folder / path.name)
        return folder
