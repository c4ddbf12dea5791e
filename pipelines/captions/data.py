"""From settings to captioned clips: sources present, files found and checked, split, spelt."""

import csv
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
from datamodules.video.check import check_clips
from datamodules.video.clips import CaptionedClip
from datamodules.video.media import find_media
from datamodules.video.options import ClipOptions
from datamodules.video.splits import split_clips
from datamodules.video.vocabulary import Vocabulary, fit_vocabulary
from pipelines.console import progress, rank
from pipelines.sources import bring_sources

log = logging.getLogger(__name__)


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
        read_facts(Path(options.facts)) if options.facts else {},
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

    Stored features need no files: then every clip passes here, and the store tells which it lacks.
    """
    chosen = {clip: corpus.clips[clip] for clip in dict.fromkeys(wanted)}
    if options.features not in ("pixels", "store"):
        return {
            name: CaptionedClip(name, None, clip.start, clip.stop, clip.captions)
            for name, clip in chosen.items()
        }, {}
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
    if options.bad_clips == "error":
        raise InputError(
            f"data.path={options.path}: {len(bad)} clips cannot be read:{few}{more}\n"
            "Mend or take them out of the annotations, or go on without them: data.bad_clips=skip"
        )
    log.warning(
        "%d clips cannot be read and are left out (bad_clips.csv lists them):%s%s", len(bad), few, more
    )


def read_facts(path: Path) -> dict[str, dict[str, str]]:
    """What a right sentence names: column -> clip id -> alternatives divided by '|'.

    Errors: InputError when the file is absent or has no column `clip`.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"data.facts={path}: cannot be read ({error})") from error
    if not rows or "clip" not in rows[0]:
        raise InputError(f"data.facts={path}: this needs a column 'clip', and one a fact, such as 'colour'")
    names = [name for name in rows[0] if name not in ("clip", "split")]
    return {name: {row["clip"]: row[name] for row in rows} for name in names}
