"""What a process learns of its launcher from the environment, and that it ends with it. Imports nothing slow.

A run's processes are started by torchrun, by SLURM's srun, or by the first of them (pipelines.launching).
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Literal, NoReturn

ENDS_WITH_PARENT = "SKYREEL_ENDS_WITH_PARENT"
"""Set by whoever starts a process that must not outlive it: its process id, or 1."""
POLL_SECONDS = 0.5
SECONDS_TO_SAVE = 12.0
"""A process whose launcher is gone has this long to write a checkpoint: its fellows may all be alive."""
SECONDS_TO_LEAVE = 3.0
"""A rank whose first rank is gone has this long: nothing can be saved without it."""

LaunchedBy = Literal["torchrun", "srun", "first rank"]


def launched_by(environ: Mapping[str, str] = os.environ) -> LaunchedBy | None:
    """What started this process as one of several ranks; None for a process that a person started.

    A shell within SLURM has SLURM's variables too: only a step of several tasks counts, and none that is
    named bash or interactive.
    """
    if "TORCHELASTIC_RUN_ID" in environ and "RANK" in environ:
        return "torchrun"
    shell = environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if int(environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and "SLURM_PROCID" in environ and not shell:
        return "srun"
    return "first rank" if environ.get("LOCAL_RANK", "0") != "0" else None


def global_rank(environ: Mapping[str, str] = os.environ) -> int:
    """The rank of this process among all that train together, 0 when it is alone."""
    match launched_by(environ):
        case "torchrun":
            return int(environ["RANK"])
        case "srun":
            return int(environ["SLURM_PROCID"])
        case _:
            return int(environ.get("LOCAL_RANK", 0))


def processors() -> int:
    """Processors that this process may use; all, where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def started_again(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun or SLURM has started this same call before, and it did not come to its end."""
    return any(int(environ.get(key, 0)) > 0 for key in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def end_with_parent() -> None:
    """Have this process end soon after its launcher, in order if it can; nothing for a plain process.

    Once the launcher is gone the process sends SIGTERM to itself, and ends hard where that was not enough,
    also when it is stuck in a collective. Linux could signal by itself (PR_SET_PDEATHSIG), but it does so
    when the parent's thread ends, which a launcher with several threads survives.
    """
    launcher = int(os.environ.pop(ENDS_WITH_PARENT, 0))
    if not launcher and launched_by() not in ("torchrun", "first rank"):
        return
    import threading

    by_first = launched_by() == "first rank"
    seconds = SECONDS_TO_LEAVE if by_first else SECONDS_TO_SAVE
    watch = threading.Thread(
        target=_watch, args=(os.getppid(), launcher, seconds), daemon=True, name="parent"
    )
    watch.start()


def _watch(parent: int, launcher: int, seconds: float) -> None:
    """End this process `seconds` after `parent` or `launcher` (0 when it is not known) is gone."""
    while os.getppid() == parent and (launcher <= 1 or _lives(launcher)):
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(seconds)
    end_hard()


def leave(status: int) -> None:
    """End a process that failed while it trained with others; return for any other.

    The interpreter would take the connections apart, which waits for peers that are gone. Ranks that this
    process has started are ended before.
    """
    distributed = sys.modules.get("torch.distributed")
    if status == 0 or distributed is None or not distributed.is_initialized():
        return
    if launching := sys.modules.get("pipelines.launching"):
        launching.end_ranks()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    end_hard(status)


def end_hard(status: int = 1) -> NoReturn:
    """End this process, and those that read data for it, which would notice only seconds later."""
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        with contextlib.suppress(OSError, ValueError):
            for child in active_children():
                child.kill()
    os._exit(status)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
