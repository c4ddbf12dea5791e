"""A captioner judged on the test clips beside every reference, and what is published of it."""

import logging
from collections.abc import Sequence

import torch

from datamodules.errors import InputError
from datamodules.video.datamodule import ClipDataModule
from datamodules.video.vocabulary import Vocabulary
from lightning_modules.captioning import CaptioningModule
from lightning_modules.metrics.captions.diversity import distinct_words, mean_words, unseen_sentences
from lightning_modules.metrics.captions.facts import named
from lightning_modules.metrics.captions.human import human
from lightning_modules.metrics.captions.java import JavaError
from lightning_modules.metrics.captions.scores import References
from pipelines.captions.baselines import (
    constant_caption,
    frequent_caption,
    nearest_clips,
    typical_captions,
)
from pipelines.captions.data import ClipData
from pipelines.captions.features import clip_vectors
from pipelines.captions.publish import publish_captions
from pipelines.captions.score_table import MODEL, CaptionScores
from pipelines.captions.tokenisers import Tokenise, tokenised, tokeniser
from pipelines.captions.written import written_sentences
from pipelines.console import rank
from pipelines.lightning_trainer import build_trainer
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from pipelines.tracking.logger import JournalLogger

log = logging.getLogger(__name__)


def judge(
    settings: Settings,
    run: RunDir,
    data: ClipData,
    loaders: ClipDataModule,
    module: CaptioningModule,
    vocabulary: Vocabulary,
    logger: JournalLogger | None = None,
    *,
    publish: bool = True,
) -> CaptionScores:
    """Scores of the sentences for all test clips, each counted once; rank 0 publishes them.

    All that is gathered from the ranks is gathered here: once this returns, ranks may end.
    """
    trainer = build_trainer(settings, run, None)
    with torch.inference_mode():
        trainer.test(module, datamodule=loaders, verbose=False)
    written = written_sentences(module.test_sentences, vocabulary, data.splits["test"])
    if rank():
        return CaptionScores({MODEL: {}}, {}, len(written))
    scores = scored(settings, data, loaders, module, [one.sentence for one in written])
    if publish:
        publish_captions(run, data, settings, written, scores, logger)
    return scores


def scored(
    settings: Settings,
    data: ClipData,
    loaders: ClipDataModule,
    module: CaptioningModule,
    sentences: Sequence[str],
) -> CaptionScores:
    """Figures of the model's sentences for the test clips, and of every reference."""
    tokenise = tokeniser(settings.captions.tokenizer)
    try:
        references = tokenised([list(captions) for captions in loaders.references("test")], tokenise)
    except JavaError as error:
        raise InputError(f"task.tokenizer=ptb: {error}; or choose task.tokenizer=words") from error
    prepared = References(references)
    training = tokenise(data.training_captions())
    known = set(training)

    def figures(hypotheses: Sequence[str]) -> dict[str, float]:
        found = prepared.score(hypotheses) | _meteor(settings, hypotheses, references)
        found["distinct_words"] = distinct_words(hypotheses)
        found["unseen_sentences"] = unseen_sentences(hypotheses, known)
        found["mean_words"] = mean_words(hypotheses)
        return found

    everyone = {MODEL: figures(tokenise(sentences))}
    if people := human(references).figures:
        everyone["human"] = people
    everyone["nearest"] = figures(_nearest(settings, data, loaders, module, tokenise))
    validation = tokenised([list(captions) for captions in loaders.references("validation")], tokenise)
    everyone["constant"] = figures([constant_caption(training, validation)] * len(references))
    everyone["frequent"] = figures([frequent_caption(training)] * len(references))
    ids = loaders.ids("test")
    facts = {name: [values.get(clip, "") for clip in ids] for name, values in data.facts.items()}
    return CaptionScores(
        everyone,
        named(sentences, facts) if facts else {},
        clips=len(ids),
        missing=data.asked["test"] - len(ids),
    )


def _nearest(
    settings: Settings,
    data: ClipData,
    loaders: ClipDataModule,
    module: CaptioningModule,
    tokenise: Tokenise,
) -> list[str]:
    """For each test clip the most typical caption of the training clip that looks most like it."""
    training = tokenised([list(clip.captions) for clip in data.splits["train"]], tokenise)
    vectors = {name: clip_vectors(module.model, loaders, name) for name in ("train", "test")}
    typical = typical_captions(training)
    return [typical[place] for place in nearest_clips(vectors["test"], vectors["train"])]


def _meteor(
    settings: Settings, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, float]:
    """METEOR where the settings ask for it."""
    if not settings.captions.meteor:
        return {}
    from lightning_modules.metrics.captions.meteor import meteor

    try:
        return {"meteor": float(meteor(hypotheses, references))}
    except JavaError as error:
        log.warning("METEOR is left out: %s", error)
        return {}
