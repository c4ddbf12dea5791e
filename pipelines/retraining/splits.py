"""Which data judge a challenger, and which it learns from: the newest are held back before any training."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from datamodules.errors import InputError
from datamodules.gridded.options import Region
from datamodules.options import Options
from pipelines.rundir import RunDir, write_text
from pipelines.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from datamodules.gridded.store import Store

FEWEST = 1
SPLITS = ("train", "validation", "test")


class JudgeOptions(Options):
    """Which data champion and challenger are compared on: the newest, never trained on.

    steps: so many of the newest forecast times (maps).
    clips: so many of the newest clips, in the order of the annotations.
    validation: share of the older data that chooses the challenger's checkpoint; the rest trains it.
    regions: parts of the map that are judged on their own too, by name: {tropics: {lat: [-20, 20]}}.
    slices: parts of the clips that are judged on their own too: length (clips with long and with short
        captions), facts (of data.facts).
    """

    steps: int = Field(default=240, ge=2)
    clips: int = Field(default=300, ge=2)
    validation: float = Field(default=0.15, gt=0, lt=0.9)
    regions: dict[str, Region] = Field(default={})
    slices: tuple[Literal["length", "facts"], ...] = ("length", "facts")


@dataclass(frozen=True)
class SplitPlan:
    """The splits of one challenger.

    words: settings for `skyreel train`, and for judging.
    judged: the first and last step of the judged windows (ISO), or the ids of the judged clips.
    newest: the last step (ISO), or how many clips there are.     total: judged forecast times or clips.
    """

    words: tuple[str, ...]
    judged: tuple[str, ...]
    newest: str
    total: int

    def as_plain(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {key: list(one) if isinstance(one, tuple) else one for key, one in asdict(self).items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "SplitPlan":
        """What `as_plain` gave."""
        texts = {key: tuple(map(str, plain[key])) for key in ("words", "judged")}
        return cls(**texts, newest=str(plain["newest"]), total=int(plain["total"]))


class NothingNewError(InputError):
    """Raised where the champion has learned from all the data there are: later there will be more."""


def plan_splits(
    settings: Settings, options: JudgeOptions, champion: RunDir | None, folder: Path
) -> SplitPlan:
    """The newest data to judge by, what is older to learn from, and a whole window between any two.

    Windows or clips that the champion has learned from do not judge: then only later ones do.
    folder: gets the lists of clips. Errors: InputError with the numbers where the data are too few,
    NothingNewError where the champion has learned from all of them.
    """
    if settings.task.kind == "forecast":
        return _plan_maps(settings, options, champion)
    return _plan_clips(settings, options, champion, folder)


def judged_since(
    settings: Settings, options: JudgeOptions, since: str | Sequence[str], folder: Path
) -> SplitPlan:
    """What has arrived after `since`, all of it, to judge two models that exist already.

    since: the last step that was known (ISO), or the ids of the clips that were.
    Errors: InputError where nothing whole has arrived since.
    """
    if settings.task.kind == "forecast":
        return _maps_since(settings, str(since))
    return _clips_since(settings, options, [since] if isinstance(since, str) else since, folder)


def _store_of(settings: Settings) -> "Store":
    """The packed maps; packed now unless the look has done so."""
    from pipelines.forecasts.data import packed

    return packed(settings.maps, Path(settings.paths.stores))


def _plan_maps(settings: Settings, options: JudgeOptions, champion: RunDir | None) -> SplitPlan:
    """Three periods of dates."""
    import numpy as np

    from datamodules.gridded.windows import valid_starts
    from pipelines.retraining.champion_data import seen_maps

    store, window = _store_of(settings), settings.forecast.history + settings.forecast.horizon
    starts = valid_starts(store.tick, settings.forecast.history, settings.forecast.horizon)
    newest = starts[-options.steps :]
    if champion is not None:
        seen = seen_maps(champion, store).learnt
        newest = newest[store.time[newest] > seen]
        if len(newest) == 0:
            raise NothingNewError(
                f"no forecast window begins after {_date(store, seen)}, the last step that the champion has "
                f"learned from (the data end at {_date(store, int(store.time[-1]))}, a window is {window} "
                "steps): wait for more data"
            )
    if len(newest) == 0:
        raise _too_few(store, options, window, len(starts))
    ticks = store.tick - store.tick[0]
    first = int(newest[0])
    end = int(np.searchsorted(ticks, ticks[first] - window, side="left"))  # of validation, exclusive
    steps = max(window, round(options.validation * end))
    begin = max(0, end - steps)
    stop = int(np.searchsorted(ticks, ticks[begin] - window, side="left")) if begin < end else 0
    ranges = {"train": (0, stop), "validation": (begin, end), "test": (first, len(store.time))}
    for low, high in ranges.values():
        inside = (starts >= low) & (starts + window <= high)
        if not inside.any():
            raise _too_few(store, options, window, len(starts))
    words = tuple(_period(store, name, low, high) for name, (low, high) in ranges.items())
    judged = (_date(store, int(store.time[first])), _date(store, int(store.time[-1])))
    return SplitPlan(words, judged, judged[1], len(newest))


def _maps_since(settings: Settings, since: str) -> SplitPlan:
    """All windows whose steps are all later than `since`; the other two periods are empty of windows."""
    import numpy as np

    from datamodules.gridded.clock import parse_moment
    from datamodules.gridded.windows import valid_starts

    store = _store_of(settings)
    moment = parse_moment(since, store.calendar, "since")
    first = int(np.searchsorted(store.time, moment, side="right"))
    task = settings.forecast
    count = len(valid_starts(store.tick[first:], task.history, task.horizon))
    if count == 0:
        raise InputError(
            f"no whole forecast window ({task.history + task.horizon} steps) lies after {since}; the data "
            f"end at {_date(store, int(store.time[-1]))}"
        )
    last = len(store.time)
    words = (
        _period(store, "train", 0, 1),
        _period(store, "validation", 0, 1),
        _period(store, "test", first, last),
    )
    judged = (_date(store, int(store.time[first])), _date(store, int(store.time[-1])))
    return SplitPlan(words, judged, judged[1], count)


def _period(store: "Store", name: str, low: int, high: int) -> str:
    """The word for steps `low` to `high` - 1."""
    first, last = (_date(store, int(store.time[place])) for place in (low, high - 1))
    return f'data.split.{name}=["{first}","{last}"]'


def _date(store: "Store", moment: "int | np.ndarray") -> str:
    """An ISO date in the data's calendar."""
    import numpy as np

    from datamodules.gridded.clock import dates

    return dates(np.asarray([moment]).ravel(), store.calendar)[0]


def _too_few(store: "Store", options: JudgeOptions, window: int, windows: int) -> InputError:
    """What to tell where the data do not hold three splits."""
    return InputError(
        f"judge.steps={options.steps}: the data hold {len(store.time)} steps, {windows} whole windows of "
        f"{window} steps (history + horizon). They must give {options.steps} judged windows, and before "
        f"them, with {window} steps between, a window for validation and one for training: at least "
        f"{options.steps + 5 * window} steps without a gap. Wait for more data, lower judge.steps, or "
        "shorten task.history or task.horizon"
    )


def _plan_clips(
    settings: Settings, options: JudgeOptions, champion: RunDir | None, folder: Path
) -> SplitPlan:
    """Three lists of ids; clips of one file stay together, and on the side of the newest of them."""
    from pipelines.captions.data import read_corpus
    from pipelines.retraining.champion_data import learnt_clips

    corpus = read_corpus(settings.clips)
    ids = list(corpus.clips)
    learnt = learnt_clips(champion, corpus) if champion is not None else frozenset()
    film = {clip: corpus.clips[clip].file or clip for clip in ids}
    taken = {film[clip] for clip in learnt if clip in film}
    judged = [clip for clip in ids if film[clip] not in taken][-options.clips :]
    held = {film[clip] for clip in judged}
    older = [clip for clip in ids if film[clip] not in held]
    if champion is not None and not judged:
        raise NothingNewError(
            f"the champion has learned from all of the {len(ids)} clips in {settings.clips.annotations}; "
            "wait for more"
        )
    count = max(FEWEST, round(options.validation * len(older)))
    validation = {film[clip] for clip in older[-count:]}
    parts = {
        "train": [clip for clip in older if film[clip] not in validation],
        "validation": [clip for clip in older if film[clip] in validation],
        "test": judged,
    }
    if empty := [name for name, part in parts.items() if not part]:
        raise InputError(
            f"judge.clips={options.clips}: of {len(ids)} clips {len(judged)} are to judge, which leaves none "
            f"for {' and '.join(empty)}. Wait for more clips, or lower judge.clips"
        )
    return _lists(parts, len(ids), folder)


def _clips_since(settings: Settings, options: JudgeOptions, known: Sequence[str], folder: Path) -> SplitPlan:
    """The newest `judge.clips` of all clips that are not known."""
    from pipelines.captions.data import read_corpus

    ids = list(read_corpus(settings.clips).clips)
    before = set(known)
    new = [clip for clip in ids if clip not in before]
    old = [clip for clip in ids if clip in before]
    if not new or len(old) < 2:
        raise InputError(f"of {len(ids)} clips {len(new)} are new: wait for more")
    return _lists({"train": old[:1], "validation": old[1:2], "test": new[-options.clips :]}, len(ids), folder)


def _lists(parts: Mapping[str, Sequence[str]], total: int, folder: Path) -> SplitPlan:
    """The lists written into `folder`, and the words that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["data.split.kind=lists"]
    for name in SPLITS:
        path = folder.absolute() / f"{name}.txt"
        write_text(path, "".join(f"{clip}\n" for clip in parts[name]))
        words.append(f"data.split.{name}={json.dumps(str(path))}")
    return SplitPlan(tuple(words), tuple(parts["test"]), str(total), len(parts["test"]))
