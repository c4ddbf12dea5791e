"""One sentence a clip, as a captioner writes them: COCO result JSON, CSV or JSONL."""

from collections.abc import Iterator
from pathlib import Path

from datamodules.errors import InputError
from datamodules.video.annotations import table
from datamodules.video.annotations.fields import id_in, records_of, text_in
from datamodules.video.annotations.source import Source, find_files, load
from datamodules.video.annotations.wording import counted, first_few


def read_hypotheses(path: str | Path, key: str = "hypotheses") -> dict[str, str]:
    """The sentence of each clip by its id, in the file's order, white space around it removed.

    path: COCO result JSON (a list of image_id, or clip, and caption), or CSV or JSONL with clip and caption.
    An empty sentence stays: it was written, and is scored.

    InputError: as the annotations; a clip with two sentences, which are named.
    """
    files = find_files(path, key)
    if len(files) > 1:
        raise InputError(f"{key}: {path} matches {len(files)} files ({first_few(map(str, files))}); name one")
    source = load(files[0])
    found: dict[str, str] = {}
    twice: list[str] = []
    for clip_id, sentence in _pairs(source, key):
        if clip_id in found:
            twice.append(clip_id)
        found[clip_id] = sentence.strip()
    if twice:
        ids = dict.fromkeys(twice)
        raise InputError(
            f"{key}: {source.path} has more than one sentence for {counted(len(ids), 'clip', 'clips')}: "
            f"{first_few(ids)}. A score is of one sentence a clip: remove the others"
        )
    if not found:
        raise InputError(f"{key}: {source.path} holds no sentence; give a file with one a clip")
    return found


def _pairs(source: Source, key: str) -> Iterator[tuple[str, str]]:
    """(clip id, sentence) of each entry or line."""
    if isinstance(source.json, list):
        for place, entry in enumerate(records_of(source.json, "the file", source.path)):
            where = f"{source.path}, entry {place}"
            yield (
                id_in(entry, "image_id" if "image_id" in entry else "clip", where),
                text_in(entry, "caption", where),
            )
    elif table.recognise(source):
        for line, cells in table.cells_of(source):
            yield table.id_of(cells, f"{source.path}, line {line}"), cells["caption"]
    else:
        raise InputError(
            f"{key}: {source.path} is {source.describe()}. Allowed: COCO result JSON (a list of image_id and "
            "caption), CSV with the columns clip and caption, JSONL with these keys"
        )
