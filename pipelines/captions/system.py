"""Captions as the verbs see them: clips, a vocabulary, a captioner, its scores."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.errors import InputError
from datamodules.video.datamodule import ClipDataModule
from datamodules.video.vocabulary import Vocabulary
from lightning_modules.captioning import CaptioningModule
from lightning_modules.encoders.backbones import check_backbone
from pipelines.captions.data import ClipData, open_clips
from pipelines.captions.features import open_features
from pipelines.captions.judge import judge
from pipelines.captions.model import build_module, keep_model, vocabulary_of
from pipelines.captions.publish import write_bad_clips
from pipelines.captions.score_table import CaptionScores, read_scores
from pipelines.captions.tokenisers import tokenised, tokeniser
from pipelines.console import rank
from pipelines.find_run import find_run
from pipelines.rundir import RunDir, read_metrics
from pipelines.settings import Settings
from pipelines.systems import SplitRecord
from pipelines.tracking.logger import JournalLogger
from pipelines.weights import load_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class CaptionSystem:
    """Captioned clips and what the verbs do with them (see `pipelines.systems.System`)."""

    settings: Settings
    data: ClipData
    clips: ClipDataModule

    @classmethod
    def open(cls, settings: Settings) -> "CaptionSystem":
        """Read the captions, open every clip once, and make stored features where they are asked for.

        Errors: InputError as `open_clips` and `open_features` raise it.
        """
        options, encoder = settings.clips, settings.captioner.encoder
        if encoder.kind == "torchvision":
            _require_backbone(encoder.backbone)
        data = open_clips(options, Path(settings.paths.stores), settings.seed, _vocabulary_of_start(settings))
        features = open_features(settings, data)
        clips = ClipDataModule(
            data.splits,
            data.vocabulary,
            frames=options.frames,
            features=features,
            captions_per_clip=options.captions_per_clip,
            max_words=options.max_words,
            batch_size=options.batch_size,
            workers=options.workers,
            seed=settings.seed,
        )
        if options.split.kind == "whole":
            log.warning("data.split.kind=whole: every clip trains and tests; the scores are of memory alone")
        return cls(settings, data, clips)

    def about(self) -> dict[str, Any]:
        """What provenance says of the data."""
        features = self.clips.features
        return {
            "name": self.settings.clips.name,
            "digest": self.data.digest,
            "sources": [str(path) for path in self.data.sources],
            "vocabulary": {"digest": self.data.vocabulary.digest, "size": self.data.vocabulary.size},
            "features": None if features is None else features.digest,
            "splits": {name: len(clips) for name, clips in self.data.splits.items()},
            "asked": dict(self.data.asked),
            "bad_clips": len(self.data.bad),
        }

    def records(self) -> Iterator[SplitRecord]:
        """One record a split."""
        options = self.settings.clips
        for split, clips in self.data.splits.items():
            profile = {"clips": len(clips), "captions": sum(len(clip.captions) for clip in clips)}
            yield SplitRecord(f"{options.name}-{split}", self.data.digest, options.path, split, profile)

    def loaders(self) -> ClipDataModule:
        """Clips of each split."""
        return self.clips

    def counts(self) -> str:
        """How many clips each split has, and how many captions there are to learn from."""
        train, validation, test = (f"{self.clips.counts[name]:,}" for name in ("train", "validation", "test"))
        captions = sum(len(clip.captions) for clip in self.data.splits["train"])
        return f"{train} training clips ({captions:,} captions), {validation} validation, {test} test"

    def new_module(self, run: RunDir) -> CaptioningModule:
        """An untrained module; the vocabulary, and a frozen encoder apart, are kept in the run directory."""
        features = self.clips.features
        if self.settings.captions.objective == "self_critical" and self.settings.start is None:
            log.warning(
                "task.objective=self_critical without start=: random sentences earn next to no reward; "
                "train with task=caption first, and name that run as start=RUNDIR"
            )
        if not rank():
            keep_model(run, self.data.vocabulary, self.settings, features)
            write_bad_clips(run, self.data.bad)
        if self.data.vocabulary.size < 6:
            raise InputError("data.vocabulary: training captions hold hardly any word; lower min_count")
        return self._module(self.data.vocabulary)

    def _module(self, vocabulary: Vocabulary, *, pretrained: bool = True) -> CaptioningModule:
        """A module that spells with `vocabulary` and judges itself by the captions of each split."""
        tokenise = tokeniser("words")
        wanted = ["validation", *(["train"] if self.settings.captions.objective == "self_critical" else [])]
        references = {name: tokenised(self.clips.references(name), tokenise) for name in wanted}
        features = self.clips.features
        shape = None if features is None else (features.cells, features.width)
        return build_module(self.settings, vocabulary, shape, references, pretrained=pretrained)

    def judge(
        self, run: RunDir, checkpoint: Path, logger: JournalLogger | None = None, *, publish: bool = True
    ) -> CaptionScores:
        """Scores over all test clips beside every reference."""
        vocabulary = vocabulary_of(run)
        module = load_weights(self._module(vocabulary, pretrained=False), checkpoint)
        return judge(self.settings, run, self.data, self.clips, module, vocabulary, logger, publish=publish)

    def found_before(self, run: RunDir) -> CaptionScores:
        """What a finished run found."""
        return read_scores(read_metrics(run.metrics))

    def next_steps(self, program: str, place: Path, words: str) -> list[str]:
        """What to try next."""
        other = "s2vt" if self.settings.captioner.decoder.form != "s2vt" else "captioner"
        return [
            f"everything of this run is in {place}: metrics.json, scores.csv, predictions/, plots/, log.txt",
            "next:",
            f"  {program} predict run={place} input='clips/*.mp4' output=captions.json    # your own clips",
            f"  {program} train {words} model={other}    # another network, side by side in MLflow",
            "  make ui    # the runs in MLflow",
        ]


def _require_backbone(name: str) -> None:
    """Return when torchvision has a CNN of this name. Errors: InputError with near names."""
    try:
        check_backbone(name)
    except ValueError as error:
        raise InputError(str(error)) from error


def _vocabulary_of_start(settings: Settings) -> Vocabulary | None:
    """The vocabulary of the run whose weights this one begins from: its words are its rows of weights."""
    if settings.start is None:
        return None
    named = Path(settings.start).expanduser()
    try:
        if not named.is_file():
            return vocabulary_of(find_run(settings.start, Path(settings.paths.runs)))
        return vocabulary_of(RunDir(named.absolute().parent.parent))
    except InputError as error:
        raise InputError(
            f"start={settings.start}: the words that these weights know are in model/vocabulary.json of "
            f"their run; name a run directory, or a checkpoint within one ({error})"
        ) from error
