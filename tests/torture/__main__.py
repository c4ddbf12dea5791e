"""`python -m tests.torture`: kills, each followed by going on; the end has to equal that of undisturbed runs.

Exit status: 0 when all were equal, 1 at the first difference, which is told.
"""

import argparse
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.torture.campaign import PATIENCE, Tally, torture
from tests.torture.plans import SYSTEMS, Plan, SystemName, make_sources

log = logging.getLogger(__name__)

PLANS: list[tuple[SystemName, int]] = [(system, ranks) for ranks in (1, 2) for system in SYSTEMS]


def main() -> int:
    """The exit status of the campaign that the command line asks for."""
    asked = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background; the children have to hear it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(asked.folder or tempfile.mkdtemp(prefix="skyreel-torture-")).absolute()
    sys.stdout.write(f"seed {asked.seed}; everything is in {folder}\n")
    sys.stdout.flush()
    make_sources(folder)
    plans = [Plan(system, ranks, folder) for system, ranks in PLANS if f"{system}-{ranks}" in asked.plans]
    begin = time.monotonic()
    tallies = _run_all(plans, asked.kills, asked.seed, asked.cores, asked.patience)
    sys.stdout.write(table(tallies, asked.seed, time.monotonic() - begin))
    failures = [f"\n{tally.plan.name}: {tally.failure}\n" for tally in tallies if tally.failure]
    sys.stdout.write("".join(failures))
    if failures or asked.folder or asked.keep:
        sys.stdout.write(f"\nthe runs are kept in {folder}\n")
    else:
        shutil.rmtree(folder)
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    names = [f"{system}-{ranks}" for system, ranks in PLANS]
    parser.add_argument("--kills", type=int, default=50, help="signals in all (default: 50)")
    drawn = random.SystemRandom().randrange(10**6)
    parser.add_argument("--seed", type=int, default=drawn, help="of all choices (default: a new one)")
    parser.add_argument("--plans", nargs="+", choices=names, default=names, help="system and number of ranks")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="ranks that run at once")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds to end after a signal")
    parser.add_argument("--folder", help="where the runs go; they stay there (default: a temporary one)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    return parser.parse_args()


def _run_all(plans: list[Plan], kills: int, seed: int, cores: int, patience: float) -> list[Tally]:
    """Every plan tortured with its share of the kills, as many at once as there are cores for their ranks."""
    stop = threading.Event()
    shares = {plan: kills // len(plans) + (place < kills % len(plans)) for place, plan in enumerate(plans)}
    found: list[Tally] = []
    for ranks in sorted({plan.ranks for plan in plans}):
        together = [plan for plan in plans if plan.ranks == ranks]
        with ThreadPoolExecutor(max(1, cores // ranks)) as pool:
            try:
                found += pool.map(lambda plan: torture(plan, shares[plan], seed, stop, patience), together)
            except BaseException:
                stop.set()
                raise
        if stop.is_set():
            break
    return found


def table(tallies: list[Tally], seed: int, seconds: float) -> str:
    """What happened, a row a plan, with all signals, phases and warnings below."""
    head = ("", "kills", "launches", "victims", "values", "slowest end", "minutes", "result")
    rows = [
        (
            tally.plan.name,
            str(tally.kills),
            str(tally.launches),
            str(tally.victims),
            f"{tally.values:,}",
            f"{tally.slowest:.1f} s",
            f"{tally.seconds / 60:.1f}",
            "DIFFERS" if tally.failure else "equal",
        )
        for tally in tallies
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, *rows]
    ]
    for title in ("signals", "phases", "warnings"):
        counts = sum((getattr(tally, title) for tally in tallies), start=type(tallies[0].signals)())
        lines += [f"{title}:", *(f"  {count:4d}  {name}" for name, count in counts.most_common())]
    return "\n".join([f"seed {seed}, {seconds / 60:.1f} minutes", *lines]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
