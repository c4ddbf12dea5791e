"""The whole captioner: CNN per frame -> recurrent network over frames -> recurrent network over words."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from datamodules.batches import ClipBatch
from lightning_modules.caption_options import CaptionerOptions, DecodingOptions
from lightning_modules.decoders.attention import Memory, masked_mean
from lightning_modules.decoders.search.sentences import Sentences
from lightning_modules.decoders.search.write import write_sentences
from lightning_modules.decoders.words import WordDecoder
from lightning_modules.encoders.frames import FrameEncoder
from lightning_modules.recurrent.frame_reader import FrameReader


class Spoken(NamedTuple):
    """What a captioner says in training.

    logits:   (batch, caption, token - 1, word) of each next word
    concepts: (batch, word) logits of the words that the clip's captions hold; None where that is not learnt
    """

    logits: Tensor
    concepts: Tensor | None


class Captioner(nn.Module):
    """Sentences from clips.

    words: size of the vocabulary
    size: pixels across and down of the frames
    feature_shape: (cell, feature) of stored features, which are read instead of frames; None reads frames.
        The features of a frozen encoder, stored or made from frames, meet the same network behind it.
    pretrained: False leaves `options.encoder.weights` alone, where a checkpoint will bring the weights

    Errors: ValueError for an encoder that cannot be had, or that does not go with the rest.
    """

    def __init__(
        self,
        options: CaptionerOptions,
        words: int,
        size: int,
        feature_shape: tuple[int, int] | None = None,
        *,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.encoder: FrameEncoder | None = None
        if feature_shape is None:
            self.encoder = FrameEncoder(options.encoder, size, pretrained=pretrained)
            feature_shape = (self.encoder.cells, self.encoder.width)
        self.feature_shape = feature_shape
        fixed = self.encoder is None or self.encoder.frozen
        self.reader = FrameReader(options, feature_shape, fixed=fixed)
        self.decoder = WordDecoder(options.decoder, words, self.reader.width)
        self.concept_weight = options.concepts
        self.concepts = nn.Linear(self.reader.width, words) if options.concepts else None

    def remember(self, batch: ClipBatch) -> Memory:
        """What the decoder looks at while it writes. Errors: ValueError for features of another shape."""
        if self.encoder is not None:
            features = self.encoder(batch.frames, batch.mask)
        else:
            features = batch.features
            if features.shape[2:] != self.feature_shape:
                raise ValueError(
                    f"features of (place, feature) {tuple(features.shape[2:])} came in; this model reads "
                    f"{self.feature_shape}"
                )
        return Memory(self.reader(features, batch.mask), batch.mask)

    def forward(
        self,
        batch: ClipBatch,
        own_share: float = 0.0,
        per: str = "token",
        generator: torch.Generator | None = None,
    ) -> Spoken:
        """Logits of each next word of `batch.tokens` given those before, and of what is there at all.

        own_share: how often the word before is the model's own instead of the caption's, for each token or
            for a whole sample (`per`)
        """
        memory = self.remember(batch)
        found = None if self.concepts is None else self.concepts(masked_mean(memory))
        return Spoken(self.logits(memory, batch.tokens, own_share, per, generator), found)

    def logits(
        self,
        memory: Memory,
        tokens: Tensor,
        own_share: float = 0.0,
        per: str = "token",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """(batch, caption, token - 1, word): those of `forward`, of `tokens` (batch, caption, token), from
        what is remembered already."""
        logits: Tensor = self.decoder(memory, tokens, own_share, per, generator)
        return logits

    @torch.no_grad()
    def write(
        self, memory: Memory, options: DecodingOptions, generator: torch.Generator | None = None
    ) -> Sentences:
        """Sentences of each clip, best first, written as `options` say; put the model in `eval` mode first.

        generator: of samples (`method=sample`); None: torch's global one
        """
        prepared, state = self.decoder.begin(memory)
        found = write_sentences(
            lambda tokens, state: self.decoder.step(tokens, state, prepared),
            state,
            options,
            generator=generator,
        )
        # Autocast keeps its copies of weights, and those made here know of no gradient.
        torch.clear_autocast_cache()
        return found
