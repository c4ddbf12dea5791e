"""A table of one's own: CSV with a header, or JSONL, with `clip` and `caption`; several lines a clip.

Optional columns: split (train, validation, test), file (the name in the folder of clips, where it is not the
clip's id), start and stop (seconds within the file). They may be given on one line of a clip only; where they
are given again they say the same. Other columns are not read.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import Clip, Corpus, Draft, file_name, split_word
from datamodules.video.annotations.sheet import check_width, sheet_of
from datamodules.video.annotations.source import Source

NAME = "table"
LOOKS = "a table (CSV with the columns clip and caption, or JSONL with these keys)"


def recognise(source: Source) -> bool:
    """Whether the file is CSV or JSONL that names clips and captions."""
    if source.records:
        return {"clip", "caption"} <= source.records[0][1].keys()
    sheet = sheet_of(source)
    return sheet is not None and {"clip", "caption"} <= set(sheet.columns)


def read(sources: Sequence[Source], convention: str) -> Corpus:
    """The clips of all tables given. InputError names the line that cannot be used."""
    draft = Draft()
    for source in sources:
        for line, cells in cells_of(source):
            clip = _clip(cells, f"{source.path}, line {line}")
            if clip.id not in draft:
                draft.add(clip, source.path)
            elif any((clip.split, clip.file, clip.start is not None, clip.stop is not None)):
                draft.change(_agreed(draft[clip.id], clip, f"{source.path}, line {line}"))
            draft.say(clip.id, cells["caption"])
    return draft.finish(NAME, tuple(source.path for source in sources))


def cells_of(source: Source) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line, text by column) of each line of a recognised table; what a line lacks is an empty text."""
    sheet = sheet_of(source)
    if sheet is None:
        for line, record in source.records:
            where = f"{source.path}, line {line}"
            yield line, {"clip": "", "caption": "", **{key: _cell(record[key], key, where) for key in record}}
        return
    for line, row in sheet.rows():
        check_width(sheet, line, row)
        yield line, dict(zip(sheet.columns, row, strict=True))


def id_of(cells: Mapping[str, str], where: str) -> str:
    """The clip's id. InputError when the line names no clip."""
    if not (clip_id := cells["clip"].strip()):
        raise InputError(f"{where}: no clip is named; fill the column 'clip'")
    return clip_id


def _cell(value: Any, key: str, where: str) -> str:
    """A value of a JSONL line as the text that a CSV cell would have."""
    if value is None:
        return ""
    if key == "caption" and not isinstance(value, str):
        raise InputError(f"{where}: the caption {repr(value)[:40]} is no text; write one caption a line")
    return str(value)


def _clip(cells: Mapping[str, str], where: str) -> Clip:
    """What a line says of its clip."""
    clip_id = id_of(cells, where)
    split = split_word(cells.get("split") or "", where)
    named = (cells.get("file") or "").strip()
    file = file_name(named, f"{where}, clip '{clip_id}'") if named else None
    start, stop = (_seconds(cells.get(name) or "", name, where) for name in ("start", "stop"))
    if stop is not None and stop <= (start or 0.0):
        raise InputError(f"{where}: stop={stop:g} is not after start={start or 0:g} (seconds); correct them")
    return Clip(clip_id, (), split, file, start, stop)


def _seconds(text: str, name: str, where: str) -> float | None:
    """A time within a file; None where the cell is empty."""
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"{where}: {name}='{text}' is no time; write seconds such as 12.5")
    return value


def _agreed(known: Clip, clip: Clip, where: str) -> Clip:
    """The clip with what this line adds. InputError when it says something else than an earlier line."""
    added = {}
    for name in ("split", "file", "start", "stop"):
        before, now = getattr(known, name), getattr(clip, name)
        if now is not None and before is not None and now != before:
            raise InputError(
                f"{where}: the clip '{clip.id}' has {name}={now} here, but {before} on an earlier line; "
                "give clips that differ ids that differ"
            )
        if now is not None:
            added[name] = now
    return replace(known, **added)
