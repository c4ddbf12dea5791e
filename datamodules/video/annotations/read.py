"""From annotation files to one `Corpus`: the format is told by what is in the files, not by their names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import InputError
from datamodules.video.annotations import coco, msrvtt, msvd, table, vatex
from datamodules.video.annotations.corpus import Corpus
from datamodules.video.annotations.source import Source, find_files, load


@dataclass(frozen=True)
class Reader:
    """One format: whether a file is of it, how its files are read, and what it looks like."""

    recognise: Callable[[Source], bool]
    read: Callable[[Sequence[Source], str], Corpus]
    looks: str


READERS = {
    module.NAME: Reader(module.recognise, module.read, module.LOOKS)
    for module in (msvd, msrvtt, vatex, coco, table)
}


def read_annotations(
    paths: str | Path | Sequence[str | Path],
    format: str = "auto",
    convention: str = "full",
    key: str = "data.annotations",
) -> Corpus:
    """The clips and captions of one or several files of one format, captions raw.

    paths: a file, a glob, or a list; a mapping or list of splits that lies beside them is found by itself.
    format: auto, or one of `READERS`; a file of another format is refused.
    convention: of the official split that has several: full or 1k-A (MSR-VTT).
    key: the setting that errors name.

    InputError: a file is absent, packed, cut short, not UTF-8 or of no known format; ids twice; clips without
    captions; what else a format's own module says.
    """
    sources = [load(path) for path in find_files(paths, key)]
    forms = {source.path: form_of(source, key) for source in sources}
    found = sorted(set(forms.values()))
    if len(found) > 1:
        told = ", ".join(f"{path} is {form}" for path, form in forms.items())
        raise InputError(f"{key}: files of several formats ({told}); give files of one format")
    if format not in ("auto", found[0]):
        raise InputError(
            f"{key}: {sources[0].path} is {found[0]}, but data.format={format} wants "
            f"{READERS[format].looks}. Give such a file, or data.format=auto"
        )
    if convention != "full" and found[0] != msrvtt.NAME:
        raise InputError(
            f"data.split.convention={convention} is one of MSR-VTT, but {sources[0].path} is {found[0]}; "
            "choose data.split.convention=full"
        )
    return READERS[found[0]].read(sources, convention)


def form_of(source: Source, key: str = "data.annotations") -> str:
    """The name of the file's format. InputError with what was found and what is allowed."""
    for name, reader in READERS.items():
        if reader.recognise(source):
            return name
    allowed = "; ".join(reader.looks for reader in READERS.values())
    first = source.json[0] if isinstance(source.json, list) and source.json else None
    is_result = isinstance(first, dict) and {"image_id", "caption"} <= first.keys()
    hint = " A list of image_id and caption holds hypotheses, not annotations." if is_result else ""
    raise InputError(
        f"{key}: {source.path} is {source.describe()}, no format known here.{hint} Allowed: {allowed}"
    )
