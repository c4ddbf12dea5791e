"""ConvLSTM and ConvGRU: recurrent cells whose states are maps."""

import torch
from torch import Tensor, nn

from lightning_modules.planet import PlanetConv2d


class ConvLSTMCell(nn.Module):
    """One step of a convolutional LSTM (Shi et al. 2015, eq. 3, without peepholes)."""

    def __init__(self, channels_in: int, hidden: int, kernel: int, *, wraps: bool) -> None:
        super().__init__()
        self.gates = PlanetConv2d(channels_in + hidden, 4 * hidden, kernel, wraps=wraps)
        self.hidden = hidden

    def initial(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Zeros for `inputs` (batch, feature, lat, lon): hidden and cell maps (batch, hidden, lat, lon)."""
        zeros = inputs.new_zeros(len(inputs), self.hidden, *inputs.shape[-2:])
        return zeros, zeros

    def forward(self, inputs: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Output (batch, hidden, lat, lon) and the next state, from (batch, feature, lat, lon) and state."""
        hidden, cell = state
        enter, forget, leave, fresh = self.gates(torch.cat([inputs, hidden], dim=1)).chunk(4, dim=1)
        cell = torch.sigmoid(forget + 1.0) * cell + torch.sigmoid(enter) * torch.tanh(fresh)
        hidden = torch.sigmoid(leave) * torch.tanh(cell)
        return hidden, (hidden, cell)


class ConvGRUCell(nn.Module):
    """One step of a convolutional GRU (Ballas et al. 2016, eq. 6 to 9)."""

    def __init__(self, channels_in: int, hidden: int, kernel: int, *, wraps: bool) -> None:
        super().__init__()
        self.gates = PlanetConv2d(channels_in + hidden, 2 * hidden, kernel, wraps=wraps)
        self.fresh = PlanetConv2d(channels_in + hidden, hidden, kernel, wraps=wraps)
        self.hidden = hidden

    def initial(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Zeros for `inputs` (batch, feature, lat, lon): one map (batch, hidden, lat, lon)."""
        return (inputs.new_zeros(len(inputs), self.hidden, *inputs.shape[-2:]),)

    def forward(self, inputs: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Output (batch, hidden, lat, lon) and the next state, from (batch, feature, lat, lon) and state."""
        (hidden,) = state
        update, reset = torch.sigmoid(self.gates(torch.cat([inputs, hidden], dim=1))).chunk(2, dim=1)
        fresh = torch.tanh(self.fresh(torch.cat([inputs, reset * hidden], dim=1)))
        hidden = hidden + update * (fresh - hidden)
        return hidden, (hidden,)
