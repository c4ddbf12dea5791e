"""How many steps to read at once: as memory allows, and as the files' chunks are cut."""

from collections.abc import Sequence

import numpy as np

from datamodules.gridded.channels import Group
from datamodules.gridded.grid import Placement

BUDGET = 64 * 2**20
"""Bytes that one block may take while it is read."""

LONG_CHUNK = 64
"""Steps in one chunk of a file from which reading single steps is slow enough to say so."""


def suggest_block(groups: Sequence[Group], placement: Placement, budget: int) -> tuple[int, list[str]]:
    """Steps to read at once within `budget` bytes, and a warning where a chunk spans more than LONG_CHUNK
    steps.

    A multiple of the longest chunk along time where that fits, the chunk itself where it takes up to four
    times
    the budget: no chunk is then unpacked twice.
    """
    cells = int(np.prod(placement.selection.shape))
    channels = sum(len(group.channels) for group in groups)
    widest = max(len(group.parts[0].levels) for group in groups)
    fits = max(1, budget // (cells * (4 * channels + 24 * widest)))
    chunk, slowest = 1, groups[0].parts[0]
    for part in (part for group in groups for part in group.parts):
        if part.field.chunks is None or part.layout.time_dim is None:
            continue
        dim = part.field.dims.index(part.layout.time_dim)
        length = min(part.field.chunks[dim], part.field.shape[dim])
        if length > chunk:
            chunk, slowest = length, part
    warnings = []
    if chunk > LONG_CHUNK:
        warnings.append(
            f"{slowest.path}: chunks of {slowest.field.name!r} span {chunk} steps, so each step costs "
            f"reading {chunk}; "
            f"packing reads in blocks, but rewrite the file with one step a chunk if it is read elsewhere."
        )
    if chunk > 1 and fits >= chunk:
        fits -= fits % chunk
    elif chunk > fits and chunk <= 4 * fits:
        fits = chunk
    return fits, warnings
