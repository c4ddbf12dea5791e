"""From settings and clips to a captioning module; and what of it a run directory keeps."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from datamodules.errors import InputError
from datamodules.video.feature_store import FeatureSource
from datamodules.video.vocabulary import Vocabulary, load_vocabulary, save_vocabulary
from datamodules.video.words import split_words
from lightning_modules.captioner import Captioner
from lightning_modules.captioning import CaptioningModule
from lightning_modules.encoders.frames import FrameEncoder
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from pipelines.weights import read_tensors

log = logging.getLogger(__name__)


def kept_vocabulary(run: RunDir) -> Path:
    """What the sentences of the run are spelt with."""
    return run.path / "model" / "vocabulary.json"


def kept_encoder(run: RunDir) -> Path:
    """The frozen encoder that made the run's features; absent where the checkpoint holds the encoder."""
    return run.path / "model" / "encoder.ckpt"


def frame_encoder(settings: Settings, weights: Path | None = None) -> FrameEncoder:
    """The CNN alone: the same settings and seed give the same weights, or those that a run kept.

    Errors: InputError for an unknown backbone, weights that cannot be had or do not fit.
    """
    torch.manual_seed(settings.seed)
    options, size = settings.captioner.encoder, settings.clips.frames.size
    try:
        encoder = FrameEncoder(options, size, pretrained=weights is None)
    except ValueError as error:
        raise InputError(f"model.encoder: {error}") from error
    if weights is not None:
        encoder.load_state_dict(read_tensors(weights)["state_dict"])
    return encoder.eval()


def keep_model(
    run: RunDir, vocabulary: Vocabulary, settings: Settings, features: FeatureSource | None
) -> None:
    """Leave in the run directory what a prediction needs besides the checkpoint; published by rename.

    Features made by the run's own frozen encoder: the encoder, since no checkpoint holds it.
    Errors: InputError when a run that has begun would go on with other words than its weights know.
    """
    if run.last.exists() and vocabulary_of(run).digest != vocabulary.digest:
        raise InputError(
            f"{run.path}: its training captions are no longer those that it began with, and their words are "
            "others than its weights know. Put data.annotations back as they were, give this run its own "
            "name with run.name=, or begin again with run.restart=true"
        )
    kept_vocabulary(run).parent.mkdir(parents=True, exist_ok=True)
    save_vocabulary(vocabulary, kept_vocabulary(run))
    if features is None or settings.clips.features != "store":
        return
    beside = kept_encoder(run).with_suffix(".part")
    torch.save({"state_dict": frame_encoder(settings).state_dict()}, beside)
    beside.replace(kept_encoder(run))


def vocabulary_of(run: RunDir) -> Vocabulary:
    """The run's vocabulary. Errors: InputError when the run directory does not hold it whole."""
    return load_vocabulary(kept_vocabulary(run))


def build_module(
    settings: Settings,
    vocabulary: Vocabulary,
    feature_shape: tuple[int, int] | None,
    references: Mapping[str, Sequence[Sequence[str]]],
    *,
    pretrained: bool = True,
) -> CaptioningModule:
    """An untrained module: same settings and seed, same weights.

    feature_shape: (cell, feature) of stored features, None from pixels.
    references: split -> clip -> references, tokenised as `words`: validation and rewards are counted with
        them.
    Errors: InputError for an encoder that cannot be had.
    """
    torch.manual_seed(settings.seed)
    try:
        model = Captioner(
            settings.captioner,
            vocabulary.size,
            settings.clips.frames.size,
            feature_shape,
            pretrained=pretrained,
        )
        spell = partial(_spelt, vocabulary)
        module = CaptioningModule(model, settings.captions, settings.optimizer, spell, references)
    except ValueError as error:
        raise InputError(f"model: {error}") from error
    learnt = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    encoder, decoder = settings.captioner.encoder, settings.captioner.decoder
    reader = settings.captioner.recurrent
    log.info(
        "%s encoder%s, %s over frames, %s %s: %s parameters to learn, %s known pieces",
        encoder.backbone if encoder.kind == "torchvision" else encoder.kind,
        " (frozen)" if encoder.frozen else "",
        reader.kind if reader is not None else "nothing",
        decoder.kind,
        "with S2VT" if decoder.form == "s2vt" else f"with {decoder.attention} attention",
        f"{learnt:,}",
        f"{vocabulary.size:,}",
    )
    return module


def _spelt(vocabulary: Vocabulary, tokens: list[int]) -> str:
    """The sentence of word tokens, tokenised as `words`, whatever the vocabulary makes of case."""
    return " ".join(split_words(vocabulary.decode(tokens)))
