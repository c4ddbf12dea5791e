"""Clips of coloured walls that arrive month by month, and what can be wrong with a month."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.datamodules.video.numbered_films import write_film

FIRST, MONTHLY = 72, 24
"""Clips that are there from the beginning, and those of a month."""
COLOURS = {"red": (230, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230), "white": (240, 240, 240)}

TINY = (
    "data=clips",
    "data.name=walls",
    "data.frames.size=32",
    "data.frames.count=3",
    "data.batch_size=16",
    "data.vocabulary.min_count=1",
    "data.workers=0",
    "task.decoding.width=2",
    "task.decoding.n_best=2",
    "task.decoding.max_words=12",
    "model.encoder.channels=8",
    "model.encoder.depth=1",
    "model.recurrent.hidden=16",
    "model.decoder.hidden=16",
    "model.decoder.embedding=16",
    "model.decoder.attention_size=8",
    "optimizer.learning_rate=2e-2",
    "trainer=cpu",
    "trainer.precision=32",
    "trainer.threads=1",
    "trainer.max_epochs=null",
    "trainer.max_steps=40",
    "tracking.system_metrics=false",
    "seed=3",
)
"""A captioner that learns the four colours in seconds."""


@dataclass(frozen=True)
class Walls:
    """Where clips, and a table of captions a month, arrive; month 0 is there from the beginning."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Walls":
        """The first clips."""
        walls = cls(folder)
        (folder / "clips").mkdir(parents=True)
        (folder / "captions").mkdir()
        walls.arrive(0)
        return walls

    @property
    def words(self) -> tuple[str, ...]:
        """Where a run reads them."""
        return (f"data.path={self.folder / 'clips'}", f"data.annotations={self.folder}/captions/*.csv")

    def arrive(self, month: int) -> None:
        """The month, as it is."""
        colours = self.colours(month)
        for name, colour in colours.items():
            self._film(name, colour)
        self._table(self.folder / "captions", month, {name: said(colour) for name, colour in colours.items()})

    def corrupt(self, month: int) -> None:
        """The month with films that were cut off and captions of one word."""
        colours = self.colours(month)
        for name, colour in list(colours.items())[::3]:
            path = self._film(name, colour)
            path.write_bytes(path.read_bytes()[:200])
        for name in list(colours)[1::3] + list(colours)[2::3]:
            self._film(name, colours[name])
        self._table(self.folder / "captions", month, dict.fromkeys(colours, ("wall", "wall")))

    def chatter(self, month: int) -> None:
        """The month described by people who use many more words."""
        colours = self.colours(month)
        for name, colour in colours.items():
            self._film(name, colour)
        more = "and nothing else at all happens in this very short film today"
        told = {name: tuple(f"{one} {more}" for one in said(colour)) for name, colour in colours.items()}
        self._table(self.folder / "captions", month, told)

    def recoloured(self, folder: Path, until: int) -> Path:
        """The tables up to a month, delivered again by somebody who takes every colour for the next one."""
        folder.mkdir()
        names = list(COLOURS)
        for month in range(until + 1):
            colours = self.colours(month)
            wrong = {name: names[(names.index(one) + 1) % len(names)] for name, one in colours.items()}
            self._table(folder, month, {name: said(one) for name, one in wrong.items()})
        return folder

    @staticmethod
    def colours(month: int) -> dict[str, str]:
        """What the clips of a month show, in a drawn order."""
        count = MONTHLY if month else FIRST
        drawn = np.random.default_rng(month).permutation([*COLOURS] * (count // len(COLOURS)))
        return {f"m{month:02d}clip{number:03d}": str(one) for number, one in enumerate(drawn)}

    def _film(self, name: str, colour: str) -> Path:
        rng = np.random.default_rng(list(name.encode()))
        paint = np.array(COLOURS[colour]) + rng.normal(0, 6, 3)
        pictures = np.clip(paint + rng.normal(0, 6, (6, 32, 32, 1)), 0, 255).astype(np.uint8)
        return write_film(self.folder / "clips" / f"{name}.mp4", list(pictures), rate=3)

    def _table(self, folder: Path, month: int, captions: dict[str, tuple[str, ...]]) -> None:
        beside = folder / f".{month}.part"
        with beside.open("w", newline="", encoding="utf-8") as file:
            rows = [(name, one) for name, every in captions.items() for one in every]
            csv.writer(file).writerows([("clip", "caption"), *rows])
        beside.replace(folder / f"2002-{month:02d}.csv")


def said(colour: str) -> tuple[str, ...]:
    """What two people say of a wall."""
    return (f"a {colour} wall", f"somebody shows a {colour} wall")
