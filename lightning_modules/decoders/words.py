"""A sentence from a memory: words in, the next word's logits out; whole captions at once or step by step."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from datamodules.batches import PAD
from lightning_modules.caption_options import WordDecoderOptions
from lightning_modules.decoders.attention import Memory, Prepared
from lightning_modules.decoders.build_words import build_word_network
from lightning_modules.decoders.search.rules import allowed
from lightning_modules.decoders.search.sampled import draw, uniform
from lightning_modules.decoders.word_steps import WordState, WordStep, reorder


class WordDecoder(nn.Module):
    """Embedding -> dropout -> network of `options.form` -> dropout -> a last layer over all words.

    words: size of the vocabulary, the tokens with a meaning of their own included
    memory_width: of the memory's vectors

    With `options.tie` the embedding is also the last layer's matrix (Press and Wolf 2017), after a linear map
    where the state is not as wide as the embedding; it is then read times sqrt(embedding) (Vaswani et al.
    2017, section 3.4), so that words enter as large as without.
    """

    def __init__(self, options: WordDecoderOptions, words: int, memory_width: int) -> None:
        super().__init__()
        hidden, width = options.hidden, options.embedding
        self.embedding = nn.Embedding(words, width, padding_idx=PAD)
        self.network = build_word_network(options, memory_width)
        self.dropout = nn.Dropout(options.dropout)
        self.project = nn.Linear(hidden, width) if options.tie and hidden != width else nn.Identity()
        self.last = nn.Linear(width if options.tie else hidden, words)
        self.scale = 1.0
        if options.tie:
            self.scale = width**0.5
            with torch.no_grad():
                self.embedding.weight /= self.scale
            self.last.weight = self.embedding.weight

    def begin(self, memory: Memory) -> tuple[Prepared, WordState]:
        """The memory prepared for every step, and the state (batch, beam of 1, ...) before the first word."""
        return cast(tuple[Prepared, WordState], self.network.begin(memory))

    def step(self, tokens: Tensor, state: WordState, prepared: Prepared) -> WordStep:
        """Logits, state and attention after reading tokens (batch, beam), the first of which are BEGIN."""
        output, state, attention = self.network.advance(self._read(tokens), state, prepared)
        return WordStep(self._write(output), state, attention)

    def forward(
        self,
        memory: Memory,
        tokens: Tensor,
        own_share: float = 0.0,
        per: str = "token",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Logits (batch, caption, token - 1, word) of each caption's next token, from those before it.

        tokens: (batch, caption, token) int64: BEGIN, words, END, then PAD
        own_share: probability in [0, 1] that a word is read from the decoder's own sentence, drawn from its
            distribution without gradients, instead of the caption (scheduled sampling, Bengio et al. 2015)
        per: token (each word by itself) or sample (a whole caption)
        generator: of these draws; None is torch's own
        """
        prepared, state = self.begin(memory)
        tokens = tokens[:, :, :-1]
        if own_share == 0:
            return self._write(self.network.read(self._read(tokens), state, prepared))
        if per not in ("token", "sample"):
            raise ValueError(f"scheduled sampling is per {per!r}; choose token or sample")
        coins = tokens.shape if per == "token" else (*tokens.shape[:2], 1)
        own = (uniform(coins, tokens.device, generator) < own_share).expand(tokens.shape)
        state = reorder(state, tokens.new_zeros(tokens.shape[:2]))
        words = tokens[:, :, 0]
        outputs: list[Tensor] = []
        for position in range(tokens.shape[-1]):
            if position:
                drawn = draw(allowed(outputs[-1].detach(), tokens[:, :, :0]), generator)
                words = torch.where(own[:, :, position], drawn, tokens[:, :, position])
            found = self.step(words, state, prepared)
            outputs.append(found.logits)
            state = found.state
        return torch.stack(outputs, dim=2)

    def _read(self, tokens: Tensor) -> Tensor:
        """Vectors (..., embedding) of tokens (...)."""
        return self.dropout(functional.embedding(tokens, self.embedding.weight, PAD) * self.scale)

    def _write(self, output: Tensor) -> Tensor:
        """Logits (..., word) of outputs (..., hidden)."""
        return self.last(self.dropout(self.project(output)))
