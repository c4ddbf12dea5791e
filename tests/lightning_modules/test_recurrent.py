"""State goes in and comes out: a sequence read in two parts gives what it gives in one."""

import pytest
import torch

from lightning_modules.options import RecurrentOptions
from lightning_modules.recurrent.stack import RecurrentStack


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "convlstm", "convgru"])
def test_a_sequence_in_two_parts_is_the_sequence(kind: str, layers: int) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(RecurrentOptions(kind=kind, hidden=4, layers=layers), 3, wraps=True)  # type: ignore[arg-type]
    sequence = torch.randn(2, 6, 3, *((4, 6) if kind.startswith("conv") else ()))
    whole, last = stack.read(sequence)
    first, state = stack.read(sequence[:, :4])
    second, state = stack.read(sequence[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    for one, other in zip(state, last, strict=True):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b)


def test_the_vector_cells_are_torchs_own() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(RecurrentOptions(kind="lstm", hidden=4), 3, wraps=False)
    reference = torch.nn.LSTM(3, 4, batch_first=True)
    cell = stack.layers[0].cell  # type: ignore[union-attr]
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(reference, f"{name}_l0").data.copy_(getattr(cell, name))
    sequence = torch.randn(2, 5, 3)
    torch.testing.assert_close(stack.read(sequence)[0], reference(sequence)[0])
