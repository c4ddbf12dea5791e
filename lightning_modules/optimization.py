"""What every module of the house shares in training: optimiser, learning rate, the means of an epoch."""

from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from lightning_modules.options import OptimizerOptions
from lightning_modules.pace import training_share
from lightning_modules.schedules import learning_rate
from lightning_modules.training_means import TrainingMeans

MEANS = "training_means"
"""The key in a checkpoint of what an unfinished epoch has told so far."""


class EpochMeans(Callback):
    """Logs the means of each epoch, before the callbacks that show them."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the means over the epoch and all ranks, and begin anew."""
        if isinstance(pl_module, Optimized):
            for name, value in pl_module.training_means.means().items():
                pl_module.log(name, value)
            pl_module.training_means.clear()


class Optimized(pl.LightningModule):
    """AdamW whose learning rate follows from how far the run is.

    Subclasses set:
    options: how the weights move
    model: the network
    monitor, mode: the figure that chooses the checkpoint, and which way it improves
    validated_at: the optimiser step at which the weights were validated last; None before that
    """

    options: OptimizerOptions
    model: nn.Module
    monitor: str
    mode: Literal["min", "max"]
    validated_at: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.training_means = TrainingMeans()

    def tell(self, samples: int, **figures: Tensor) -> None:
        """Count figures (scalars) of a step with `samples` samples in the epoch's means, `train/<name>`.

        `EpochMeans` among the trainer's callbacks logs them.
        """
        self.training_means.add(samples, {f"train/{name}": value for name, value in figures.items()})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the means of the epoch so far; all ranks come here together."""
        checkpoint[MEANS] = self.training_means.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from the means of the epoch so far."""
        device = self.trainer.strategy.root_device
        self.training_means.load(checkpoint.get(MEANS, {}), self.global_rank, self.trainer.world_size, device)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the learning rate from the share of the run that has passed; nothing to save or restore."""
        rate = learning_rate(self.options, training_share(self.trainer))
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; matrices and kernels decay, biases and gains do not, frozen weights stay as they are."""
        learnt = [parameter for parameter in self.parameters() if parameter.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in learnt if p.ndim > 1], "weight_decay": self.options.weight_decay},
            {"params": [p for p in learnt if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.options.learning_rate, betas=(0.9, 0.95))
