"""Glue between the captioner and Lightning: step, log, optimise, write sentences."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from datamodules.batches import ClipBatch
from lightning_modules.caption_losses import concept_loss, cross_entropy
from lightning_modules.caption_options import CaptionOptions, DecodingOptions
from lightning_modules.captioner import Captioner
from lightning_modules.clip_sentences import ClipSentences, clip_sentences, gathered
from lightning_modules.metrics.captions.cider import CiderReferences
from lightning_modules.metrics.captions.written import WrittenSentences
from lightning_modules.optimization import Optimized
from lightning_modules.options import OptimizerOptions
from lightning_modules.pace import training_share
from lightning_modules.schedules import own_share
from lightning_modules.self_critical import Reward, criticise

log = logging.getLogger(__name__)


class CaptioningModule(Optimized):
    """Trains a `Captioner`, and judges it by the sentences that it writes.

    spell: the sentence of word tokens, tokenised as the references are
    references: of each split, (clip, reference) tokenised sentences; a clip's place is its number
    test_sentences: after a test, by the clip's number, what was written of it, on every rank
    validated_at: the optimiser step at which the weights were validated last; None before that
    monitor, mode: the figure that chooses the checkpoint, and which way it improves
    """

    model: Captioner
    monitor = "validation/cider"
    mode = "max"

    def __init__(
        self,
        model: Captioner,
        task: CaptionOptions,
        optimizer: OptimizerOptions,
        spell: Callable[[list[int]], str],
        references: Mapping[str, Sequence[Sequence[str]]],
    ) -> None:
        super().__init__()
        self.model, self.task, self.options = model, task, optimizer
        self.spell, self.references = spell, references
        self.written = WrittenSentences(len(references.get("validation", ())), task.decoding.max_words)
        self.test_sentences: dict[int, ClipSentences] = {}

    @cached_property
    def reward(self) -> Reward:
        """CIDEr-D against the training captions, prepared once."""
        return Reward(self.references["train"], self.spell)

    @cached_property
    def judge(self) -> CiderReferences:
        """The references of the validation split, prepared once."""
        return CiderReferences(self.references["validation"])

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """The loss that the task names."""
        if self.task.objective == "self_critical":
            words, samples = self.task.decoding.max_words, self.task.reward_samples
            found = criticise(self.model, batch, self.reward, samples=samples, max_words=words)
            self.tell(len(batch.clip), reward=found.reward, baseline=found.baseline, loss=found.loss)
            return found.loss
        sampling = self.task.scheduled_sampling
        share = own_share(sampling, training_share(self.trainer))
        said = self.model(batch, share, sampling.per)
        loss = cross_entropy(said.logits, batch.tokens, self.task.label_smoothing)
        self.tell(len(batch.clip), loss=loss)
        if said.concepts is None:
            return loss
        missed = concept_loss(said.concepts, batch.tokens)
        self.tell(len(batch.clip), concepts=missed)
        return loss + self.model.concept_weight * missed

    def on_validation_epoch_start(self) -> None:
        """Every rank has something to gather, be it no clip."""
        nothing = torch.zeros(0, 1, dtype=torch.int64, device=self.device)
        self.written.update(nothing, nothing[:, 0])

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """Write a sentence of each clip, greedily."""
        greedy = DecodingOptions(method="greedy", n_best=1, max_words=self.task.decoding.max_words)
        found = self.model.write(self.model.remember(batch), greedy)
        self.written.update(found.tokens[:, 0], batch.clip)

    def on_validation_epoch_end(self) -> None:
        """Log CIDEr of the sentences, which chooses the checkpoint, and how long they are."""
        self.validated_at = self.global_step
        sentences, missing = self.written.compute()
        if missing and self.trainer.is_global_zero:
            log.warning(
                "validation/cider is over %d of %d clips; the first that is missing is number %d",
                len(sentences),
                self.written.clips,
                missing[0],
            )
        spelled = [self.spell(words) for words in sentences.values()]
        cider_d = float(np.mean(self.judge.cider_d(spelled, list(sentences)))) if spelled else 0.0
        words = float(np.mean([len(sentence.split()) for sentence in spelled])) if spelled else 0.0
        for name, value in (("cider", cider_d), ("mean_words", words)):
            self.log(f"validation/{name}", value, sync_dist=True)
        self.written.reset()

    def test_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """Write the sentences of each clip as the task decodes."""
        self.test_sentences |= self.predict_step(batch, batch_idx)

    def on_test_epoch_start(self) -> None:
        """Forget an earlier test."""
        self.test_sentences = {}

    def on_test_epoch_end(self) -> None:
        """Gather what all ranks wrote."""
        self.test_sentences = gathered(self.test_sentences)

    def predict_step(self, batch: ClipBatch, batch_idx: int) -> dict[int, ClipSentences]:
        """By the clip's number, its sentences, as the task decodes."""
        found = self.model.write(self.model.remember(batch), self.task.decoding)
        return clip_sentences(found, batch)
