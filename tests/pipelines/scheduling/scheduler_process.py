"""A scheduler as a process of its own, by the clock of the machine, for tests that send it real signals.

Called with the folder of a House and the seconds of its patience.
"""

import logging
import sys
from datetime import timedelta
from pathlib import Path

from pipelines import interrupts
from pipelines.scheduling.clock import SystemClock
from tests.pipelines.scheduling.small_jobs import House

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    interrupts.install()
    interrupts.defer()
    scheduler = House(Path(sys.argv[1])).scheduler(
        SystemClock(),
        stopped=lambda: interrupts.received() is not None,
        patience=timedelta(seconds=float(sys.argv[2])),
    )
    sys.exit(10 * len(scheduler.run()))
