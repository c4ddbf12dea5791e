"""What a kill may leave behind: whole files only, each readable, each checkpoint as its manifest says."""

import csv
import hashlib
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml

from pipelines.rundir import RunDir

MANIFEST = "SHA256SUMS"


def half_written(run: RunDir) -> list[str]:
    """What in the run directory a reader would stumble over, in words; empty when all is well.

    Hidden files are not yet published; the journal's last line may be torn.
    """
    if not run.path.exists():
        return []
    return [*_unreadable(run.path), *_bad_checkpoints(run.checkpoints), *_bad_journal(run)]


def _unreadable(folder: Path) -> Iterator[str]:
    """Files of text that do not parse."""
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        try:
            text = path.read_bytes()
            if path.suffix == ".json":
                json.loads(text)
            elif path.suffix == ".yaml" and not isinstance(yaml.safe_load(text), dict):
                yield f"{path} holds no settings"
            elif path.suffix == ".csv" and not _even(text.decode()):
                yield f"{path} has rows of different lengths"
        except FileNotFoundError:
            continue
        except (ValueError, yaml.YAMLError) as error:
            yield f"{path} cannot be read: {error}"


def _even(table: str) -> bool:
    """Whether all rows are as long as the first."""
    return len({len(row) for row in csv.reader(table.splitlines())}) <= 1


def _bad_checkpoints(folder: Path) -> Iterator[str]:
    """Checkpoints that the manifest does not vouch for, or that cannot be loaded."""
    known = manifest(folder / MANIFEST)
    for path in sorted(folder.glob("*.ckpt")):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if known and digest not in known.get(path.name, set()):
            names = ", ".join(sorted(known.get(path.name, set()))) or "none"
            yield f"{path} has the digest {digest}; {MANIFEST} knows {names}"
        try:
            torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            yield f"{path} cannot be loaded: {str(error).splitlines()[0]}"


def steps_of(folder: Path) -> str:
    """The steps that the checkpoints in `folder` are of, for people: "best.ckpt 40, last.ckpt 52"."""
    found = []
    for path in sorted(folder.glob("*.ckpt")):
        step = torch.load(path, map_location="cpu", weights_only=True)["global_step"]
        found.append(f"{path.name} {step}")
    return ", ".join(found) or "no checkpoint"


def manifest(path: Path) -> dict[str, set[str]]:
    """The digests that a SHA256SUMS holds by name; around a rename a name has two."""
    found: dict[str, set[str]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition(" ")
            found.setdefault(name.strip().lstrip("*"), set()).add(digest)
    return found


def _bad_journal(run: RunDir) -> Iterator[str]:
    """Lines before the last that are no records."""
    path = run.tracking / "journal.jsonl"
    if not path.exists():
        return
    torn = 0
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            json.loads(line)
        except ValueError:
            torn += bool(line)
    if torn:
        yield f"{path} holds {torn} lines that are no records"
