"""Which clips train, validate and test: no clip, and no stretch of film, in two of them."""

from collections.abc import Mapping

import numpy as np

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import SPLITS, Clip, Corpus
from datamodules.video.annotations.source import find_files, read_text
from datamodules.video.annotations.wording import counted, first_few
from datamodules.video.options import ClipSplitOptions

_OTHERWISE = "or choose data.split.kind=fractions or lists"
_WAYS_OUT = {
    "msvd": "place youtube_mapping.txt, which numbers the clips, beside the annotations",
    "msrvtt": "give train_val_videodatainfo.json and test_videodatainfo.json, which give each video a split",
    "vatex": "give the files of all splits, named as published (vatex_training_v1.0.json ...)",
    "coco": "give the files of all splits, named as published (captions_train2017.json ...), or Karpathy's",
    "table": "add a column 'split' with train, validation or test",
    "names": "file names know no splits: choose data.split.kind=whole to learn all of them by heart",
}


def split_clips(corpus: Corpus, options: ClipSplitOptions, seed: int) -> dict[str, tuple[str, ...]]:
    """The clip ids of train, validation and test, each in the corpus's order, none empty.

    official   as the annotations say; clips of which they say nothing are left out
    fractions  shares of the clips, drawn from the sorted ids by `seed`; clips of one file stay together
    lists      as the files of ids say; clips that no list names are left out
    whole      every clip in every split: for what is to be learnt by heart, and judged as such

    InputError: an empty split; a list with an unknown id; a clip, or overlapping times of one file, in two.
    """
    if options.kind == "whole":
        return dict.fromkeys(SPLITS, tuple(corpus.clips))
    shares = dict(zip(SPLITS, (options.train, options.validation, options.test), strict=True))
    if options.kind == "official":
        splits = _official(corpus)
    elif options.kind == "fractions":
        splits = _fractions(corpus, {name: float(share or 0) for name, share in shares.items()}, seed)
    else:
        splits = _lists(corpus, {name: str(share) for name, share in shares.items()})
    _refuse_shared_film(corpus, splits)
    return splits


def _official(corpus: Corpus) -> dict[str, tuple[str, ...]]:
    splits = {name: tuple(clip.id for clip in corpus.clips.values() if clip.split == name) for name in SPLITS}
    if empty := [name for name in SPLITS if not splits[name]]:
        sources = first_few(str(path) for path in corpus.sources)
        raise InputError(
            f"data.split.kind=official: {sources} ({corpus.format}) name no clip for {' and '.join(empty)}: "
            f"{_WAYS_OUT.get(corpus.format, 'give annotations that do')}, {_OTHERWISE}"
        )
    return splits


def _fractions(corpus: Corpus, shares: Mapping[str, float], seed: int) -> dict[str, tuple[str, ...]]:
    """Files in random order, cut where the clips before them reach the summed shares."""
    groups: dict[str, list[str]] = {}
    for clip in corpus.clips.values():
        groups.setdefault(clip.file or clip.id, []).append(clip.id)
    names = sorted(groups)
    order = np.random.default_rng(seed).permutation(len(names))
    summed = np.cumsum([shares[name] for name in SPLITS]) * len(corpus.clips)
    ends = np.floor(summed + 0.5 + 1e-9).astype(int)  # half a clip counts as one, whatever its last bit
    chosen: dict[str, set[str]] = {name: set() for name in SPLITS}
    before = 0
    for place in order:
        ids = groups[names[place]]
        part = int(np.searchsorted(ends, before, side="right"))
        if part < len(SPLITS):
            chosen[SPLITS[part]].update(ids)
        before += len(ids)
    if empty := [name for name in SPLITS if not chosen[name]]:
        told = ", ".join(f"data.split.{name}={shares[name]:g}" for name in empty)
        raise InputError(
            f"{told} of {counted(len(corpus.clips), 'clip', 'clips')} is no clip at all (those "
            "of one file stay together): raise the fraction, or choose data.split.kind=whole for so few"
        )
    return {name: tuple(clip for clip in corpus.clips if clip in chosen[name]) for name in SPLITS}


def _lists(corpus: Corpus, paths: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    listed = {name: _listed(corpus, path, f"data.split.{name}") for name, path in paths.items()}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if both := [clip for clip in corpus.clips if clip in listed[one] and clip in listed[other]]:
            raise InputError(
                f"data.split.{one}={paths[one]} and data.split.{other}={paths[other]} share "
                f"{counted(len(both), 'clip', 'clips')}: {first_few(both)}. Take them out of one of the two"
            )
    return {name: tuple(clip for clip in corpus.clips if clip in listed[name]) for name in SPLITS}


def _listed(corpus: Corpus, path: str, key: str) -> set[str]:
    """The ids of a list, one a line. InputError: no such file, or an id that the annotations lack."""
    lines = [line.strip() for file in find_files(path, key) for line in read_text(file).split("\n")]
    ids = [line for line in dict.fromkeys(lines) if line]
    if unknown := [clip for clip in ids if clip not in corpus.clips]:
        raise InputError(
            f"{key}={path} names {counted(len(unknown), 'clip', 'clips')} without annotations: "
            f"{first_few(unknown)}. Ids there look like {first_few(corpus.clips, 2)}; correct the list"
        )
    return set(ids)


def _refuse_shared_film(corpus: Corpus, splits: Mapping[str, tuple[str, ...]]) -> None:
    """InputError where clips of two splits show the same seconds of the same file."""
    within: dict[str, list[tuple[float, float, str, str]]] = {}
    for split, ids in splits.items():
        for clip in (corpus.clips[clip_id] for clip_id in ids):
            if clip.file is not None:
                within.setdefault(clip.file, []).append((*_span(clip), split, clip.id))
    told = []
    for file, spans in within.items():
        last: dict[str, tuple[float, str]] = {}
        for start, stop, split, clip_id in sorted(spans):
            told += [
                f"'{earlier}' ({other}) and '{clip_id}' ({split}) in {file}"
                for other, (end, earlier) in last.items()
                if other != split and end > start
            ]
            last[split] = max(last.get(split, (0.0, clip_id)), (stop, clip_id))
    if told:
        raise InputError(
            f"data.split: {counted(len(told), 'pair of clips shows', 'pairs of clips show')} the same "
            f"seconds of a file in two splits: {first_few(told, 3)}. Put each pair in one split"
        )


def _span(clip: Clip) -> tuple[float, float]:
    """The seconds that a clip covers within its file."""
    return clip.start or 0.0, float("inf") if clip.stop is None else clip.stop
