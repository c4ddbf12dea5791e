"""Scores of the model and of the references, on the same windows and the same mask."""

from typing import cast

from torch import Tensor, nn

from datamodules.batches import MapBatch
from lightning_modules.forecaster import Forecast, Forecaster
from lightning_modules.metrics.forecasts import ForecastScores
from lightning_modules.priors import NAMES


class Scoreboard(nn.Module):
    """One `ForecastScores` for the model and each reference, for maps and for series.

    references: score them too;   spread: the model forecasts one
    """

    def __init__(
        self, leads: int, channels: int, cell_area: Tensor, series: int, *, references: bool, spread: bool
    ) -> None:
        super().__init__()
        names = ("skyreel", *(NAMES if references else ()))
        self.maps = nn.ModuleDict(
            {
                name: ForecastScores(leads, channels, cell_area, spread=spread and name == "skyreel")
                for name in names
            }
        )
        self.series = nn.ModuleDict({name: ForecastScores(leads, series) for name in names} if series else {})

    def of(self, name: str) -> ForecastScores:
        """The scores of maps by "skyreel" or by a reference."""
        return cast(ForecastScores, self.maps[name])

    def of_series(self, name: str) -> ForecastScores:
        """The scores of series by "skyreel" or by a reference."""
        return cast(ForecastScores, self.series[name])

    def update(self, model: Forecaster, batch: MapBatch, forecast: Forecast) -> None:
        """Add a batch: the model's forecast, and the references' made here."""
        history = model.task.history
        truth, series_truth = batch.maps[:, history:], batch.series[:, history:]
        climatology = forecast.seen.climatology[:, history:]
        series_climatology = forecast.seen.series_climatology[:, history:]
        self.of("skyreel").update(forecast.maps, truth, climatology, spread=forecast.spread)
        if forecast.series is not None and len(self.series):
            self.of_series("skyreel").update(forecast.series, series_truth, series_climatology)
        others = [name for name in self.maps if name != "skyreel"]
        for name, (maps, series) in model.priors(batch, forecast.seen, history, others).items():
            self.of(name).update(model.space.maps(maps, climatology), truth, climatology)
            if len(self.series):
                found = model.space.series(series, series_climatology)
                self.of_series(name).update(found, series_truth, series_climatology)

    def compute(self) -> dict[str, dict[str, dict[str, Tensor]]]:
        """{"maps" or "series": {model: {metric: (lead, channel) float64}}}; series only where scored."""
        found = {"maps": {name: self.of(name).table() for name in self.maps}}
        if len(self.series):
            found["series"] = {name: self.of_series(name).table() for name in self.series}
        return found

    def reset(self) -> None:
        """Forget everything."""
        for name in self.maps:
            self.of(name).reset()
        for name in self.series:
            self.of_series(name).reset()
