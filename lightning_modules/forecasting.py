"""Glue between the forecaster and Lightning: step, log, optimise, score."""

import torch
from torch import Tensor

from datamodules.batches import MapBatch
from lightning_modules.forecaster import Domain, Forecaster
from lightning_modules.losses import ForecastLoss, LossOfSplit
from lightning_modules.metrics.forecasts import ErrorByPlace
from lightning_modules.optimization import Optimized
from lightning_modules.options import ForecastOptions, OptimizerOptions
from lightning_modules.pace import training_share
from lightning_modules.schedules import rollout_steps, truth_share
from lightning_modules.scoring import Scoreboard


class ForecastingModule(Optimized):
    """Trains a `Forecaster`, and scores it beside every reference on the same windows and mask.

    validated_at: the optimiser step at which the weights were validated last; None before that
    monitor, mode: the figure that chooses the checkpoint, and which way it improves
    """

    model: Forecaster
    monitor = "validation/loss"
    mode = "min"

    def __init__(
        self, model: Forecaster, task: ForecastOptions, optimizer: OptimizerOptions, domain: Domain
    ) -> None:
        super().__init__()
        self.model, self.task, self.options, self.domain = model, task, optimizer, domain
        self.loss = ForecastLoss(
            task.loss, domain.cell_area, domain.channels, task.channel_weights, task.series_weight
        )
        self.validation_loss = LossOfSplit()
        self.validation_scores = self._scoreboard(references=False)
        self.test_scores = self._scoreboard(references=True)
        leads = sorted({0, (task.horizon - 1) // 2, task.horizon - 1})
        self.error_by_place = ErrorByPlace(leads, (len(domain.channels), *domain.cell_area.shape))

    def _scoreboard(self, *, references: bool) -> Scoreboard:
        series = len(self.domain.series) if self.model.decoder.series_out is not None else 0
        return Scoreboard(
            self.task.horizon,
            len(self.domain.channels),
            torch.tensor(self.domain.cell_area),
            series,
            references=references,
            spread=self.model.decoder.spread,
        )

    def training_step(self, batch: MapBatch, batch_idx: int) -> Tensor:
        """The loss over the leads that the curriculum rolls out."""
        steps = rollout_steps(self.task.curriculum, self.task.horizon, self.current_epoch)
        share = truth_share(self.task.scheduled_sampling, training_share(self.trainer))
        forecast = self.model(batch, steps, share)
        loss: Tensor = self.loss(self.model, forecast, forecast.seen.series)
        self.tell(len(batch.start), loss=loss)
        return loss

    def validation_step(self, batch: MapBatch, batch_idx: int) -> None:
        """Each window counts once, on whichever rank it is."""
        forecast = self.model(batch)
        self.validation_loss.update(self.loss.parts(self.model, forecast, forecast.seen.series))
        self.validation_scores.update(self.model, batch, forecast)

    def on_validation_epoch_end(self) -> None:
        """Log the loss that chooses the checkpoint, and RMSE by variable and lead."""
        self.validated_at = self.global_step
        self.log("validation/loss", self.validation_loss.compute(), sync_dist=True)
        rmse = self.validation_scores.of("skyreel").table()["rmse"]
        for lead in {0, self.task.horizon - 1}:
            for channel, name in enumerate(self.domain.channels):
                value = rmse[lead, channel].float()
                self.log(f"validation/rmse/{name}/{self.domain.lead_names[lead]}", value, sync_dist=True)
        self.validation_loss.reset()
        self.validation_scores.reset()

    def test_step(self, batch: MapBatch, batch_idx: int) -> None:
        """Scores of the model and of every reference on the same windows and mask."""
        forecast = self.model(batch)
        self.test_scores.update(self.model, batch, forecast)
        ahead = slice(self.task.history, None)
        self.error_by_place.update(
            forecast.maps, batch.maps[:, ahead], torch.isfinite(forecast.seen.maps[:, ahead])
        )

    def predict_step(self, batch: MapBatch, batch_idx: int) -> dict[str, Tensor | None]:
        """Maps, spread and series in physical units."""
        forecast = self.model(batch)
        return {"maps": forecast.maps, "spread": forecast.spread, "series": forecast.series}
