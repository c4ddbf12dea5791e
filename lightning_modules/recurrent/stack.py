"""A stack of recurrent cells with one explicit state, and the registry of its kinds."""

from typing import cast

from torch import Tensor, nn, stack

from lightning_modules.options import RecurrentOptions
from lightning_modules.recurrent.maps import ConvGRUCell, ConvLSTMCell
from lightning_modules.recurrent.vectors import VectorCell

State = tuple[tuple[Tensor, ...], ...]
"""One entry a layer, each the tensors of that cell."""
Cell = ConvLSTMCell | ConvGRUCell | VectorCell
ON_MAPS = ("convlstm", "convgru")


def reads_maps(kind: str) -> bool:
    """True for cells whose states are maps; the others read pooled vectors."""
    return kind in ON_MAPS


class RecurrentStack(nn.Module):
    """`options.layers` cells of one kind, each reading the output of the one below it."""

    def __init__(self, options: RecurrentOptions, width_in: int, *, wraps: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _cell(options, width_in if layer == 0 else options.hidden, wraps)
            for layer in range(options.layers)
        )
        self.hidden = options.hidden

    def initial(self, inputs: Tensor) -> State:
        """The state before anything was read, for inputs like `inputs` (batch, feature, ...)."""
        return tuple(cast(Cell, layer).initial(inputs) for layer in self.layers)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Output (batch, hidden, ...) of the top layer and the next state."""
        following = []
        for layer, before in zip(self.layers, state, strict=True):
            inputs, after = layer(inputs, before)
            following.append(after)
        return inputs, tuple(following)

    def read(self, sequence: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Outputs (batch, time, hidden, ...) of a sequence (batch, time, feature, ...), and the state."""
        state = self.initial(sequence[:, 0]) if state is None else state
        outputs = []
        for inputs in sequence.unbind(1):
            output, state = self(inputs, state)
            outputs.append(output)
        return stack(outputs, dim=1), state


def _cell(options: RecurrentOptions, width_in: int, wraps: bool) -> Cell:
    """One cell of the kind that `options` names."""
    if options.kind == "convlstm":
        return ConvLSTMCell(width_in, options.hidden, options.kernel, wraps=wraps)
    if options.kind == "convgru":
        return ConvGRUCell(width_in, options.hidden, options.kernel, wraps=wraps)
    return VectorCell(options.kind, width_in, options.hidden)
