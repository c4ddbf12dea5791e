"""The look at clips: those that vanish or cannot be read, and captions that shrink."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.video.annotations.corpus import Corpus
from datamodules.video.check import state_of
from datamodules.video.words import split_words
from pipelines.captions.data import found_clips, read_corpus
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.retraining.data_checks import ChecksOptions, Look

FIRST_SHARE = 0.1
"""Share of the clips that the first look takes for new."""
NAMED = 3
WHAT = {
    "captions_a_clip": "captions a clip",
    "words_a_caption": "words a caption",
    "distinct": "share of distinct captions",
}


def look_at_clips(settings: Settings, options: "ChecksOptions", before: Mapping[str, Any] | None) -> "Look":
    """The look; see `data_checks.check_data`."""
    from pipelines.retraining.data_checks import Look

    corpus = read_corpus(settings.clips)
    ids = list(corpus.clips)
    clips, bad = found_clips(settings.clips, corpus, ids, Path(settings.paths.stores))
    digest = _digest(corpus, {name: clip.file for name, clip in clips.items()})
    if before is None:
        known_ids = set(ids[: len(ids) - max(1, round(FIRST_SHARE * len(ids)))])
        known = _figures(corpus, [clip for clip in ids if clip in known_ids])
        problems: list[str] = []
    else:
        known_ids, known = set(before["summary"]["ids"]), before["summary"]["captions"]
        problems = list(_vanished(known_ids, set(ids), before["summary"]["bad"], bad, options))
    new_ids = [clip for clip in ids if clip not in known_ids]
    problems += _unreadable(new_ids, bad, options)
    if len(new_ids) >= options.fewest:
        problems += _shrunk(known, _figures(corpus, new_ids), options)
    if before is not None:
        old = _figures(corpus, [clip for clip in ids if clip in known_ids])
        problems += [f"of the clips known before, {one}" for one in _shrunk(known, old, options)]
    summary = {
        "ids": ids,
        "captions": _figures(corpus, ids),
        "bad": sorted(bad),
        "sources": [str(path) for path in corpus.sources],
        "warnings": list(corpus.warnings),
    }
    new = len(new_ids) if before is not None else len(ids)
    return Look("clips", len(ids), new, None, None, digest, summary, tuple(problems))


def _digest(corpus: Corpus, files: Mapping[str, Path | None]) -> str:
    """SHA-256 of ids, captions, and sizes of the files."""
    found = hashlib.sha256()
    for name, clip in corpus.clips.items():
        path = files.get(name)
        size = None if path is None else state_of(path).size
        found.update(json.dumps([name, list(clip.captions), size], ensure_ascii=False).encode())
    return found.hexdigest()


def _figures(corpus: Corpus, ids: Sequence[str]) -> dict[str, float]:
    """Means of the captions: captions a clip, words a caption, the share of distinct ones, and empty ones."""
    captions = [[split_words(text) for text in corpus.clips[clip].captions] for clip in ids]
    flat = [tuple(words) for one in captions for words in one]
    return {
        "clips": float(len(ids)),
        "captions_a_clip": float(np.mean([len(one) for one in captions])) if captions else 0.0,
        "words_a_caption": float(np.mean([len(words) for words in flat])) if flat else 0.0,
        "distinct": len(set(flat)) / len(flat) if flat else 0.0,
        "empty": float(np.mean([not words for words in flat])) if flat else 0.0,
    }


def _vanished(
    known: set[str],
    now: set[str],
    bad_before: Sequence[str],
    bad: Mapping[str, str],
    options: "ChecksOptions",
) -> Iterator[str]:
    """Clips that were there and are not, or were readable and are not."""
    gone = sorted(known - now)
    if len(gone) > options.vanished * len(known):
        yield f"{len(gone)} of the {len(known)} clips known before have vanished: {_few(gone)}"
    broken = sorted(clip for clip in known & set(bad) if clip not in set(bad_before))
    if len(broken) > options.vanished * len(known):
        yield f"{len(broken)} clips could be read before and cannot now: {_few(broken)} ({bad[broken[0]]})"


def _unreadable(new: Sequence[str], bad: Mapping[str, str], options: "ChecksOptions") -> Iterator[str]:
    """New clips that cannot be read."""
    broken = [clip for clip in new if clip in bad]
    if len(broken) > options.bad_clips * len(new):
        yield f"{len(broken)} of {len(new)} new clips cannot be read: {_few(broken)} ({bad[broken[0]]})"


def _shrunk(known: Mapping[str, float], new: Mapping[str, float], options: "ChecksOptions") -> Iterator[str]:
    """Figures of new captions that are far below the known ones.

    The share of distinct captions falls by itself with their number: of few clips it is only larger.
    """
    for key, what in WHAT.items():
        if known[key] > 0 and new[key] * options.captions < known[key]:
            yield f"{what}: {new[key]:.3g} now, {known[key]:.3g} before"
    if new["empty"] > known["empty"] + 0.05:
        yield f"{new['empty']:.0%} of the captions hold no word"


def _few(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
