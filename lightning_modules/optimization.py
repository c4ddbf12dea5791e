"""What every module of the house shares in training: the optimiser, and the rate from the run's progress."""

from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import nn

from lightning_modules.options import OptimizerOptions
from lightning_modules.schedules import learning_rate, training_share


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
