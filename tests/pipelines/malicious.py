"""Files that would run code, in the forms in which checkpoints come, and what must happen with them."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.pipelines.small_files import answer


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def as_torch_saves(path: Path, bomb: Malicious) -> Path:
    torch.save({"state_dict": bomb, "global_step": 1}, path)
    return path


def as_a_bare_pickle(path: Path, bomb: Malicious) -> Path:
    path.write_bytes(pickle.dumps(bomb, protocol=2))
    return path


FORMS = pytest.mark.parametrize("form", [as_torch_saves, as_a_bare_pickle])
Form = Callable[[Path, Malicious], Path]


def refused(bomb: Malicious, *argv: str) -> str:
    """What is said when the call is refused; nothing was run."""
    status, _, said = answer(*argv)
    assert not bomb.mark.exists(), "the code of a file was run"
    assert status == 2, said
    assert "Traceback" not in said
    assert "weights_only" not in said, "advice of the library to load it unsafely"
    return said
