"""What a champion has seen of the data: until when its maps went, and which clips it learned from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datamodules.errors import InputError
from pipelines import provenance
from pipelines.rundir import RunDir
from pipelines.settings import Settings

if TYPE_CHECKING:
    from datamodules.gridded.store import Store
    from datamodules.video.annotations.corpus import Corpus

LEARNT = ("train", "validation")
"""Splits that decide weights: by the gradient, or by the choice of the best checkpoint."""


@dataclass(frozen=True)
class SeenMaps:
    """Seconds since 1970 in the data's calendar, both inclusive.

    learnt: the last step that training or validation read.     end: the last step of all its data.
    """

    learnt: int
    end: int


def settings_of(run: RunDir) -> Settings:
    """The settings that a run was trained with. Errors: InputError where its config cannot be read."""
    from pipelines.compose import compose

    return compose((), base=run.read_config()).settings


def seen_maps(champion: RunDir, store: "Store") -> SeenMaps:
    """Until when the champion has seen the maps of `store`, which may have grown since.

    Where its splits cannot be placed in time any more, everything it had counts as learnt.
    """
    from datamodules.gridded.clock import parse_moment, parse_period
    from pipelines.forecasts.kept import kept_model

    report = kept_model(champion)[0].report["time"]
    where = f"{champion.path}/model/store.json"
    start, end = (round(parse_moment(report[key], store.calendar, where)) for key in ("start", "end"))
    split = settings_of(champion).maps.split
    parts = [getattr(split, name) for name in LEARNT]
    if all(not isinstance(part, float) for part in parts):
        ends = [parse_period(part[1], store.calendar, "data.split")[1] - 1 for part in parts]
        return SeenMaps(min(max(ends), end), end)
    splits = (provenance.read(champion).get("data") or {}).get("store", {}).get("splits", {})
    stop = max((splits[name][1] for name in LEARNT if name in splits), default=0)
    before = store.time[store.time <= end]
    same = len(before) == report["count"] and len(before) > 0 and before[0] == start
    return SeenMaps(int(before[stop - 1]) if same and 0 < stop <= len(before) else end, end)


def learnt_clips(champion: RunDir, corpus: "Corpus") -> frozenset[str]:
    """The ids of the clips of `corpus` that the champion was trained or chosen with.

    Errors: InputError where nobody can tell: its lists are gone, or its splits were drawn by chance from a
    corpus that has changed since.
    """
    from datamodules.video.splits import split_clips

    settings = settings_of(champion)
    kind = settings.clips.split.kind
    if kind == "fractions" and not _as_it_was(champion, corpus, settings):
        raise InputError(
            f"{champion.path}: its clips were drawn by data.split.kind=fractions from other annotations than "
            "these, so nobody can tell which ones it has learned. Train the first champion by the job "
            "itself, or with data.split.kind=lists or official"
        )
    if kind == "lists":
        return frozenset(clip for name in LEARNT for clip in _listed(champion, settings, name))
    splits = split_clips(corpus, settings.clips.split, settings.seed)
    return frozenset(clip for name in LEARNT for clip in splits[name])


def clips_of(champion: RunDir, corpus: "Corpus") -> frozenset[str]:
    """The ids of all clips of `corpus` that the champion was trained, chosen or judged with."""
    from datamodules.video.splits import split_clips

    settings = settings_of(champion)
    if settings.clips.split.kind == "lists":
        names = (*LEARNT, "test")
        return frozenset(clip for name in names for clip in _listed(champion, settings, name))
    splits = split_clips(corpus, settings.clips.split, settings.seed)
    return frozenset(clip for part in splits.values() for clip in part)


def _listed(champion: RunDir, settings: Settings, name: str) -> list[str]:
    """The ids in a list of the champion's splits; those that annotations lack now do no harm."""
    from datamodules.video.annotations.source import find_files, read_text

    path = str(getattr(settings.clips.split, name))
    try:
        files = find_files(path, f"data.split.{name}")
    except InputError as error:
        raise InputError(f"{champion.path}: the clips that it has learned are not known: {error}") from error
    lines = [line.strip() for file in files for line in read_text(file).split("\n")]
    return [line for line in lines if line]


def _as_it_was(champion: RunDir, corpus: "Corpus", settings: Settings) -> bool:
    """Whether as many clips are drawn for each split as were drawn for the champion."""
    from datamodules.video.splits import split_clips

    asked = (provenance.read(champion).get("data") or {}).get("store", {}).get("asked")
    drawn = split_clips(corpus, settings.clips.split, settings.seed)
    return asked == {name: len(part) for name, part in drawn.items()}
