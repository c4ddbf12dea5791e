"""How the processes of a run share the work: one alone, whole copies that average gradients, or parts."""

import atexit

import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from datamodules.errors import InputError
from pipelines.launching import launcher_of
from pipelines.settings import TrainerOptions


def build_strategy(options: TrainerOptions) -> str | Strategy:
    """What `pl.Trainer(strategy=...)` takes: "auto" for a process that is alone, else one of ours.

    `auto` with several devices or nodes is `ddp`. Errors: InputError for settings that do not go together.
    """
    check_together(options)
    if options.strategy == "fsdp":
        from pipelines.sharding import Sharded

        return Sharded(process_group_backend=options.backend)
    if options.strategy == "ddp" or not _alone(options):
        return Replicated(process_group_backend=options.backend)
    return "auto"


def check_together(options: TrainerOptions) -> None:
    """Return when precision, compilation and strategy go together. Errors: InputError with the way out."""
    if options.precision == "16" and not on_gpu(options):
        raise InputError(
            f"trainer.precision=16 with trainer.accelerator={options.accelerator} on this machine: half "
            "precision with a scaled loss needs a GPU; choose trainer.precision=bf16, 32 or auto"
        )
    if options.backend == "nccl" and not on_gpu(options):
        raise InputError(
            f"trainer.backend=nccl with trainer.accelerator={options.accelerator} on this machine: it needs "
            "GPUs; choose trainer.backend=gloo, or null, which chooses"
        )
    if options.strategy != "fsdp":
        return
    if options.precision == "16":
        raise InputError(
            "trainer.precision=16 with trainer.strategy=fsdp: the scale of the loss would have to be found "
            "over all parts of the weights, which was never tried; choose trainer.precision=bf16 or 32"
        )
    if options.compile:
        raise InputError(
            "trainer.compile=true with trainer.strategy=fsdp: weights are gathered in the middle of the "
            "network, where the compiler cannot follow; choose trainer.compile=false or trainer.strategy=ddp"
        )


def on_gpu(options: TrainerOptions) -> bool:
    """Whether the run will be on GPUs."""
    return options.accelerator == "gpu" or (options.accelerator == "auto" and torch.cuda.is_available())


def _alone(options: TrainerOptions) -> bool:
    """Whether there is one process in all."""
    if options.devices == "auto":
        return options.nodes == 1 and not (on_gpu(options) and torch.cuda.device_count() > 1)
    return options.nodes == 1 and options.devices == 1


def kept_buffers(module: nn.Module) -> frozenset[str]:
    """Names of the buffers that a checkpoint holds: those that training changes, such as running means.

    The others are made of the data and the settings, alike on every rank.
    """
    return frozenset(name for name, _ in module.named_buffers()) & frozenset(module.state_dict())


class Ranks(DDPStrategy):
    """One process a device, the others started by our launcher unless torchrun or SLURM has started them."""

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        if not self.cluster_environment.creates_processes_externally:
            self._launcher = launcher_of(self.cluster_environment, self.num_processes, self.num_nodes)

    def setup_distributed(self) -> None:
        """Join the other ranks, and leave them in order when the process ends."""
        super().setup_distributed()
        atexit.register(_leave_group)

    def _get_process_group_backend(self) -> str:
        """NCCL for what is on the GPU, gloo for what is not: metrics lie on the processor after a test."""
        found = super()._get_process_group_backend()
        return "cpu:gloo,cuda:nccl" if found == "nccl" else found


def _leave_group() -> None:
    """End the process group, which NCCL asks for; nothing where it has ended."""
    if dist.is_initialized():
        dist.destroy_process_group()


class Replicated(Ranks):
    """DDP: every rank holds all weights, and gradients are averaged while they are being computed.

    Every parameter gets a gradient in every step, so none is looked for. The graph is not told to be static:
    how far a rollout goes, and whether it reads its own words, changes from step to step. Gradients live in
    the buffers that are sent. Before each step the first rank's running statistics go to the others; buffers
    that never change stay where they are.
    """

    def __init__(self, process_group_backend: str | None = None) -> None:
        super().__init__(
            process_group_backend=process_group_backend,
            find_unused_parameters=False,
            gradient_as_bucket_view=True,
        )

    def _setup_model(self, model: nn.Module) -> DistributedDataParallel:
        constant = {name for name, _ in model.named_buffers()} - kept_buffers(model)
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, constant)
        return super()._setup_model(model)
