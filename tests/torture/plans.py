"""What is tortured: tiny runs of both systems, on one rank and on two, with all that a run can carry on."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pipelines.rundir import RunDir
from tests.pipelines.captions import small_clips
from tests.pipelines.small_files import TINY, steps_of, write_maps, write_series

SystemName = Literal["forecast", "caption"]
SYSTEMS: tuple[SystemName, ...] = ("forecast", "caption")

CARRIED_ON = (
    "optimizer.ema=0.98",
    "trainer.checkpoint_minutes=0.02",
    "tracking.timeout=60",
)
"""What both systems have: averaged weights, and a checkpoint every second."""

FORECAST = (
    *TINY,
    "data.batch_size=16",
    "data.series.target=true",
    "task.curriculum.start=1",
    "task.curriculum.epochs=4",
    "task.scheduled_sampling.start=0.5",
    "task.scheduled_sampling.end=0.1",
    "model.noise=0.1",
    "model.decoder.dropout=0.2",
    "trainer.max_epochs=20",
    "trainer.patience=5",
    *CARRIED_ON,
)
"""A rollout that grows, words of truth that become rarer, noise, dropout, and an end that may come early."""

CAPTION = (
    *small_clips.TINY,
    "data.batch_size=4",
    "data.frames.choice=segment",
    "data.frames.augment.crop=0.8",
    "task.scheduled_sampling.end=0.5",
    "model.concepts=0.1",
    "model.decoder.dropout=0.3",
    "trainer.max_epochs=12",
    "trainer.patience=8",
    *CARRIED_ON,
)
"""Frames and crops drawn at random, words of one's own that become more frequent, dropout, two losses."""


@dataclass(frozen=True)
class Plan:
    """One combination: which system, on how many ranks, and the folder that holds all of it."""

    system: SystemName
    ranks: int
    folder: Path

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.system}, {self.ranks} rank{'s' if self.ranks > 1 else ''}"

    def place(self, run: str) -> Path:
        """The folder of one run: its own stores and MLflow database, so that kills hit their making."""
        return self.folder / f"{self.system}-{self.ranks}" / run

    def run_dir(self, run: str) -> RunDir:
        """The run directory of `run`."""
        return RunDir(self.place(run) / "runs" / "tiny" / "a")

    def words(self, run: str, workers: int = 0) -> list[str]:
        """The settings of `run`; equal for all runs of the plan but for where they lie."""
        place = self.place(run)
        sources = self.folder / "sources"
        found = [
            f"paths.runs={place / 'runs'}",
            f"paths.stores={place / 'stores'}",
            "run.name=a",
            f"data.workers={workers}",
            *self.ranks_words(),
        ]
        if self.system == "forecast":
            maps, series = sources / "air.nc", sources / "stations.csv"
            return [*FORECAST, f"data.path={maps}", f"data.series.path={series}", *found]
        clips = sources / "clips"
        return [
            *CAPTION,
            f"data.path={clips / 'clips'}",
            f"data.annotations={clips / 'captions.csv'}",
            f"data.facts={clips / 'facts.csv'}",
            *found,
        ]

    def ranks_words(self) -> list[str]:
        """The settings that make as many ranks as the plan has."""
        many = ["trainer=ddp_cpu", f"trainer.devices={self.ranks}"] if self.ranks > 1 else ["trainer=cpu"]
        return [*many, "trainer.threads=1", "trainer.precision=32"]


def make_sources(folder: Path) -> None:
    """Maps, station series with missing values, and clips below `folder`, for all plans."""
    sources = folder / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    steps = steps_of(300, gaps=[(120, 123)])
    write_maps(sources / "air.nc", steps)
    write_series(sources / "stations.csv", steps)
    small_clips.make_clips(sources / "clips")


def generator(seed: int, *what: str) -> random.Random:
    """Random choices that `seed` and a name alone decide."""
    mixed = np.random.SeedSequence([seed, *"/".join(what).encode()]).generate_state(2)
    return random.Random(int(mixed[0]) << 32 | int(mixed[1]))
