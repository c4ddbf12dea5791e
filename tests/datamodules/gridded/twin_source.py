"""A source in memory, with the block size, gaps and faults that a test asks for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datamodules.gridded.describe import Channel, Step
from datamodules.gridded.grid import Grid

GRID = Grid(np.array([30.0, 10.0, -10.0]), np.arange(0.0, 360.0, 90.0), np.full((3, 4), 1 / 12), wraps=True)
SIX_HOURS = Step(seconds=21600)


def frames(first: int, stop: int, channels: int = 2, grid: Grid = GRID) -> np.ndarray:
    """Maps (time, channel, lat, lon) whose every value is different, made on the fly."""
    size = channels * grid.cell_area.size
    flat = np.arange(first * size, stop * size, dtype=np.float32)
    return flat.reshape(stop - first, channels, *grid.shape)


@dataclass
class TwinSource:
    """What `open_source` gives, for `steps` 6-hourly `frames`, changed by `spoil` as they are read."""

    steps: int = 20
    block: int = 4
    grid: Grid = GRID
    names: tuple[str, ...] = ("air", "slp")
    spoil: Callable[[np.ndarray, int], None] = lambda maps, first: None
    static: dict[str, np.ndarray] = field(default_factory=dict)
    step: Step = SIX_HOURS
    calendar: str = "standard"
    files: tuple[str, ...] = ("twin.nc",)
    warnings: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    print: str = "twin"
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(Channel(name, name, None, "K", "", name) for name in self.names)

    @property
    def tick(self) -> np.ndarray:
        return np.arange(self.steps, dtype=np.int64)

    @property
    def time(self) -> np.ndarray:
        return self.tick * 21600

    def read(self, first: int, stop: int) -> np.ndarray:
        maps = frames(first, stop, len(self.names), self.grid)
        self.spoil(maps, first)
        self.reads.append((first, stop))
        return maps

    def fingerprint(self) -> str:
        return self.print

    def close(self) -> None:
        """Nothing is open."""
