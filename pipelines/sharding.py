"""Weights shared out among ranks (FSDP2): each rank keeps a part of them, checkpoints hold them whole.

Zhao et al. 2023 (PyTorch FSDP). Parameters, gradients and the optimiser's moments take 1/ranks of the memory;
what a part of the network needs is gathered just before it works, and let go of afterwards.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from lightning_utilities.core.apply_func import apply_to_collection
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from pipelines.strategies import Ranks, kept_buffers

GATHERED = 2**18
"""Parameters (1 MiB in float32) from which a part of the encoder is gathered by itself."""


class Sharded(Ranks):
    """FSDP2 while training; a judge's trainer holds whole weights.

    Weights are read from a checkpoint before they are shared out, and are whole again in one that is written:
    any other number of ranks goes on from it, also one alone. All that a step does is one forward pass to
    FSDP, so networks that are used otherwise than by being called (writing a sentence) need no care.
    Gradients are averaged over ranks, batch by batch where they are accumulated, and clipped by the norm of
    all parts together. A moving average of the weights is shared out as they are.
    """

    _kept: tuple[Tensor, ...] = ()

    def configure_ddp(self) -> None:
        """Share the weights out (called by `setup`, before the optimiser is made)."""
        module = self.lightning_module
        assert module is not None
        kept = kept_buffers(module)
        self._kept = tuple(buffer for name, buffer in module.named_buffers() if name in kept)
        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        share_out(module, mesh)
        self.model = module
        for callback in module.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging) and callback._average_model is not None:
                share_out_like(callback._average_model.module, module)

    def setup(self, trainer: pl.Trainer) -> None:
        """Prepare to train; or to judge, also a module whose weights are shared out since it was trained."""
        if trainer.state.fn == TrainerFn.FITTING or not isinstance(self.lightning_module, FSDPModule):
            super().setup(trainer)
            return
        assert self.accelerator is not None
        self.accelerator.setup(trainer)
        self.model_to_device()
        self.setup_precision_plugin()

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """The step, after the first rank's running statistics went to the others."""
        self._share_statistics()
        return super().training_step(*args, **kwargs)

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        """The step; weights that it gathered are let go of."""
        self._share_statistics()
        found = super().validation_step(*args, **kwargs)
        if isinstance(self.lightning_module, FSDPModule):
            self.lightning_module.reshard()
        return found

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write whole weights, moments and averages."""
        super().save_checkpoint(whole(checkpoint), filepath, storage_options)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take this rank's parts of whole states."""
        parted = [
            share_out_state(optimizer, state)
            for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True)
        ]
        super().load_optimizer_state_dict({"optimizer_states": parted})

    def _share_statistics(self) -> None:
        """Give the first rank's buffers that training changes to the others, as DDP does."""
        for kind in sorted({buffer.dtype for buffer in self._kept}, key=str):
            buffers = [buffer for buffer in self._kept if buffer.dtype == kind]
            together = torch.cat([buffer.flatten() for buffer in buffers])
            dist.broadcast(together, 0)
            parts = together.split([buffer.numel() for buffer in buffers])
            for buffer, part in zip(buffers, parts, strict=True):
                buffer.copy_(part.view_as(buffer))


def share_out(module: pl.LightningModule, mesh: DeviceMesh) -> None:
    """Leave a part of every parameter of `module` on each rank of `mesh`; its steps gather what they need.

    The encoder's parts that are large enough are gathered one at a time, the rest of the network at once.
    """
    for parameter in module.parameters():
        parameter.data = parameter.data.contiguous()  # FSDP takes no other layout, such as channels last
    encoder = getattr(module.model, "encoder", None)
    parts = list(encoder.modules()) if isinstance(encoder, nn.Module) else []
    for part in reversed(parts):
        waiting = sum(one.numel() for one in part.parameters() if not isinstance(one, DTensor))
        called = not isinstance(part, nn.ModuleList | nn.ModuleDict)
        if called and waiting >= GATHERED:
            fully_shard(part, mesh=mesh)
    fully_shard(module, mesh=mesh, reshard_after_forward=False)
    for step in ("training_step", "validation_step"):
        register_fsdp_forward_method(module, step)


def share_out_like(copy: nn.Module, module: nn.Module) -> None:
    """Leave of each parameter of `copy` the part that this rank has of the same one of `module`.

    Nothing changes where those of `module` are whole. The values of `copy` are the same on all ranks before.
    """
    shared = {name: one for name, one in module.named_parameters() if isinstance(one, DTensor)}
    for place, part in list(copy.named_modules()):
        for name, parameter in list(part.named_parameters(recurse=False)):
            like = shared.get(f"{place}.{name}" if place else name)
            if like is not None:
                mine = _part_of(parameter.data.contiguous(), like)
                part.register_parameter(name, nn.Parameter(mine, requires_grad=parameter.requires_grad))


def share_out_state(optimizer: Optimizer, state: Mapping[str, Any]) -> dict[str, Any]:
    """`state`, whole, with this rank's parts of what is as large as its parameter (the moments)."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    found: dict[int, dict[str, Any]] = {}
    for number, values in state["state"].items():
        like = parameters[number]
        found[number] = {
            key: _part_of(value, like) if isinstance(like, DTensor) and value.shape == like.shape else value
            for key, value in values.items()
        }
    return {**state, "state": found}


def whole(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """`checkpoint` with every shared-out tensor whole on the processor; all ranks call this together.

    Ranks beside the first, which write nothing, get empty tensors instead.
    """

    def gathered(part: DTensor) -> Tensor:
        full = part.full_tensor()
        return full.cpu() if dist.get_rank() == 0 else full.new_empty(0)

    found: dict[str, Any] = apply_to_collection(checkpoint, DTensor, gathered)
    return found


def _part_of(full: Tensor, like: DTensor) -> DTensor:
    """This rank's part of `full`, which every rank has; nothing is sent."""
    there = full.to(like.device)
    return distribute_tensor(there, like.device_mesh, like.placements, src_data_rank=None)
