"""A recurrent network that looks at the frames before every word."""

from typing import cast

import torch
from torch import Tensor, nn

from lightning_modules.caption_options import WordDecoderOptions
from lightning_modules.decoders.attention import Memory, Prepared, build_attention, masked_mean
from lightning_modules.decoders.word_steps import WordState, advance_hypotheses
from lightning_modules.options import RecurrentOptions
from lightning_modules.recurrent.stack import RecurrentStack, State


class AttendingNetwork(nn.Module):
    """State of the top layer -> where to look -> recurrent stack reads word and context -> deep output.

    The first state is tanh of a linear map of the mean memory (Xu et al. 2015, section 3.1.2). The deep
    output (Pascanu et al. 2014; Xu et al. 2015, eq. 7) is tanh of a linear map of state, context and
    embedding together, as wide as the state.
    """

    def __init__(self, options: WordDecoderOptions, memory_width: int) -> None:
        super().__init__()
        hidden, self.layers = options.hidden, options.layers
        self.attention = build_attention(options.attention, hidden, memory_width, options.attention_size)
        self.recurrent = RecurrentStack(
            RecurrentOptions(kind=options.kind, hidden=hidden, layers=options.layers),
            options.embedding + memory_width,
            wraps=False,
        )
        self.states = 2 if options.kind == "lstm" else 1
        self.first = nn.Linear(memory_width, self.layers * self.states * hidden)
        self.deep = nn.Linear(hidden + memory_width + options.embedding, hidden)

    def begin(self, memory: Memory) -> tuple[Prepared, State]:
        """The memory prepared, and the state before the first word, of one hypothesis a clip."""
        parts = torch.tanh(self.first(masked_mean(memory)))[:, None].chunk(self.layers * self.states, dim=-1)
        state = tuple(parts[n : n + self.states] for n in range(0, len(parts), self.states))
        return self.attention.prepare(memory), state

    def advance(
        self, embedded: Tensor, state: WordState, prepared: Prepared
    ) -> tuple[Tensor, WordState, Tensor]:
        """Output (batch, beam, hidden), state, attention after reading words (batch, beam, embedding)."""
        output, context, state, weights = self._look_and_read(embedded, cast(State, state), prepared)
        return self._deepen(output, context, embedded), state, weights

    def read(self, embedded: Tensor, state: WordState, prepared: Prepared) -> Tensor:
        """Outputs (batch, caption, token, hidden) of whole captions (batch, caption, token, embedding).

        state: of one hypothesis a clip, as `begin` gives it. The deep output is computed for all at once.
        """
        captions = embedded.shape[1]
        state = tuple(tuple(part.expand(-1, captions, -1) for part in layer) for layer in cast(State, state))
        outputs, contexts = [], []
        for word in embedded.unbind(2):
            output, context, state, _ = self._look_and_read(word, state, prepared)
            outputs.append(output)
            contexts.append(context)
        return self._deepen(torch.stack(outputs, dim=2), torch.stack(contexts, dim=2), embedded)

    def _look_and_read(
        self, embedded: Tensor, state: State, prepared: Prepared
    ) -> tuple[Tensor, Tensor, State, Tensor]:
        """Output (batch, beam, hidden), context (batch, beam, width), state, attention of one word."""
        context, weights = self.attention(state[-1][0], prepared)
        inputs = torch.cat([embedded, context], dim=-1)
        output, state = advance_hypotheses(self.recurrent, inputs, state)
        return output, context, state, weights

    def _deepen(self, output: Tensor, context: Tensor, embedded: Tensor) -> Tensor:
        return torch.tanh(self.deep(torch.cat([output, context, embedded], dim=-1)))
