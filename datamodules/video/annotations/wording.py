"""How files and clips are named in messages to the user."""

import difflib
from collections.abc import Iterable
from pathlib import Path


def first_few(names: Iterable[str], most: int = 5) -> str:
    """The first names joined by commas, and how many follow: "a, b, c, d, e and 7 more"."""
    named = list(names)
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more


def counted(number: int, one: str, many: str) -> str:
    """The number with the word that agrees with it: "1 clip has", "12 clips have"."""
    return f"{number} {one if number == 1 else many}"


def near_names(path: Path) -> str:
    """A sentence with what lies near a path that is absent: names like it, else what its folder holds."""
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    wanted = path.relative_to(folder).parts[0] if path != folder else path.name
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    return f"Near it: {', '.join(near)}." if near else f"{folder} holds: {first_few(names) or 'nothing'}."
