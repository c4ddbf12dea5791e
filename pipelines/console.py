"""What people see while a verb works: log lines, progress, and the log file of the run."""

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.ranks import global_rank
from pipelines.redact import MaskedFormatter

log = logging.getLogger(__name__)

OURS = ("pipelines", "lightning_modules", "datamodules")
NOISE = (
    r".*LeafSpec.*",
    r".*does not have many workers.*",
    r".*sync_dist.*",
    r".*in eval mode at the start of training.*",
    r".*smaller than the logging interval.*",
)
"""Warnings of libraries, about themselves, that nobody who runs a forecast can act on."""
CHATTER = ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.rank_zero")
"""Loggers that tell which devices are absent and which products exist; heard from a warning on."""
PLAIN = "%(asctime)s %(levelname)s %(message)s"
PLAIN_SECONDS = 10.0
"""How often progress is told where there is no terminal."""

Advance = Callable[[int, int], None]


def rank() -> int:
    """The rank of this process among those that train together, on all machines; 0 when it is alone."""
    return global_rank()


def shown_path(path: Path) -> Path:
    """`path` as a person would type it: relative to the working directory where it lies inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def set_up_logging(debug: bool = False) -> None:
    """Log lines go to standard error: coloured on a terminal, plain otherwise; other ranks only warn.

    Our own packages tell what they do; everyone else is heard from a warning on.
    """
    handler: logging.Handler
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        handler = RichHandler(console=Console(stderr=True), show_path=False, log_time_format="%H:%M:%S")
        handler.setFormatter(MaskedFormatter("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(MaskedFormatter(PLAIN, "%H:%M:%S"))
    handler.setLevel(logging.WARNING if rank() else logging.NOTSET)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.INFO)
    for name in CHATTER:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)


def attach_log(path: Path) -> None:
    """From here on, log lines are appended to `path` too (the run's log.txt), to no earlier run's any more.

    Ranks beside the first add only warnings.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for earlier in [one for one in logging.getLogger().handlers if isinstance(one, logging.FileHandler)]:
        logging.getLogger().removeHandler(earlier)
        earlier.close()
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(MaskedFormatter(PLAIN))
    handler.setLevel(logging.WARNING if rank() else logging.NOTSET)
    logging.getLogger().addHandler(handler)


def record(message: str, error: BaseException | None = None) -> Path | None:
    """Write `message`, with the traceback of `error`, to the run's log alone; its path, None without one."""
    found = None
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            trace = (type(error), error, error.__traceback__) if error is not None else None
            handler.handle(logging.LogRecord(__name__, logging.ERROR, __file__, 0, message, None, trace))
            found = Path(handler.baseFilename)
    return found


@contextmanager
def progress(label: str, clock: Callable[[], float] = time.monotonic) -> Iterator[Advance]:
    """A function `advance(done, total)` that shows how far `label` is and how long it will take.

    A bar when standard error is a terminal, else a log line every ten seconds; nothing on other ranks.
    """
    if rank():
        yield lambda done, total: None
    elif sys.stderr.isatty():
        yield from _bar(label)
    else:
        yield _lines(label, clock)


def _bar(label: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(label: str, clock: Callable[[], float]) -> Advance:
    started = told = clock()

    def advance(done: int, total: int) -> None:
        nonlocal told
        now = clock()
        if now - told < PLAIN_SECONDS or not done or not total:
            return
        told = now
        left = (now - started) / done * (total - done)
        log.info("%s: %d of %d (%.0f %%), about %.0f s left", label, done, total, 100 * done / total, left)

    return advance
