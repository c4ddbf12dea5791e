"""How many processes train and where, as their launcher says; and one word from the first to the others."""

import os
import re
import socket
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import torch
from pytorch_lightning.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    TorchElasticEnvironment,
)
from torch.distributed import DistError, Store, TCPStore

from datamodules.errors import InputError
from pipelines.ranks import launched_by, processors
from pipelines.settings import TrainerOptions
from pipelines.slurm import StepEnvironment

OPENED, PLACE = "skyreel/opened", "skyreel/place"
POLL_SECONDS = 0.2
TO_CONNECT = 5.0

_served: list[TCPStore] = []
"""Kept for the life of the process: the process group meets there too."""


class _Shape(NamedTuple):
    """Processes on each node, and nodes."""

    here: int
    nodes: int


def cluster_environment() -> ClusterEnvironment:
    """The plugin that tells Lightning the ranks: torchrun's, srun's, or its own. Nothing else is guessed from
    the environment's variables."""
    match launched_by():
        case "torchrun":
            return TorchElasticEnvironment()
        case "srun":
            return StepEnvironment()
        case _:
            return LightningEnvironment()


def placed(options: TrainerOptions, environ: Mapping[str, str] = os.environ) -> TrainerOptions:
    """`options` with the devices and nodes that there are: what torchrun or srun have started, else this
    machine's.

    Threads of the processor are shared out among the processes of a node where nobody has said how many.
    Errors: InputError where the settings do not fit what was started.
    """
    shape = _launched(environ)
    if shape is None:
        _require_one_machine(options, environ)
        devices = options.devices if options.devices != "auto" else _devices_here(options)
        return _with_threads(options.model_copy(update={"devices": devices}), environ)
    launcher = launched_by(environ)
    started = f"{launcher} has started {shape.here} processes on each of {shape.nodes} nodes"
    if options.devices not in ("auto", shape.here) or options.nodes not in (1, shape.nodes):
        raise InputError(
            f"trainer.devices={options.devices}, trainer.nodes={options.nodes}: {started}. Choose "
            "trainer=multinode, which takes what there is, or give the launcher those numbers"
        )
    there = _gpus(options)
    if there and there < shape.here:
        hint = ", with --gres=gpu:N for the node and not --gpus-per-task" if launcher == "srun" else ""
        raise InputError(
            f"{started}, but this process sees {there} GPU(s): start as many processes as GPUs{hint}, or "
            "choose trainer.accelerator=cpu"
        )
    found = options.model_copy(update={"devices": shape.here, "nodes": shape.nodes})
    return _with_threads(found, environ)


def tell_others(word: str) -> None:
    """Let the other ranks go on, with `word`; the first rank's part of `heard_from_first`."""
    if launched_by() not in ("torchrun", "srun") or cluster_environment().world_size() == 1:
        return
    served = _served_by_agent()
    if served is None:
        store = _store(cluster_environment().main_address, cluster_environment().main_port, serve=True)
    else:
        host = _address_seen_from(served)
        store = _store(host, 0, serve=True)
        _store(*served).set(PLACE, f"{host} {store.port}")
        _meet_at(host, store.port)
    store.set(OPENED, word)


def heard_from_first(otherwise: str = "unfinished") -> str:
    """The word of the first rank, however long it takes; `otherwise` where it was there before this process.

    Ranks of torchrun and srun all start at once, while the first one opens the run directory for all.
    """
    if launched_by() not in ("torchrun", "srun"):
        return otherwise
    served = _served_by_agent()
    while True:
        try:
            if served is None:
                place = (cluster_environment().main_address, cluster_environment().main_port)
            else:
                host, port = _waited_for(_store(*served), PLACE).rsplit(" ", 1)
                place = (host, int(port))
            socket.create_connection(place, timeout=TO_CONNECT).close()  # quieter than a store that fails
            word = _waited_for(_store(*place, seconds=TO_CONNECT), OPENED)
        except (
            DistError,
            OSError,
        ):  # not there yet; or it served ranks that torchrun has ended and started again
            time.sleep(POLL_SECONDS)
            continue
        if served is not None:
            _meet_at(*place)
        return word


def _served_by_agent() -> tuple[str, int] | None:
    """Where torchrun's own store is, None where it leaves that to the first rank.

    It outlives the ranks, and what they had left in it misleads those that are started again (they connect
    to addresses of dead ones). So it is only asked where the first rank is; that one serves a new store.
    """
    if launched_by() != "torchrun" or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    return os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])


def _meet_at(host: str, port: int) -> None:
    """Have the process group meet at a store of the first rank."""
    os.environ.update(MASTER_ADDR=host, MASTER_PORT=str(port), TORCHELASTIC_USE_AGENT_STORE="False")


def _address_seen_from(place: tuple[str, int]) -> str:
    """The address of this machine for whoever reaches `place`."""
    with socket.create_connection(place, timeout=TO_CONNECT) as connection:
        here, there = connection.getsockname()[0], connection.getpeername()[0]
    return place[0] if here == there else str(here)


def _store(host: str, port: int, *, serve: bool = False, seconds: float = 60.0) -> TCPStore:
    """A store at a place, served from this process or only used."""
    found = TCPStore(
        host,
        port,
        is_master=serve,
        wait_for_workers=False,
        multi_tenant=True,
        timeout=timedelta(seconds=seconds),
    )
    if serve:
        _served.append(found)
    return found


def _waited_for(store: Store, key: str) -> str:
    """The value of `key` once it is there. Signals are heard meanwhile, as they are not in the store."""
    while not store.check([key]):
        time.sleep(POLL_SECONDS)
    return store.get(key).decode()


def _launched(environ: Mapping[str, str]) -> _Shape | None:
    """What torchrun or srun have started, None where there is neither. Errors: InputError: unequal nodes."""
    match launched_by(environ):
        case "torchrun":
            world, here = int(environ["WORLD_SIZE"]), int(environ["LOCAL_WORLD_SIZE"])
            nodes = world // here
        case "srun":
            world, nodes = int(environ["SLURM_STEP_NUM_TASKS"]), int(environ["SLURM_STEP_NUM_NODES"])
            here = world // nodes
            tasks = environ.get("SLURM_STEP_TASKS_PER_NODE", str(here))
            if not re.fullmatch(rf"{here}(\(x\d+\))?", tasks):
                raise InputError(
                    f"srun has started {tasks} tasks on its nodes; all need as many: --ntasks-per-node"
                )
        case _:
            return None
    if here * nodes != world:
        raise InputError(f"{world} processes on nodes of {here}: every node needs as many (--nproc-per-node)")
    return _Shape(here, nodes)


def _require_one_machine(options: TrainerOptions, environ: Mapping[str, str]) -> None:
    """Return where the settings, and what others have set, speak of one machine."""
    if options.nodes > 1:
        raise InputError(
            f"trainer.nodes={options.nodes}: the processes of several machines are started by torchrun "
            "or srun; see docs/templates for trainer=multinode and trainer=slurm"
        )
    if "RANK" in environ and int(environ.get("WORLD_SIZE", 1)) > 1:
        raise InputError(
            f"RANK={environ['RANK']} and WORLD_SIZE={environ['WORLD_SIZE']} are set, but torchrun has not "
            "started this process: start it with torchrun (docs/templates/torchrun.sh), or unset them"
        )


def _gpus(options: TrainerOptions) -> int:
    """GPUs that this process sees and is to use."""
    return 0 if options.accelerator == "cpu" else torch.cuda.device_count()


def _devices_here(options: TrainerOptions) -> int:
    """Every GPU of this machine, else one process."""
    return max(_gpus(options), 1)


def _with_threads(options: TrainerOptions, environ: Mapping[str, str]) -> TrainerOptions:
    """`options` with this process' share of the processor, where neither they nor OMP_NUM_THREADS say."""
    here = int(options.devices)
    if options.threads is not None or here == 1 or "OMP_NUM_THREADS" in environ:
        return options
    return options.model_copy(update={"threads": max(processors() // here, 1)})
