"""A forecaster judged on the test windows beside every reference, and what is published of it."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from datamodules.gridded.store import Store
from lightning_modules.forecasting import ForecastingModule
from pipelines.console import rank
from pipelines.forecasts import map_plots, skill_plots
from pipelines.forecasts.case_error_keeper import CaseErrorKeeper
from pipelines.forecasts.case_errors import CaseErrors, errors_file
from pipelines.forecasts.data import ForecastData
from pipelines.forecasts.example import example_file, example_of
from pipelines.forecasts.kept import kept_model
from pipelines.forecasts.model import build_module, domain_of
from pipelines.forecasts.skill import (
    ScoreTable,
    flat_metrics,
    read_skill_csv,
    skill_rows,
    write_skill_csv,
)
from pipelines.forecasts.skill_table import show_skill
from pipelines.lightning_trainer import build_trainer
from pipelines.rundir import RunDir, write_metrics
from pipelines.settings import Settings
from pipelines.tracking.logger import JournalLogger
from pipelines.weights import load_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class JudgedForecasts:
    """Scores of the model and the references over the test windows."""

    tables: tuple[ScoreTable, ...]
    metrics: Mapping[str, float]

    def show(self) -> None:
        """Print the table of skill."""
        console = Console()
        for table in self.tables:
            show_skill(table, console)


def judge(
    settings: Settings,
    run: RunDir,
    data: ForecastData,
    checkpoint: Path,
    logger: JournalLogger | None = None,
    *,
    publish: bool = True,
) -> JudgedForecasts:
    """Scores over all test windows, each counted once; rank 0 publishes them in the run directory.

    All that is gathered from the ranks is gathered here: once this returns, ranks may end.
    """
    windows = data.windows(settings.forecast, settings.maps.batch_size, settings.maps.workers, settings.seed)
    module = build_module(settings, domain_of(data.store, settings.forecast.horizon), kept_model(run)[1])
    load_weights(module, checkpoint)
    trainer = build_trainer(settings, run, None)
    with torch.inference_mode(), CaseErrorKeeper(module).watching() as keeper:
        trainer.test(module, datamodule=windows, verbose=False)
    tables = _tables(module, data.store)
    errors = keeper.gathered(data.store)
    by_place = np.asarray(module.error_by_place.compute().cpu())
    judged = JudgedForecasts(tables, flat_metrics(*tables))
    if publish and not rank():
        _publish(run, data, module, judged, by_place, errors, logger)
    return judged


def _tables(module: ForecastingModule, store: Store) -> tuple[ScoreTable, ...]:
    """A table for the maps, and one for the series when they are forecast. Gathers from all ranks."""
    leads = module.domain.lead_names
    hours = tuple(store.step.hours * lead for lead in range(1, len(leads) + 1))
    names = {"maps": tuple((channel.name, channel.units) for channel in store.channels)}
    if store.series is not None:
        names["series"] = tuple(zip(store.series.names, store.series.units, strict=True))
    return tuple(
        ScoreTable(
            variables=tuple(name for name, _ in names[kind]),
            units=tuple(unit for _, unit in names[kind]),
            lead_names=leads,
            lead_hours=hours,
            scores={
                model: {metric: values.cpu().numpy() for metric, values in figures.items()}
                for model, figures in scores.items()
            },
        )
        for kind, scores in module.test_scores.compute().items()
    )


def _publish(
    run: RunDir,
    data: ForecastData,
    module: ForecastingModule,
    judged: JudgedForecasts,
    by_place: np.ndarray,
    errors: CaseErrors,
    logger: JournalLogger | None,
) -> None:
    """skill.csv, the errors of every forecast, plots, and last metrics.json, which marks the run as finished;
    the same to the logger."""
    rows = skill_rows(*judged.tables)
    write_skill_csv(run.skill, rows)
    errors.write(errors_file(run))
    pictures = _draw(run, data, module, judged, by_place)
    write_metrics(run.metrics, judged.metrics)
    if logger is None:
        return
    logger.log_metrics(judged.metrics, step=logger.newest_step)
    for row in rows:
        who = "test" if row.model == "skyreel" else f"reference/{row.model}"
        logger.log_metrics(
            {f"by_lead/{who}/{row.metric}/{row.variable}": row.value}, step=round(row.lead_hours)
        )
    # Not metrics.json: its figures are the metrics above, and a script that looks for the file below
    # paths.runs should find the run directory, not a copy among MLflow's artifacts.
    logger.log_artifact(run.skill)
    logger.log_artifact(errors_file(run), "predictions")
    for picture in pictures:
        logger.log_artifact(picture, "plots")
    logger.log_table("skill", ("variable", "lead_hours", "metric", "model", "value"), rows)


def _draw(
    run: RunDir, data: ForecastData, module: ForecastingModule, judged: JudgedForecasts, by_place: np.ndarray
) -> tuple[Path, ...]:
    """Skill by lead time, one forecast beside its truth (kept as an example too), and the error by place."""
    store, task = data.store, module.task
    windows = data.windows(task, 1, 0, 0).dataset("test")
    middle = windows[len(windows) // 2]
    issued = int(middle.start[0]) + task.history - 1
    with torch.inference_mode():
        module.eval().cpu()
        forecast = module.model(middle).maps[0].numpy()
    leads = list(module.error_by_place.leads)
    every = module.domain.lead_names
    names = [every[lead] for lead in leads]
    truth = middle.maps[0, task.history :].numpy()
    example = example_of(store, issued, every, forecast, truth, tuple(names), by_place)
    example.write(example_file(run))
    return (
        *(path for table in judged.tables for path in skill_plots.skill_by_lead(run.plots, table)),
        *map_plots.maps(
            run.plots,
            store.grid,
            store.channels,
            forecast[leads],
            truth[leads],
            names,
            f"from {example.issued}",
        ),
        *map_plots.error_by_place(run.plots, store.grid, store.channels, by_place, names),
    )


def found_before(run: RunDir) -> JudgedForecasts:
    """What a finished run found, read back from its files."""
    kept = kept_model(run)[0]
    units = {channel.name: channel.units for channel in kept.channels}
    if kept.series is not None:
        units |= dict(zip(kept.series.names, kept.series.units, strict=True))
    metrics = json.loads(run.metrics.read_text(encoding="utf-8"))
    return JudgedForecasts(read_skill_csv(run.skill, units, kept.step.lead_name, kept.step.hours), metrics)
