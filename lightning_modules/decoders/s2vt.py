"""Sequence to sequence, video to text: two layers read all frames, then write (Venugopalan et al. 2015)."""

from typing import cast

import torch
from torch import Tensor, nn

from lightning_modules.caption_options import WordDecoderOptions
from lightning_modules.decoders.attention import Memory, Prepared, even_weights
from lightning_modules.decoders.word_steps import WordState, advance_hypotheses
from lightning_modules.options import RecurrentOptions
from lightning_modules.recurrent.stack import RecurrentStack, State

Pair = tuple[State, State]
"""The states of the layer that reads frames and of the layer that reads words."""


class TwoLayerNetwork(nn.Module):
    """The first layer reads frames, the second reads the first beside words (section 3, figure 2).

    While frames are read there are no words, and while words are written there are no frames: zeros stand for
    both. A clip's states rest once its own frames are over, so that padding changes nothing. Cells of a
    frame are averaged. It looks nowhere in particular: its attention is even over the frames.
    """

    def __init__(self, options: WordDecoderOptions, memory_width: int) -> None:
        super().__init__()
        layer = RecurrentOptions(kind=options.kind, hidden=options.hidden, layers=1)
        self.embedding = options.embedding
        self.enter = nn.Linear(memory_width, options.embedding)
        self.frames = RecurrentStack(layer, options.embedding, wraps=False)
        self.words = RecurrentStack(layer, options.embedding + options.hidden, wraps=False)

    def begin(self, memory: Memory) -> tuple[Prepared, Pair]:
        """The memory's mask, and the states after all frames, of one hypothesis a clip."""
        cleared = memory.values.masked_fill(~memory.mask[:, :, None, None], 0.0).mean(dim=2)
        frames = self.enter(cleared)
        silence = frames.new_zeros(len(frames), self.embedding)
        upper, lower = self.frames.initial(silence), self.words.initial(silence)
        for frame, counts in zip(frames.unbind(1), memory.mask.unbind(1), strict=True):
            output, next_upper = self.frames(frame, upper)
            _, next_lower = self.words(torch.cat([silence, output], dim=-1), lower)
            upper, lower = _where(counts, next_upper, upper), _where(counts, next_lower, lower)
        state = tuple(tuple(tuple(part[:, None] for part in at) for at in layer) for layer in (upper, lower))
        return Prepared(cleared, memory.mask, memory.values.shape[2], ()), cast(Pair, state)

    def advance(
        self, embedded: Tensor, state: WordState, prepared: Prepared
    ) -> tuple[Tensor, WordState, Tensor]:
        """Output (batch, beam, hidden), state, attention after reading words (batch, beam, embedding)."""
        upper, lower = cast(Pair, state)
        output, upper = advance_hypotheses(self.frames, torch.zeros_like(embedded), upper)
        output, lower = advance_hypotheses(self.words, torch.cat([embedded, output], dim=-1), lower)
        return output, (upper, lower), even_weights(prepared, embedded.shape[1])

    def read(self, embedded: Tensor, state: WordState, prepared: Prepared) -> Tensor:
        """Outputs (batch, caption, token, hidden) of whole captions (batch, caption, token, embedding).

        state: of one hypothesis a clip, as `begin` gives it. The layer that reads frames hears no words, so
        it runs once a clip.
        """
        upper, lower = cast(Pair, state)
        captions, tokens = embedded.shape[1:3]
        lower = tuple(tuple(part.expand(-1, captions, -1) for part in layer) for layer in lower)
        silence = embedded.new_zeros(len(embedded), 1, self.embedding)
        outputs = []
        for token in range(tokens):
            above, upper = advance_hypotheses(self.frames, silence, upper)
            inputs = torch.cat([embedded[:, :, token], above.expand(-1, captions, -1)], dim=-1)
            output, lower = advance_hypotheses(self.words, inputs, lower)
            outputs.append(output)
        return torch.stack(outputs, dim=2)


def _where(counts: Tensor, after: State, before: State) -> State:
    """State `after` for the clips whose frame counts (batch,), `before` for the others."""
    return tuple(
        tuple(torch.where(counts[:, None], new, old) for new, old in zip(*layer, strict=True))
        for layer in zip(after, before, strict=True)
    )
