"""The best checkpoints are kept in order of rank, whatever comes in between."""

import contextlib
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, WeightAveraging
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from pipelines.best_checkpoints import BestCheckpoints
from pipelines.checkpoint_files import CheckedFiles, reason_unusable
from pipelines.checkpoint_manifest import MANIFEST, read_manifest
from tests.pipelines.small_files import ROOT

FIGURE = "validation/figure"


class Scripted(pl.LightningModule):
    """One weight that learns; the figure of each epoch's validation is given."""

    def __init__(self, figures: list[float]) -> None:
        super().__init__()
        self.figures = figures
        self.apart = False
        self.model = nn.Linear(1, 1)
        self.validated: dict[int, float] = {}

    def training_step(self, batch: list[Tensor], number: int) -> Tensor:
        return (self.model(batch[0]) - 3).square().mean()

    def validation_step(self, batch: list[Tensor], number: int) -> None:
        figure = [*self.figures, 0.0][self.current_epoch]
        figure = 10 - figure if self.apart and self.global_rank else figure
        self.log(FIGURE, torch.tensor(figure))
        self.validated[self.global_step] = float(self.model.weight)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class LastOfEach(Callback):
    """Writes last.ckpt after the first step of each epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 0:
            trainer.save_checkpoint(self.path, weights_only=False)


def loader() -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(torch.linspace(-1, 1, 4)[:, None]), batch_size=2)


def fit(
    folder: Path,
    figures: list[float],
    best: BestCheckpoints | None = None,
    ckpt: Path | None = None,
    more: tuple[Callback, ...] = (),
    devices: int = 1,
    apart: bool = False,
) -> tuple[pl.Trainer, Scripted]:
    """A run with an epoch of two steps (shared by the ranks) for each figure.

    apart: ranks beside the first find other figures
    """
    torch.manual_seed(0)
    module = Scripted(figures)
    module.apart = apart
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=devices,
        max_epochs=len(figures),
        callbacks=[*more, best or BestCheckpoints(folder, FIGURE, "min"), LastOfEach(folder / "last.ckpt")],
        plugins=[CheckedFiles()],
        logger=False,
        num_sanity_val_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(module, loader(), loader(), ckpt_path=ckpt, weights_only=True)
    return trainer, module


def best_of(folder: Path, mode: Literal["min", "max"] = "min", keep: int = 1) -> BestCheckpoints:
    return BestCheckpoints(folder, FIGURE, mode, keep)


def steps_of_ranks(folder: Path) -> dict[str, int]:
    """The step of each kept checkpoint, each of which the manifest vouches for."""
    found = {}
    for path in sorted(folder.glob("best*.ckpt")):
        assert reason_unusable(path) is None
        assert len(read_manifest(folder)[path.name]) == 1
        found[path.name] = int(torch.load(path, weights_only=True)["global_step"])
    return found


pytestmark = [  # libraries about themselves, and loaders that need no position here
    pytest.mark.filterwarnings("ignore:.*ended before the epoch ended"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
]


@pytest.mark.parametrize(
    ("mode", "keep", "ranks"),
    [
        ("min", 1, [6]),
        ("max", 1, [4]),
        ("min", 3, [6, 8, 2]),
        ("max", 3, [4, 10, 2]),
        ("min", 9, [6, 8, 2, 10, 4]),
    ],
)
def test_the_best_are_kept_in_order_of_rank(
    tmp_path: Path, mode: Literal["min", "max"], keep: int, ranks: list[int]
) -> None:
    best = best_of(tmp_path, mode, keep)
    fit(tmp_path, [3.0, 5.0, 1.0, 2.0, 4.0], best)
    names = ["best.ckpt", *(f"best-{rank}.ckpt" for rank in range(2, len(ranks) + 1))]
    assert steps_of_ranks(tmp_path) == dict(zip(names, ranks, strict=True))
    kept = {path.name for path in tmp_path.iterdir()} - {"last.ckpt", "previous.ckpt", MANIFEST}
    assert kept == set(names)
    top = 1.0 if mode == "min" else 5.0
    assert [best.better(top), best.better(top - 1), best.better(top + 1)] == [
        False,
        mode == "min",
        mode == "max",
    ]


def test_of_equal_figures_the_earlier_is_better(tmp_path: Path) -> None:
    fit(tmp_path, [2.0, 1.0, 1.0, 2.0, 1.0], best_of(tmp_path, keep=4))
    ranks = {"best.ckpt": 4, "best-2.ckpt": 6, "best-3.ckpt": 10, "best-4.ckpt": 2}
    assert steps_of_ranks(tmp_path) == ranks


def test_a_figure_that_is_no_number_is_never_the_best(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    best = best_of(tmp_path, "max", keep=3)
    fit(tmp_path, [math.nan, 1.0, math.inf, 2.0], best)
    assert steps_of_ranks(tmp_path) == {"best.ckpt": 8, "best-2.ckpt": 4}
    assert f"{FIGURE} is nan after step 2: never the best" in caplog.text
    assert not best.better(math.nan)
    assert not best.better(math.inf)


def test_a_figure_that_the_validation_does_not_find_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"validation/typo: .*no such figure; it found {FIGURE}"):
        fit(tmp_path, [1.0], BestCheckpoints(tmp_path, "validation/typo", "min"))
    with pytest.raises(ValueError, match="keep=0"):
        best_of(tmp_path, keep=0)


def test_a_run_that_goes_on_knows_what_was_best_before(tmp_path: Path) -> None:
    fit(tmp_path, [3.0, 1.0, 4.0], best_of(tmp_path, keep=2))
    best = best_of(tmp_path, keep=2)
    fit(tmp_path, [3.0, 1.0, 4.0, 5.0, 2.0], best, tmp_path / "last.ckpt")
    assert steps_of_ranks(tmp_path) == {"best.ckpt": 4, "best-2.ckpt": 10}
    assert not best.better(1.0)


def test_going_on_with_another_count_keeps_as_many(tmp_path: Path) -> None:
    figures = [3.0, 1.0, 4.0, 5.0]
    fit(tmp_path, figures, best_of(tmp_path, keep=3))
    fit(tmp_path, [*figures, 6.0], best_of(tmp_path, keep=2), tmp_path / "last.ckpt")
    assert steps_of_ranks(tmp_path) == {"best.ckpt": 4, "best-2.ckpt": 2}
    fit(tmp_path, [*figures, 6.0, 2.0], best_of(tmp_path, keep=5), tmp_path / "last.ckpt")
    ranks = {"best.ckpt": 4, "best-2.ckpt": 12, "best-3.ckpt": 2, "best-4.ckpt": 10}
    assert steps_of_ranks(tmp_path) == ranks


def test_a_step_that_is_validated_again_is_kept_once(tmp_path: Path) -> None:
    fit(tmp_path, [3.0, 1.0], best_of(tmp_path, keep=3))
    shutil.copy(tmp_path / "last.ckpt", tmp_path / "early.ckpt")
    fit(tmp_path, [3.0, 1.0, 2.0, 4.0], best_of(tmp_path, keep=3), tmp_path / "early.ckpt")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("best*.ckpt")}
    fit(tmp_path, [3.0, 1.0, 2.0, 4.0], best_of(tmp_path, keep=3), tmp_path / "early.ckpt")
    assert {path.name: path.read_bytes() for path in tmp_path.glob("best*.ckpt")} == before
    fit(tmp_path, [3.0, 1.0, 0.5, 4.0], best_of(tmp_path, keep=3), tmp_path / "early.ckpt")
    assert steps_of_ranks(tmp_path) == {"best.ckpt": 6, "best-2.ckpt": 4, "best-3.ckpt": 2}


def test_a_damaged_best_checkpoint_does_not_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(tmp_path, [1.0, 2.0], best_of(tmp_path, keep=2))
    os.truncate(tmp_path / "best.ckpt", 1000)
    fit(tmp_path, [1.0, 2.0, 3.0], best_of(tmp_path, keep=2), tmp_path / "last.ckpt")
    assert "best.ckpt does not count among the best checkpoints: it is cut" in caplog.text
    assert steps_of_ranks(tmp_path) == {"best.ckpt": 4, "best-2.ckpt": 6}


def test_a_checkpoint_without_a_score_makes_room_for_any_other(tmp_path: Path) -> None:
    trainer, _ = fit(tmp_path, [9.0])
    for name in ("best.ckpt", "end.ckpt"):
        trainer.save_checkpoint(tmp_path / name, weights_only=False)
    mine = tmp_path / "best_of_may.ckpt"
    shutil.copy(tmp_path / "best.ckpt", mine)
    best = best_of(tmp_path)
    fit(tmp_path, [9.0, 10.0], best, tmp_path / "end.ckpt")
    assert mine.exists()
    mine.unlink()
    assert steps_of_ranks(tmp_path) == {"best.ckpt": 4}
    assert not best.better(10.0)


def test_weights_that_are_validated_after_the_fit_can_be_offered(tmp_path: Path) -> None:
    best = best_of(tmp_path, keep=2)
    trainer, module = fit(tmp_path, [2.0, 3.0], best)
    trainer.validate(module, loader(), verbose=False)
    assert steps_of_ranks(tmp_path) == {"best.ckpt": 2, "best-2.ckpt": 4}
    best.offer(trainer, 1.0)
    assert steps_of_ranks(tmp_path) == {"best.ckpt": 4, "best-2.ckpt": 2}
    held = torch.load(tmp_path / "best.ckpt", weights_only=True)["callbacks"]["BestCheckpoints"]
    assert held == {"monitor": FIGURE, "score": 1.0, "step": 4}


def test_the_last_checkpoint_holds_no_score(tmp_path: Path) -> None:
    fit(tmp_path, [2.0, 3.0])
    held = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert "BestCheckpoints" not in held["callbacks"]


def test_the_average_that_was_validated_is_what_is_kept(tmp_path: Path) -> None:
    averaging = WeightAveraging(avg_fn=lambda kept, now, count: kept + 0.1 * (now - kept), use_buffers=False)
    best = best_of(tmp_path, keep=2)
    _, module = fit(tmp_path, [2.0, 1.0], best, more=(averaging,))
    for name, step in steps_of_ranks(tmp_path).items():
        held = torch.load(tmp_path / name, weights_only=True)
        assert float(held["state_dict"]["model.weight"]) == module.validated[step]
        assert float(held["current_model_state"]["model.weight"]) != module.validated[step]
    fit(tmp_path, [2.0, 1.0, 0.5], best_of(tmp_path), tmp_path / "best.ckpt", more=(averaging,))
    assert steps_of_ranks(tmp_path) == {"best.ckpt": 6}


KILLED = """
import logging, os, shutil, signal, sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")
from pipelines.checkpoint_manifest import settle
from tests.pipelines.test_best_checkpoints import best_of, fit

logging.disable()
root, figures = Path(sys.argv[1]), [3.0, 2.0, 4.0, 1.0, 5.0, 1.5]
OPERATIONS = ("open", "os.rename", "os.link", "os.remove")

def killed_before(number, folder):
    armed = False
    def listen(event, arguments):
        nonlocal armed, number
        if event in OPERATIONS and any(str(folder) in str(one) for one in arguments):
            armed = armed or event == "os.rename" and "best-new" in str(arguments[1])
            number -= armed
            if number < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    return listen

def status_of(job):
    child = os.fork()
    if not child:
        job()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def first(folder, epochs):
    fit(folder, figures[:epochs], best_of(folder, keep=3))

def doomed(folder, number):
    sys.addaudithook(killed_before(number, folder))
    fit(folder, figures[:4], best_of(folder, keep=3), folder / "last.ckpt")

def again(folder):
    settle(folder)
    fit(folder, figures, best_of(folder, keep=3), folder / "last.ckpt")

status_of(lambda: first(root / "whole", 6))
status_of(lambda: first(root / "before", 3))
number, status = -3, -1
while status:
    number += 3
    folder = root / f"killed{number}"
    shutil.copytree(root / "before", folder)
    status = status_of(lambda: doomed(folder, number))
    never_absent = (folder / "best.ckpt").exists()
    print(folder.name, status, never_absent, status_of(lambda: again(folder)), flush=True)
"""
"""A run that is killed before every third operation on a file while ranks change, and goes on each time."""


def test_a_kill_between_renames_changes_nothing_in_the_end(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    whole = steps_of_ranks(tmp_path / "whole")
    assert whole == {"best.ckpt": 8, "best-2.ckpt": 12, "best-3.ckpt": 4}
    rounds = [line.split() for line in done.stdout.splitlines()]
    assert len(rounds) > 5
    for number, (name, status, best_is_there, again) in enumerate(rounds):
        assert (status, best_is_there, again) == ("0" if number == len(rounds) - 1 else "-9", "True", "0")
        assert steps_of_ranks(tmp_path / name) == whole


RANKS = """
import sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[2])
from tests.pipelines.test_best_checkpoints import best_of, fit

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    best = best_of(folder, keep=2)
    trainer, module = fit(folder, [3.0, 1.0, 2.0], best, devices=2, apart=True)
    best.offer(trainer, 0.5 + 9 * trainer.global_rank)
    kept = [best.better(score) for score in (0.4, 0.6)]
    (folder / f"rank{trainer.global_rank}.txt").write_text(f"{(folder / 'best.ckpt').exists()} {kept}")
"""
"""Two ranks, of which the second finds other figures than the first, in the opposite order."""


def test_all_ranks_keep_what_the_first_finds_best(tmp_path: Path) -> None:
    script, folder = tmp_path / "ranks.py", tmp_path / "run"
    script.write_text(RANKS)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder), str(ROOT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=400)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said
    assert [(folder / f"rank{rank}.txt").read_text() for rank in (0, 1)] == ["True [True, False]"] * 2
    assert steps_of_ranks(folder) == {"best.ckpt": 3, "best-2.ckpt": 2}
    held = torch.load(folder / "best.ckpt", weights_only=True)["callbacks"]["BestCheckpoints"]
    assert held["score"] == 0.5
