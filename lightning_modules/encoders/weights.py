"""Weights for an encoder: torchvision's own, from a file, or from the checkpoint of a run."""

import fcntl
import hashlib
import logging
import pickle
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.encoders.backbones import HEADS, check_backbone

log = logging.getLogger(__name__)

IN_A_RUN = "model.encoder.network."
"""Where the checkpoint of a run keeps its encoder."""
PATIENCE = 10.0
"""Seconds to wait for a server's answer."""


def load_weights(network: nn.Module, weights: str, backbone: str | None) -> None:
    """Fill `network` with `weights`: "default" (torchvision's own for `backbone`), or a file.

    A file holds the state dict of the network (a head is left out), or is the checkpoint of a run; it is
    read with `weights_only=True`, so no code of it runs. Every parameter must be there and fit.
    Errors: ValueError naming what is missing, left over or of another shape.
    """
    if weights == "default":
        if backbone is None:
            raise ValueError(
                "model.encoder.weights=default: only torchvision's backbones have default weights; choose "
                "null, a file, or model.encoder.kind=torchvision"
            )
        path = _default_file(backbone)
    else:
        path = Path(weights).expanduser()
    _fill(network, _tensors(path), path)


def weights_digest(network: nn.Module) -> str:
    """SHA-256 (hexadecimal) over names, types, shapes and values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _tensors(path: Path) -> dict[str, Tensor]:
    """The encoder's tensors by name, from a state dict or from the checkpoint of a run."""
    if not path.is_file():
        raise ValueError(f"model.encoder.weights={path}: no such file")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, OSError) as error:
        reason = str(error).partition("\n")[0]
        if isinstance(error, pickle.UnpicklingError):  # PyTorch's own words advise to load it unsafely
            code = re.search(r"GLOBAL ([\w.]+)", str(error))
            reason = f"it would run {code[1]}" if code else "it holds more than plain tensors"
        raise ValueError(
            f"{path}: holds no weights that can be loaded safely ({reason}); code in a file is never run: "
            "name another with model.encoder.weights=FILE"
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        inside = {k: v for k, v in found["state_dict"].items() if k.startswith(IN_A_RUN)}
        if not inside:
            raise ValueError(
                f"{path}: this checkpoint holds no encoder of frames (no '{IN_A_RUN}...'); a run that read "
                "stored features has none: name the weights that made the features"
            )
        return {name.removeprefix(IN_A_RUN): tensor for name, tensor in inside.items()}
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path}: neither a state dict (names to tensors) nor the checkpoint of a run")
    return {_name_now(str(name)): tensor for name, tensor in found.items()}


def _name_now(name: str) -> str:
    """The name of a parameter today; the oldest published files of DenseNet put a dot before a number."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", name)


def _fill(network: nn.Module, tensors: Mapping[str, Any], path: Path) -> None:
    """Copy `tensors` into `network`, or say how they do not fit."""
    wanted = network.state_dict()
    tensors = {name: tensor for name, tensor in tensors.items() if name.partition(".")[0] not in HEADS}
    missing = [n for n in wanted if n not in tensors and not n.endswith("num_batches_tracked")]
    unexpected = [name for name in tensors if name not in wanted]
    other = [
        f"{name} {tuple(tensor.shape)} for {tuple(wanted[name].shape)}"
        for name, tensor in tensors.items()
        if name in wanted and tensor.shape != wanted[name].shape
    ]
    told = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for names, what in ((missing, "missing"), (unexpected, "unexpected"), (other, "of another shape"))
        if names
    ]
    if told:
        raise ValueError(
            f"{path}: these weights are not of this encoder: {'; '.join(told)}; let model.encoder.kind, "
            "backbone, channels, depth and pool be those that the weights were made with"
        )
    network.load_state_dict(tensors, strict=False)


def _default_file(backbone: str) -> Path:
    """Where torchvision's own weights lie on this machine; fetched when they do not yet."""
    from torchvision import models  # type: ignore[import-untyped]

    check_backbone(backbone)
    url: str = models.get_model_weights(backbone).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("a") as lock:  # of many ranks one fetches
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                _fetch(url, path)
    except OSError as error:
        raise ValueError(
            f"model.encoder.weights=default: {path.parent} cannot be written ({error}); let the "
            "environment's TORCH_HOME name a folder that can"
        ) from error
    return path


def _fetch(url: str, path: Path) -> None:
    """Download torchvision's file; ValueError with the way out when that cannot be done."""
    log.info("fetching %s to %s", url, path)
    prefix = re.search(r"-([0-9a-f]{8,})\.", path.name)
    try:
        # torch.hub waits for ever where a network swallows packets: knock first.
        urllib.request.urlopen(url, timeout=PATIENCE).close()
        torch.hub.download_url_to_file(url, str(path), prefix.group(1) if prefix else None, progress=False)
    except (OSError, RuntimeError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ValueError(
            f"model.encoder.weights=default: {path.name} could not be fetched ({reason}); fetch {url} where "
            f"there is a network and place it in {path.parent}, or name a file: model.encoder.weights=FILE"
        ) from error
