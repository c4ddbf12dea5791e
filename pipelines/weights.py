"""Weights from a checkpoint: plain tensors only, and only such as fit."""

import logging
import re
import struct
import textwrap
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import torch
from torch import nn

from datamodules.errors import InputError
from pipelines.find_run import find_run

log = logging.getLogger(__name__)

UNREADABLE = (RuntimeError, LookupError, EOFError, OSError, ValueError, TypeError, AttributeError)
"""What reading a file that is no checkpoint of the model raises, besides an unpickler's own errors."""
Module = TypeVar("Module", bound=nn.Module)


def read_tensors(checkpoint: Path, key: str = "checkpoint") -> dict[str, Any]:
    """What a checkpoint holds, on the processor; plain tensors and values only.

    key: the setting that could name another file.
    Errors: InputError when the file is absent, cut, or holds anything else.
    """
    if not checkpoint.is_file():
        raise InputError(f"{checkpoint}: no such checkpoint; train first, or name another with {key}=FILE")
    try:
        found: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (*UNREADABLE, struct.error, UnpicklingError) as error:
        raise _refused(checkpoint, error, key) from error
    return found


def load_weights(module: Module, checkpoint: Path, key: str = "checkpoint") -> Module:
    """`module` with the weights of `checkpoint`, in evaluation mode.

    Errors: InputError when the file is absent, cut, holds anything but plain tensors, or fits another model.
    """
    found = read_tensors(checkpoint, key)
    try:
        module.load_state_dict(found["state_dict"])
    except UNREADABLE as error:
        raise _refused(checkpoint, error, key) from error
    module.eval()
    return module


def _refused(checkpoint: Path, error: BaseException, key: str) -> InputError:
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    found = lines[1] if len(lines) > 1 and lines[0].startswith("Error(s) in loading") else lines[0]
    if isinstance(error, UnpicklingError):  # PyTorch's own words advise to load it unsafely
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        found = f"it would run {code[1]}" if code else "it holds more than plain tensors"
    reason = textwrap.shorten(found, 200)
    return InputError(
        f"{checkpoint}: not a checkpoint of this model ({reason}). It is cut, or comes from elsewhere "
        f"(code in a checkpoint is never run): train again, or name another with {key}=FILE"
    )


def begin_from(module: nn.Module, start: str, runs: Path) -> None:
    """Put the weights that `start` names, a run or a checkpoint file, into `module`, ready to train.

    Errors: InputError when there is no such run, or its weights do not fit.
    """
    named = Path(start).expanduser()
    load_weights(module, named if named.is_file() else find_run(start, runs).best, "start")
    module.train()
    log.info("beginning from the weights of %s", start)
