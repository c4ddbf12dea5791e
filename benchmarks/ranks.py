"""How many more samples a second two ranks train on than one, each on one thread: weak scaling.

    python -m benchmarks.ranks [--json] [--turns N] [--seconds N]

A forecaster (residual CNN and ConvGRU of width 32 on maps of 32 x 64, 4 steps read and 3 rolled out) and a
captioner (the network of `experiment=sample_clips`, from pixels), with the same batch on every rank. Each is
trained by the trainer, the loaders and the process group of `skyreel train`, once by one process and once by
two over gloo. These launches take turns of a few seconds, all but one being stopped, so that a busy machine
slows both; a turn counts the steps that began and ended in it, waiting for data included, validation and
checkpoints not. The ratio is the median over neighbouring turns. Exits with 1 where it is below 1.7.

`apart` is what the machine allows: the same ratio for two launches of one rank each, which never talk to each
other, at work at the same time. Where it is low, cores are taken by others or share what they need.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.ranks import ENDS_WITH_PARENT, end_with_parent

REQUIRED = 1.7
SETTLING = 1
"""Steps after a stop that are left out: they warm caches up again."""
FEWEST, PATIENCE = 4, 120.0
"""Steps that a turn has at least; seconds until it is given up."""
COMMON = (
    "trainer=ddp_cpu",
    "trainer.precision=32",
    "trainer.threads=1",
    "trainer.max_epochs=100000",
    "trainer.max_minutes=null",
    "trainer.checkpoint_minutes=10000",
    "tracking=off",
)
SYSTEMS: dict[str, tuple[str, ...]] = {
    "forecaster": (
        "data=netcdf",
        "data.name=noise",
        "data.batch_size=4",
        "task.history=4",
        "task.horizon=3",
        "task.linear.components=4",
        "task.linear.folds=2",
    ),
    "captioner": ("experiment=sample_clips", "data.sample.clips=480", "data.batch_size=8"),
}


def train(folder: Path, name: str, which: str, ranks: int, told: Path) -> None:
    """Train until killed; the first rank writes a line "begin end samples" for each step to `told`."""
    import pytorch_lightning as pl

    from datamodules.batches import ClipBatch, MapBatch
    from pipelines.compose import compose
    from pipelines.console import set_up_logging
    from pipelines.lightning_trainer import build_trainer
    from pipelines.rundir import RunDir
    from pipelines.systems import open_system
    from pipelines.tracking.logger import JournalLogger

    class Stopwatch(pl.Callback):
        """Tells the end of each step, and of the one before it: the wait for data lies between them."""

        def __init__(self) -> None:
            self.file = told.open("w", buffering=1)
            self.begin = 0.0

        def on_train_batch_end(
            self,
            trainer: pl.Trainer,
            pl_module: pl.LightningModule,
            outputs: object,
            batch: MapBatch | ClipBatch,
            batch_idx: int,
        ) -> None:
            """Write a line; the first step of an epoch begins before what came between epochs."""
            now = time.monotonic()
            samples = len(batch.clip if isinstance(batch, ClipBatch) else batch.start)
            if batch_idx and trainer.is_global_zero:
                self.file.write(f"{self.begin} {now} {samples * trainer.world_size}\n")
            self.begin = now

    set_up_logging()
    place = (f"paths.runs={folder / 'runs'}", f"paths.stores={folder / 'stores'}", f"run.name={name}-{which}")
    source = (f"data.path={folder / 'noise.nc'}",) if name == "forecaster" else ()
    settings = compose([*SYSTEMS[name], *COMMON, *place, *source, f"trainer.devices={ranks}"]).settings
    system = open_system(settings)
    run = RunDir((folder / "runs" / f"{name}-{which}").absolute())
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    module = system.new_module(run)
    trainer = build_trainer(
        settings, run, JournalLogger(run), (module.monitor, module.mode), limit_val_batches=0
    )
    trainer.callbacks.append(Stopwatch())  # type: ignore[attr-defined]
    trainer.fit(module, datamodule=system.loaders())


def write_noise(path: Path) -> None:
    """4,000 six-hourly maps of two variables that hold nothing to learn."""
    import numpy as np
    import xarray as xr

    rng = np.random.default_rng(0)
    steps, lat, lon = 4000, np.linspace(87, -87, 32), np.arange(64) * 360 / 64
    attributes = {"units": "K", "standard_name": "air_temperature"}
    fields = {
        name: (("time", "lat", "lon"), rng.standard_normal((steps, 32, 64), dtype=np.float32), attributes)
        for name in ("one", "other")
    }
    time_axis = np.datetime64("2001-01-01", "ns") + np.arange(steps) * np.timedelta64(6, "h")
    axes = {
        "time": time_axis,
        "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}),
    }
    xr.Dataset(fields, axes).to_netcdf(path)


class Turn(NamedTuple):
    """What a launch did in one turn: samples a second over all ranks, and the median step in seconds."""

    rate: float
    step: float


class Launch:
    """A training of its own, all of its processes stopped but for its turns."""

    def __init__(self, folder: Path, name: str, which: str, ranks: int) -> None:
        self.told = folder / f"{name}-{which}.txt"
        self.said = folder / f"{name}-{which}.log"
        words = ["--train", str(folder), name, which, str(ranks), str(self.told)]
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve()), *words],
                env={**os.environ, "OMP_NUM_THREADS": "1", ENDS_WITH_PARENT: str(os.getpid())},
                stdout=said,
                stderr=said,
                process_group=0,  # stopped ones end with this process: the system wakes them with SIGHUP
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the launch."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def ready(self, steps: int = 5, patience: float = 300.0) -> None:
        """Wait for the first steps, then stop. Errors: RuntimeError when they do not come."""
        until = time.monotonic() + patience
        while not self.told.exists() or self.told.read_text().count("\n") < steps:
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"no training:\n{self.said.read_text()[-3000:]}")
            time.sleep(0.1)
        self.signal(signal.SIGSTOP)

    def steps(self, place: int, begin: float) -> list[tuple[float, ...]]:
        """Begin, end and samples of the steps that began after `begin`, told after `place` in the file."""
        if self.process.poll() is not None:
            raise RuntimeError(f"training has ended:\n{self.said.read_text()[-3000:]}")
        lines = [line.split() for line in self.told.read_text()[place:].splitlines()[:-1]]
        whole = [tuple(map(float, line)) for line in lines]
        return [step for step in whole if step[0] >= begin][SETTLING:]


def take_turn(launches: Sequence[Launch], seconds: float) -> Turn:
    """Have `launches` train together for so long, and until each took a few steps; their rates added up."""
    places, begin = [launch.told.stat().st_size for launch in launches], time.monotonic()
    for launch in launches:
        launch.signal(signal.SIGCONT)
    while True:
        time.sleep(seconds)
        found = [launch.steps(place, begin) for launch, place in zip(launches, places, strict=True)]
        if min(map(len, found)) >= FEWEST:
            break
        if time.monotonic() - begin > PATIENCE:
            raise RuntimeError(f"{launches[0].told.stem}: no {FEWEST} steps in {PATIENCE} s")
    for launch in launches:
        launch.signal(signal.SIGSTOP)
    rates = [sum(step[2] for step in steps) / sum(step[1] - step[0] for step in steps) for steps in found]
    return Turn(sum(rates), statistics.median(end - start for start, end, _ in found[0]))


def measure(folder: Path, name: str, turns: int, seconds: float) -> dict[str, float]:
    """Medians, least and most of the rates of one and two ranks and of their ratio, and steps in seconds."""
    launches: dict[str, Launch] = {}
    found: dict[str, list[Turn]] = {"one": [], "two": [], "apart": []}
    try:
        for which, ranks in (("one", 1), ("other", 1), ("two", 2)):
            launches[which] = Launch(folder, name, which, ranks)
            launches[which].ready()
        one, other, two = launches.values()
        order = {"one": [one], "two": [two], "apart": [one, other]}
        for number in range(turns):
            for which in order if number % 2 else reversed(order):
                found[which].append(take_turn(order[which], seconds))
    finally:
        for launch in launches.values():
            launch.signal(signal.SIGKILL)
            launch.process.wait()
    result: dict[str, float] = {}
    for which, seen in found.items():
        rates = [turn.rate for turn in seen]
        result |= {which: statistics.median(rates), f"{which}_least": min(rates), f"{which}_most": max(rates)}
        result[f"{which}_step"] = statistics.median(turn.step for turn in seen)
    for ratio, which in (("ratio", "two"), ("apart_ratio", "apart")):
        ratios = [many.rate / alone.rate for alone, many in zip(found["one"], found[which], strict=True)]
        result |= {
            ratio: statistics.median(ratios),
            f"{ratio}_least": min(ratios),
            f"{ratio}_most": max(ratios),
        }
    return result


def main() -> int:
    """Print the figures; 1 when any ratio is below the one required, else 0."""
    if sys.argv[1:2] == ["--train"]:
        end_with_parent()
        place, system, which, ranks, told = sys.argv[2:]
        train(Path(place), system, which, int(ranks), Path(told))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranks", description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--turns", type=int, default=6, help="turns of each launch")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn")
    parser.add_argument("--system", choices=sorted(SYSTEMS), help="this one alone")
    call = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_noise(folder / "noise.nc")
        chosen = [call.system] if call.system else list(SYSTEMS)
        results = {system: measure(folder, system, call.turns, call.seconds) for system in chosen}
    lines = [json.dumps(results)] if call.json else []
    for system, result in results.items() if not call.json else ():
        for which, words in (("one", "1 rank"), ("two", "2 ranks"), ("apart", "2 x 1 rank, apart")):
            spread = f"({result[f'{which}_least']:.1f} to {result[f'{which}_most']:.1f})"
            step = f"a step {1000 * result[f'{which}_step']:.0f} ms"
            lines.append(f"{system:11s}{words:18s}{result[which]:8.1f} samples/s {spread}; {step}")
        for ratio, words in (("ratio", f"at least {REQUIRED}"), ("apart_ratio", "apart")):
            spread = (
                f"({result[f'{ratio}_least']:.2f} to {result[f'{ratio}_most']:.2f} in {call.turns} pairs)"
            )
            lines.append(f"{system:11s}{'ratio':18s}{result[ratio]:8.2f} {spread}; {words}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if all(result["ratio"] >= REQUIRED for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
