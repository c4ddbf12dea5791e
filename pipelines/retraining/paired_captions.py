"""The same clips captioned by champion and challenger: scores of each clip, whole and by slices."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import InputError
from datamodules.video.clips import CaptionedClip
from lightning_modules.metrics.captions.cider import CiderReferences
from lightning_modules.metrics.captions.facts import named
from lightning_modules.metrics.captions.java import JavaError
from lightning_modules.metrics.captions.rouge import RougeReferences
from pipelines.captions.data import found_clips, read_corpus, read_facts
from pipelines.captions.predict import Writer
from pipelines.captions.tokenisers import tokenised, tokeniser
from pipelines.retraining.champion_data import settings_of
from pipelines.retraining.paired import Cell, Paired
from pipelines.retraining.splits import JudgeOptions
from pipelines.rundir import RunDir, write_json
from pipelines.settings import Settings

WHOLE = "all"
SENTENCES = "sentences.json"
"""In the folder of the shot: what both wrote for each judged clip."""
UNITS = {"cider_d": "0 to 10", "rouge_l": "0 to 1", "facts": "share named right"}


def paired_captions(
    champion: RunDir, challenger: RunDir, settings: Settings, folder: Path, options: JudgeOptions
) -> Paired:
    """CIDEr-D and ROUGE-L of both for each test clip of `settings`, with the idf of all judged references.

    Slices: clips with long and with short captions, split at the median; and of data.facts whether the
    sentence names each right (1 or 0; NaN where a clip has no such fact).
    """
    clips = judged_clips(settings)
    said = [write_sentences(run, settings, clips) for run in (champion, challenger)]
    _keep(folder, clips, said)
    tokenise = tokeniser(settings.captions.tokenizer)
    try:
        references = tokenised([list(clip.captions) for clip in clips], tokenise)
        hypotheses = [tokenise(one) for one in said]
    except JavaError as error:
        raise InputError(f"task.tokenizer=ptb: {error}; or choose task.tokenizer=words") from error
    cells = [Cell("cider_d", "", WHOLE), Cell("rouge_l", "", WHOLE)]
    cider, rouge = CiderReferences(references), RougeReferences(references)
    columns = [[cider.cider_d(one), rouge.rouge_l(one)] for one in hypotheses]
    if "length" in options.slices:
        for name, inside in _by_length(references).items():
            cells.append(Cell("cider_d", "", name))
            for column in columns:
                column.append(np.where(inside, column[0], np.nan))
    if "facts" in options.slices and settings.clips.facts is not None:
        for name, values in _facts_of(settings, clips).items():
            cells.append(Cell("facts", "", name))
            for column, sentences in zip(columns, said, strict=True):
                column.append(_right(sentences, name, values))
    scores = [np.stack(column, axis=1) for column in columns]
    ids = tuple(clip.id for clip in clips)
    return Paired(ids, tuple(cells), scores[0], scores[1], "mean", 1, dict(UNITS))


def judged_clips(settings: Settings) -> list[CaptionedClip]:
    """The readable clips of the test list, in the order of the annotations.

    Errors: InputError where there is none, or, with bad_clips=error, where one cannot be read.
    """
    from datamodules.video.splits import split_clips

    options = settings.clips
    corpus = read_corpus(options)
    ids = split_clips(corpus, options.split, settings.seed)["test"]
    clips, bad = found_clips(options, corpus, ids, Path(settings.paths.stores))
    if not clips or (bad and options.bad_clips == "error"):
        told = "; ".join(f"{clip}: {reason}" for clip, reason in list(bad.items())[:5])
        raise InputError(f"data.path={options.path}: {len(bad)} judged clips cannot be read: {told}")
    return [clips[clip] for clip in ids if clip in clips]


def write_sentences(run: RunDir, settings: Settings, clips: Sequence[CaptionedClip]) -> list[str]:
    """The sentence of a run's best checkpoint for each clip, read as its own settings say."""
    own = settings_of(run)
    here = own.model_copy(update={"trainer": settings.trainer, "paths": settings.paths})
    return [one.sentence for one in Writer(here, run, run.best).write(clips)]


def _keep(folder: Path, clips: Sequence[CaptionedClip], said: Sequence[Sequence[str]]) -> None:
    """Publish the sentences of both."""
    rows = [
        {"clip": clip.id, "champion": one, "challenger": other, "references": list(clip.captions)}
        for clip, one, other in zip(clips, *said, strict=True)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / SENTENCES, rows)


def kept_sentences(folder: Path) -> list[dict[str, Any]]:
    """What `paired_captions` has kept: clip, champion, challenger, references."""
    found: list[dict[str, Any]] = json.loads((folder / SENTENCES).read_text(encoding="utf-8"))
    return found


def _by_length(references: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
    """Which clips have long and which have short captions, by the median of their mean words."""
    words = np.array([np.mean([len(text.split()) for text in texts]) for texts in references])
    long = words > np.median(words)
    return {"long captions": long, "short captions": ~long} if long.any() else {}


def _facts_of(settings: Settings, clips: Sequence[CaptionedClip]) -> Mapping[str, list[str]]:
    """The facts of the clips by column; empty where a clip has none."""
    facts = read_facts(Path(str(settings.clips.facts)))
    return {name: [values.get(clip.id, "") for clip in clips] for name, values in facts.items()}


def _right(sentences: Sequence[str], name: str, values: Sequence[str]) -> np.ndarray:
    """1 where a sentence names the fact rightly, 0 where not, NaN where the clip has none; (clip,) float64.

    Each sentence is judged by `named` beside empty ones for every value that the column has.
    """
    others = sorted({value for value in values if value.strip()})
    found = np.full(len(values), np.nan)
    for place, value in enumerate(values):
        if value.strip():
            share = named([sentences[place], *[""] * len(others)], {name: [value, *others]})[name]
            found[place] = round(share * (len(others) + 1))
    return found
