"""One of several processes that open the same data at the same moment, as `train` does before it trains.

python -m tests.pipelines.open_data FOLDER WORD ...: what it does is told in FOLDER/<process id>.log, what it
sees in FOLDER/<process id>.json. It begins once FOLDER/go is there.
"""

import json
import logging
import os
import sys
import time
from pathlib import Path

from pipelines.compose import compose
from pipelines.console import set_up_logging
from pipelines.systems import open_system


def main() -> None:
    """Wait for the others, open the data, note what was found."""
    folder, *words = sys.argv[1:]
    place = Path(folder) / f"{os.getpid()}.log"
    set_up_logging()
    told = logging.FileHandler(place)
    for name in ("datamodules", "pipelines"):
        logging.getLogger(name).addHandler(told)
    settings = compose(words).settings
    place.with_suffix(".ready").touch()
    while not (Path(folder) / "go").exists():
        time.sleep(0.005)
    system = open_system(settings)
    about = {"about": system.about(), "counts": system.counts()}
    place.with_suffix(".json").write_text(json.dumps(about, sort_keys=True, default=str))


if __name__ == "__main__":
    main()
