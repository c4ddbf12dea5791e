"""RNN, LSTM and GRU on vectors, a step at a time: the cells are torch's own."""

from torch import Tensor, nn


class VectorCell(nn.Module):
    """One step of `rnn` (Elman 1990), `lstm` (Hochreiter and Schmidhuber 1997) or `gru` (Cho et al. 2014)."""

    def __init__(self, kind: str, width_in: int, hidden: int) -> None:
        super().__init__()
        cells: dict[str, type[nn.RNNCell] | type[nn.LSTMCell] | type[nn.GRUCell]] = {
            "rnn": nn.RNNCell,
            "lstm": nn.LSTMCell,
            "gru": nn.GRUCell,
        }
        self.cell = cells[kind](width_in, hidden)
        self.hidden, self.states = hidden, 2 if kind == "lstm" else 1

    def initial(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Zeros for `inputs` (batch, feature): one tensor (batch, hidden), two for `lstm`."""
        return tuple(inputs.new_zeros(len(inputs), self.hidden) for _ in range(self.states))

    def forward(self, inputs: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Output (batch, hidden) and the next state, from (batch, feature) and the state."""
        found = self.cell(inputs, state if self.states == 2 else state[0])
        following = found if isinstance(found, tuple) else (found,)
        return following[0], following
