"""A call of `evaluate`, then what the same ranks find on the validation split, as JSON in a file.

python tests/pipelines/rank_figures.py FIGURES.json evaluate run=RUN [key=value ...]
"""

import json
import sys
from pathlib import Path

import torch

from pipelines.cli import run
from pipelines.compose import compose
from pipelines.lightning_trainer import build_trainer
from pipelines.rundir import RunDir
from pipelines.systems import open_system
from pipelines.weights import load_weights


def main() -> int:
    """The exit status of the call; its ranks are asked to validate where that is 0."""
    file, *argv = sys.argv[1:]
    status = run(argv)
    if status:
        return status
    folder = RunDir(Path(next(word for word in argv if word.startswith("run=")).removeprefix("run=")))
    words = [word for word in argv if "=" in word and not word.startswith("run=")]
    settings = compose(words, folder.read_config()).settings
    system = open_system(settings)
    module = load_weights(system.new_module(folder), folder.best)
    trainer = build_trainer(settings, folder, None)
    with torch.inference_mode():
        (figures,) = trainer.validate(module, datamodule=system.loaders(), verbose=False)
    if trainer.is_global_zero:
        Path(file).write_text(json.dumps(figures), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main())
