"""From settings to captioned clips: sources present, files found and checked, split, spelt."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import Corpus
from datamodules.video.annotations.names import captions_of_names
from datamodules.video.annotations.read import read_annotations
from datamodules.video.annotations.sheet import check_width, sheet_of
from datamodules.video.annotations.source import load
from datamodules.video.annotations.wording import first_few
from datamodules.video.check import check_clips
from datamodules.video.clips import CaptionedClip
from datamodules.video.foreign_features import open_foreign_features
from datamodules.video.media import find_media
from datamodules.video.options import ClipOptions
from datamodules.video.splits import split_clips
from datamodules.video.vocabulary import Vocabulary, fit_vocabulary
from lightning_modules.metrics.captions.facts import ALL
from pipelines.console import progress, rank
from pipelines.sources import bring_sources

log = logging.getLogger(__name__)

NO_FACTS = ("clip", "split")
"""Columns of a table of facts that say which clip, not what is true of it."""


@dataclass(frozen=True, eq=False)
class ClipData:
    """Captioned clips of each split, those that cannot be read with the reason, and the vocabulary.

    asked: how many clips each split should have.
    facts: column -> clip id -> alternatives ("circle|disc").
    """

    splits: Mapping[str, tuple[CaptionedClip, ...]]
    bad: Mapping[str, str]
    asked: Mapping[str, int]
    vocabulary: Vocabulary
    facts: Mapping[str, Mapping[str, str]]
    sources: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the clips' ids and captions, split by split."""
        found = hashlib.sha256()
        for name, clips in sorted(self.splits.items()):
            for clip in clips:
                found.update(json.dumps([name, clip.id, *clip.captions], ensure_ascii=False).encode())
        return found.hexdigest()

    def training_captions(self) -> list[str]:
        """Every caption of the training split, raw."""
        return [caption for clip in self.splits["train"] for caption in clip.captions]


def open_clips(
    options: ClipOptions, stores: Path, seed: int, vocabulary: Vocabulary | None = None
) -> ClipData:
    """Captions read, files found and opened once, and a vocabulary fitted on training captions.

    vocabulary: one to use instead (a run that goes on from another's weights).
    Errors: InputError for annotations that cannot be read, splits that overlap or are empty, and, with
    bad_clips=error, clips that are missing or cannot be decoded.
    """
    bring_sources(options)
    corpus = read_corpus(options)
    for warning in corpus.warnings:
        log.warning(warning)
    ids = split_clips(corpus, options.split, seed)
    clips, bad = found_clips(options, corpus, [clip for split in ids.values() for clip in split], stores)
    _refuse_or_tell(options, bad)
    splits = {name: tuple(clips[clip] for clip in chosen if clip in clips) for name, chosen in ids.items()}
    for name, chosen in splits.items():
        if not chosen:
            raise InputError(f"data: the {name} split has no clip that can be read; see bad_clips.csv")
    captions = [caption for clip in splits["train"] for caption in clip.captions]
    return ClipData(
        splits,
        bad,
        {name: len(chosen) for name, chosen in ids.items()},
        vocabulary or fit_vocabulary(captions, options.vocabulary),
        _facts_of(options, splits["test"]),
        corpus.sources,
    )


def read_corpus(options: ClipOptions) -> Corpus:
    """What is said of the clips, by the annotations or by the files' names."""
    if options.annotations is None:
        return captions_of_names(Path(options.path))
    return read_annotations(options.annotations, options.format, options.split.convention)


def found_clips(
    options: ClipOptions, corpus: Corpus, wanted: Sequence[str], stores: Path
) -> tuple[dict[str, CaptionedClip], dict[str, str]]:
    """The clips that can be read, by id, and why the others cannot.

    Features made elsewhere need no files: then a clip without features is one that cannot be read.
    """
    chosen = {clip: corpus.clips[clip] for clip in dict.fromkeys(wanted)}
    if options.features not in ("pixels", "store"):
        made = open_foreign_features(Path(options.features))
        return {
            name: CaptionedClip(name, None, clip.start, clip.stop, clip.captions)
            for name, clip in chosen.items()
            if name in made
        }, {name: f"no features in {options.features}" for name in chosen if name not in made}
    media = find_media(Path(options.path), corpus)
    bad = {name: f"no file of this id in {options.path}" for name in chosen if name not in media.files}
    clips = {
        name: CaptionedClip(name, media.files[name], clip.start, clip.stop, clip.captions)
        for name, clip in chosen.items()
        if name in media.files
    }
    with progress("opening clips") as advance:
        checked = check_clips(list(clips.values()), options.frames, stores / "checked_clips", advance)
    bad |= checked.bad
    return {name: clip for name, clip in clips.items() if name not in bad}, bad


def _refuse_or_tell(options: ClipOptions, bad: Mapping[str, str]) -> None:
    """Stop at clips that cannot be read, or say how many are left out, as `bad_clips` wants."""
    if not bad or rank():
        return
    few = "".join(f"\n  {clip}: {reason}" for clip, reason in list(bad.items())[:5])
    more = f"\n  and {len(bad) - 5} more" if len(bad) > 5 else ""
    stored = options.features not in ("pixels", "store")
    where = f"data.features={options.features}" if stored else f"data.path={options.path}"
    if options.bad_clips == "error":
        raise InputError(
            f"{where}: {len(bad)} clips cannot be read:{few}{more}\n"
            "Mend or take them out of the annotations, or go on without them: data.bad_clips=skip"
        )
    log.warning(
        "%d clips cannot be read and are left out (bad_clips.csv lists them):%s%s", len(bad), few, more
    )


def read_facts(path: Path) -> dict[str, dict[str, str]]:
    """What a right sentence names: column -> clip id -> alternatives divided by '|'.

    Errors: InputError when the file is absent, is no table of a row a clip, or has no column `clip`.
    """
    try:
        sheet = sheet_of(load(path))
        names = [] if sheet is None else [name for name in sheet.columns if name not in (*NO_FACTS, "")]
        if sheet is None or "clip" not in sheet.columns or not names:
            raise InputError(f"{path}: this needs a column 'clip', and one a fact, such as 'colour'")
        if ALL in names:
            raise InputError(f"{path}: no fact is called '{ALL}', that is all of them together; rename it")
        rows: dict[str, list[str]] = {}
        for line, row in sheet.rows():
            check_width(sheet, line, row)
            if rows.setdefault(row[sheet.place("clip")].strip(), row) is not row:
                raise InputError(f"{path}, line {line}: a second row of a clip; give one a clip")
    except InputError as error:
        raise InputError(f"data.facts: {error}") from None
    return {name: {clip: row[sheet.place(name)] for clip, row in rows.items()} for name in names}


def _facts_of(options: ClipOptions, test: Sequence[CaptionedClip]) -> dict[str, dict[str, str]]:
    """The facts that the settings name. InputError when they tell of no test clip."""
    if options.facts is None:
        return {}
    facts = read_facts(Path(options.facts))
    known = {clip for values in facts.values() for clip in values}
    if not any(clip.id in known for clip in test):
        raise InputError(
            f"data.facts={options.facts} tells of {first_few(sorted(known))}, none of which is a test clip "
            f"({first_few(clip.id for clip in test)}); correct the ids, or set data.facts=null"
        )
    return facts
