"""`skyreel`, but a rank kills itself (SIGKILL) in a phase, both named in the environment: DIES="RANK PHASE".

Run as a script, so that the ranks it starts are this script too. Without DIES, and where torchrun has started
it again, it is `skyreel`.
"""

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipelines.ranks import global_rank, started_again

PHASES: dict[str, tuple[str, str, int]] = {
    "start": ("torch.distributed", "init_process_group", 1),
    "prepare": ("pipelines.train", "open_system", 1),
    "train": ("lightning_modules.forecasting", "ForecastingModule.training_step", 12),
    "validate": ("lightning_modules.forecasting", "ForecastingModule.validation_step", 2),
    "checkpoint": ("pipelines.last_checkpoint", "LastCheckpoint.on_save_checkpoint", 2),
    "test": ("lightning_modules.forecasting", "ForecastingModule.test_step", 1),
}
"""What is called in each phase, and which call of it is the last."""


def die() -> None:
    """End this process now; when, stands in the file that DEATH names."""
    if "DEATH" in os.environ:
        Path(os.environ["DEATH"]).write_text(f"{time.time()}")
    os.kill(os.getpid(), signal.SIGKILL)


def die_in(phase: str) -> None:
    """Have this process end in `phase`; for other ranks than the first "start" is before any import."""
    if phase == "start" and global_rank():
        die()
    module, name, last = PHASES[phase]
    place: Any = importlib.import_module(module)
    *classes, function = name.split(".")
    for one in classes:
        place = getattr(place, one)
    work: Callable[..., Any] = getattr(place, function)
    calls = 0

    def until_the_last(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == last:
            die()
        return work(*arguments, **named)

    setattr(place, function, until_the_last)


def main() -> int:
    """The exit status of `skyreel`."""
    rank, _, phase = os.environ.get("DIES", "").partition(" ")
    if rank == str(global_rank()) and not started_again():
        die_in(phase)
    from pipelines.__main__ import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
