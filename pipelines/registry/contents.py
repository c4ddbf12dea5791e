"""What a model holds of its run, and how a copy of it is known to be whole.

A model's `data/run` is a run directory cut down to what `skyreel predict` reads. Its SHA256SUMS, in the form
of `sha256sum`, lists every file; the digest of that list stands in the registry.
"""

import hashlib
import shutil
from pathlib import Path

from datamodules.errors import InputError
from pipelines.checkpoint_manifest import MANIFEST, digest_of, read_manifest
from pipelines.rundir import RunDir

DATA = "data/run"
"""Where the run lies within a model."""
KEPT = ("config.yaml", "provenance.json", "metrics.json", "skill.csv", "scores.csv")
"""Files that a model keeps of its run, where the run has them."""
FOLDER = "model"
"""The folder of everything fitted: normalisation, climatology, grid, units; vocabulary, frozen encoder."""


def require_whole(run: RunDir) -> None:
    """Return when the run has all that a prediction needs. InputError: what it lacks."""
    needed = (run.config, run.best, run.path / FOLDER)
    missing = [str(path.relative_to(run.path)) for path in needed if not path.exists()]
    if missing:
        raise InputError(
            f"run={run.path}: lacks {', '.join(missing)}, without which nobody can predict with it; a run "
            "becomes a model once it has a best checkpoint. Let it train further"
        )


def keep(run: RunDir, folder: Path) -> None:
    """Put what a prediction needs of `run` into `folder`, which is made, and the list of digests.

    Of the best checkpoint only the weights that a prediction loads are kept, not the optimiser's state.
    Errors: InputError when the run is not whole, or its checkpoint holds more than plain tensors.
    """
    import torch

    from pipelines.weights import read_tensors

    require_whole(run)
    kept = RunDir(folder)
    kept.checkpoints.mkdir(parents=True)
    for name in KEPT:
        if (run.path / name).is_file():
            shutil.copyfile(run.path / name, folder / name)
    shutil.copytree(run.path / FOLDER, folder / FOLDER, ignore=shutil.ignore_patterns(".*", "*.part"))
    torch.save({"state_dict": read_tensors(run.best)["state_dict"]}, kept.best)
    write_list(folder)


def write_list(folder: Path) -> None:
    """List every file below `folder` with its digest."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / MANIFEST]
    lines = [f"{digest_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / MANIFEST).write_text("".join(lines), encoding="utf-8")


def list_digest(folder: Path) -> str:
    """What tells this run from any other: the SHA-256 of its list. OSError where there is none."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def wrong_with(folder: Path, digest: str | None = None) -> str | None:
    """What is amiss with the run in `folder`, in words; None when all is as it was packed.

    digest: of the list, where it is known.
    """
    listed = read_manifest(folder)
    if not listed:
        return f"{folder / MANIFEST} is not there"
    if digest is not None and list_digest(folder) != digest:
        return f"{folder / MANIFEST} is of another model"
    for name, digests in sorted(listed.items()):
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            return f"{folder / MANIFEST} names {name}, which lies outside"
        try:
            if digest_of(folder / name) not in digests:
                return f"{folder / name} is not as it was packed"
        except OSError:
            return f"{folder / name} is not there"
    return None
