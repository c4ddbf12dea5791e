"""Hypotheses beside their references, matched by clip: from any two files that say which is which.

Annotations and results name their clips. Two plainer forms need not, and go by position: lines of text (one
sentence a line, references in one or several such files), and a table of a row a clip (caption_predicted,
caption_1, caption_2, ...), which may hold both sides.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import InputError
from datamodules.video.annotations.hypotheses import read_hypotheses
from datamodules.video.annotations.read import read_annotations
from datamodules.video.annotations.sheet import Sheet, check_width, sheet_of
from datamodules.video.annotations.source import Source, load, read_text
from datamodules.video.annotations.wording import counted, first_few

TEXT = ".txt"
PREDICTED = "caption_predicted"
REFERENCE = re.compile(r"caption_\d+")
LISTED = 20
"""Ids that a message lists before it says how many more there are."""


@dataclass(frozen=True)
class Pairs:
    """Every clip that is judged: (clip,) ids, a raw hypothesis each, and (clip, reference) raw sentences.

    missing: ids that no hypothesis came for; their hypothesis is "".
    split:   the only split of the references that was judged; None: all clips.
    """

    ids: tuple[str, ...]
    hypotheses: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    missing: tuple[str, ...] = ()
    split: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _References:
    """What was said of each clip, and its split where that is known."""

    captions: dict[str, tuple[str, ...]]
    splits: dict[str, str | None]
    warnings: tuple[str, ...] = ()


def read_pairs(hypotheses: str, references: str) -> Pairs:
    """The hypotheses with their references, in the order of the references.

    references: a file, a glob, or several divided by commas. Where the references know splits, only those
    splits count that the hypotheses are of.
    Errors: InputError for a file that cannot be read, a hypothesis whose clip has no references, and lines or
    rows without ids that do not match in number.
    """
    paths = _paths(references)
    if Path(hypotheses).suffix.lower() == TEXT or any(
        path.suffix.lower() == TEXT for path in map(Path, paths)
    ):
        return _by_line(hypotheses, paths)
    said, counted_rows = _read_hypotheses(hypotheses)
    known, counted_references = _read_references(paths)
    if (counted_rows or counted_references) and len(said) != len(known.captions):
        raise InputError(
            f"hypotheses={hypotheses} has {len(said)} sentences, references={references} "
            f"{len(known.captions)} clips; rows without a column 'clip' are matched by their number, and "
            "must be as many"
        )
    return _matched(said, known, f"hypotheses={hypotheses}", f"references={references}")


def _paths(references: str) -> list[str]:
    """The files that `references=` names; a name that holds a comma and exists is one file."""
    if Path(references).exists():
        return [references]
    return [path.strip() for path in references.split(",") if path.strip()]


def _matched(said: dict[str, str], known: _References, hypotheses: str, references: str) -> Pairs:
    """Every clip of the references with its hypothesis. InputError lists hypotheses of unknown clips."""
    if extra := [clip for clip in said if clip not in known.captions]:
        held = f"it has {counted(len(known.captions), 'clip', 'clips')}: {first_few(known.captions)}"
        raise InputError(
            f"{hypotheses} has {counted(len(extra), 'sentence', 'sentences')} (of {len(said)}) for clips "
            f"that {references} does not know: {first_few(extra, LISTED)}. Give the references of these "
            f"clips ({held}), or remove the sentences"
        )
    splits = {known.splits.get(clip) for clip in said}
    split = None if len(splits) > 1 else next(iter(splits))
    ids = tuple(clip for clip in known.captions if split is None or known.splits.get(clip) == split)
    missing = tuple(clip for clip in ids if clip not in said)
    return Pairs(
        ids,
        tuple(said.get(clip, "") for clip in ids),
        tuple(known.captions[clip] for clip in ids),
        missing,
        split if len(ids) < len(known.captions) else None,
        known.warnings,
    )


def _read_hypotheses(path: str) -> tuple[dict[str, str], bool]:
    """The sentence of each clip; and whether clips are counted rows."""
    sheet = _wide_sheet(path, lambda column: column == PREDICTED)
    if sheet is None:
        return read_hypotheses(path), False
    rows, counted_rows = _wide_rows(sheet, [PREDICTED], f"hypotheses={path}")
    return {clip: cells[0] for clip, cells in rows.items()}, counted_rows


def _read_references(paths: Sequence[str]) -> tuple[_References, bool]:
    """What was said of each clip; and whether clips are counted rows."""
    sheet = (
        _wide_sheet(paths[0], lambda column: bool(REFERENCE.fullmatch(column))) if len(paths) == 1 else None
    )
    if sheet is None:
        corpus = read_annotations(list(paths), key="references")
        captions = {clip.id: clip.captions for clip in corpus.clips.values()}
        splits = {clip.id: clip.split for clip in corpus.clips.values()}
        return _References(captions, splits, corpus.warnings), False
    columns = [column for column in sheet.columns if REFERENCE.fullmatch(column)]
    rows, counted_rows = _wide_rows(sheet, columns, f"references={paths[0]}")
    return _References(_filled(rows, f"references={paths[0]}"), {}), counted_rows


def _wide_sheet(path: str, wanted: Callable[[str], bool]) -> Sheet | None:
    """The file as a table of a row a clip; None where it is not one with such a column."""
    if not Path(path).is_file():
        return None
    source: Source = load(Path(path))
    sheet = sheet_of(source)
    return sheet if sheet is not None and any(map(wanted, sheet.columns)) else None


def _wide_rows(sheet: Sheet, columns: Sequence[str], where: str) -> tuple[dict[str, list[str]], bool]:
    """The cells of `columns` by clip: by the column `clip`, else by the number of the row from 1."""
    rows: dict[str, list[str]] = {}
    counted_rows = "clip" not in sheet.columns
    for number, (line, row) in enumerate(sheet.rows(), start=1):
        check_width(sheet, line, row)
        clip = str(number) if counted_rows else row[sheet.place("clip")].strip()
        if not clip or clip in rows:
            told = f"the clip '{clip}' a second time" if clip else "no clip"
            raise InputError(f"{where}, line {line}: {told}; here each row is a clip of its own")
        rows[clip] = [row[sheet.place(column)].strip() for column in columns]
    return rows, counted_rows


def _by_line(hypotheses: str, references: Sequence[str]) -> Pairs:
    """Pairs from lines of text, by line number. InputError where the files differ in length."""
    paths = [hypotheses, *references]
    if other := [path for path in paths if Path(path).suffix.lower() != TEXT]:
        raise InputError(
            f"{first_few(other)}: lines of text ({TEXT}) have no ids, so that hypotheses and references must "
            "both be text, one sentence a line; or give both with ids, as CSV or JSON"
        )
    lines = {path: _lines(path) for path in paths}
    if len({len(one) for one in lines.values()}) > 1:
        told = ", ".join(f"{path} has {len(one)}" for path, one in lines.items())
        raise InputError(f"lines of text are matched by number, and must be as many: {told}")
    said = {str(number): line for number, line in enumerate(lines[hypotheses], start=1)}
    columns = zip(*(lines[path] for path in references), strict=True)
    rows = {str(number): list(cells) for number, cells in enumerate(columns, start=1)}
    captions = _filled(rows, f"references={','.join(references)}")
    return _matched(said, _References(captions, {}), hypotheses, ",".join(references))


def _lines(path: str) -> list[str]:
    """The lines of a text file, white space around them removed."""
    if not Path(path).is_file():
        raise InputError(f"there is no file {path}; several files of references are divided by commas")
    text = read_text(Path(path))
    return [line.strip() for line in text.removesuffix("\n").split("\n")]


def _filled(rows: dict[str, list[str]], where: str) -> dict[str, tuple[str, ...]]:
    """What is not blank of each clip. InputError for clips of which nothing is left."""
    captions = {clip: tuple(cell for cell in cells if cell) for clip, cells in rows.items()}
    if silent := [clip for clip, said in captions.items() if not said]:
        found = counted(len(silent), "clip has", "clips have")
        raise InputError(f"{where}: {found} no reference: {first_few(silent, LISTED)}; add what is missing")
    return captions
