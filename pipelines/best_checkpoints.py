"""The best checkpoints by a validation figure: best.ckpt, best-2.ckpt, ... in order of rank."""

import logging
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.trainer.states import TrainerFn

from pipelines.checkpoint_files import read_plain, reason_unusable
from pipelines.checkpoint_manifest import put_in_order

log = logging.getLogger(__name__)

NEW = "best-new.ckpt"
"""Where a checkpoint is written before it gets its rank."""
OURS = re.compile(r"best(-\d+|-new)?(-moving\d+)?\.ckpt")
"""Names that are ranks, or that a kill may have left on the way to one; copies by people are left alone."""


@dataclass(frozen=True)
class Scored:
    """The figure of the weights after `step` steps of the optimiser; None where a file does not tell."""

    score: float | None
    step: int


class BestCheckpoints(Checkpoint):
    """Keeps the best `keep` checkpoints in `folder`: best.ckpt is always the best, ties go to the earlier.

    folder:  where they are
    monitor: the validation figure that decides; one that is not finite never does
    mode:    whether "min" or "max" of it is best

    The files are what counts: each holds its own score, and with them a run goes on, also when it was killed
    between two renames, and with another `keep`. Going on from an earlier step, a file from a later one stays
    until that step is validated again. A new one moves the others down by renames. What a moving average puts
    in place of the weights, in every whole checkpoint, is what was validated.
    """

    def __init__(self, folder: Path, monitor: str, mode: Literal["min", "max"], keep: int = 1) -> None:
        if keep < 1:
            raise ValueError(f"keep={keep}: at least one checkpoint must be kept")
        self.folder, self.monitor, self.mode, self.keep = Path(folder), monitor, mode, keep
        self._kept: list[Scored] = []
        self._writing: Scored | None = None

    def better(self, score: float) -> bool:
        """Whether `score` is better than that of best.ckpt, or there is none; never when it is not finite."""
        best = self._kept[0].score if self._kept else None
        score = float(score)
        return math.isfinite(score) and (best is None or self._order(score) < self._order(best))

    def offer(self, trainer: pl.Trainer, score: float) -> None:
        """Keep the present weights if their `score` is among the best. All ranks call this together."""
        score = float(trainer.strategy.broadcast(float(score)))
        if not math.isfinite(score):
            if trainer.is_global_zero:
                log.warning(
                    "%s is %s after step %d: never the best", self.monitor, score, trainer.global_step
                )
            return
        now = Scored(score, trainer.global_step)
        if now in self._kept:
            return
        others = [one for one in self._kept if one.step != now.step]
        kept = sorted([*others, now], key=self._rank)[: self.keep]
        if now in kept:
            self._write(trainer, now)
            if trainer.is_global_zero:
                names = dict(zip(self._kept, self._names(len(self._kept)), strict=True)) | {now: NEW}
                self._put_in_order([names[one] for one in kept], list(names.values()))
            self._kept = kept
            trainer.strategy.barrier("BestCheckpoints.offer")

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take stock of the files, and put their names in order where a kill came between."""
        if trainer.is_global_zero:
            found = self._found()
            of_step = {one.step: (one, name) for one, name in reversed(found)}
            kept = sorted(of_step.values(), key=lambda item: self._rank(item[0]))[: self.keep]
            self._put_in_order([name for _, name in kept], [name for _, name in found])
            self._kept = [one for one, _ in kept]
        self._kept = trainer.strategy.broadcast(self._kept)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights that were validated if they are among the best.

        Errors: ValueError when the validation did not log the figure.
        """
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        score = trainer.callback_metrics.get(self.monitor)
        if score is None:
            there = ", ".join(sorted(trainer.callback_metrics)) or "none"
            raise ValueError(f"{self.monitor}: the validation found no such figure; it found {there}")
        self.offer(trainer, float(score))

    def state_dict(self) -> dict[str, Any]:
        """The score of the checkpoint that is being written, if it is one of the best; others hold none."""
        if self._writing is None:
            return {}
        return {"monitor": self.monitor, "score": self._writing.score, "step": self._writing.step}

    def _write(self, trainer: pl.Trainer, scored: Scored) -> None:
        self._writing = scored
        try:
            trainer.save_checkpoint(self.folder / NEW, weights_only=False)
        finally:
            self._writing = None

    def _put_in_order(self, sources: list[str], names: list[str]) -> None:
        put_in_order(self.folder, sources, self._names(len(sources)), names)

    def _names(self, count: int) -> list[str]:
        """The names of the best `count` files, in order of rank."""
        return [f"best-{rank}.ckpt" if rank > 1 else "best.ckpt" for rank in range(1, count + 1)]

    def _order(self, score: float) -> float:
        return score if self.mode == "min" else -score

    def _rank(self, one: Scored) -> tuple[float, int]:
        return (math.inf if one.score is None else self._order(one.score), one.step)

    def _found(self) -> list[tuple[Scored, str]]:
        """The scores and names of the good files; the newest first where two are of the same step."""
        found = []
        names = [path.name for path in self.folder.glob("*.ckpt") if OURS.fullmatch(path.name)]
        for name in sorted(names, key=lambda name: (name != NEW, name)):
            if (reason := reason_unusable(self.folder / name)) is not None:
                log.warning("%s does not count among the best checkpoints: %s", self.folder / name, reason)
                continue
            found.append((self._scored(self.folder / name), name))
        return found

    def _scored(self, path: Path) -> Scored:
        """The score that a good file holds; None for one that was written by others, or by another figure."""
        held = read_plain(path)
        noted = held.get("callbacks", {}).get(self.state_key, {})
        if noted.get("monitor") != self.monitor:
            return Scored(None, int(held.get("global_step", 0)))
        return Scored(float(noted["score"]), int(noted["step"]))
