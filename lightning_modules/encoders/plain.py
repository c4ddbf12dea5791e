"""The textbook CNN: convolution, ReLU, pooling; flattened and fully connected where vectors are wanted."""

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.planet import PlanetConv2d, wrap


class PlainEncoder(nn.Module):
    """Stages of conv -> ReLU -> max-pool (LeCun et al. 1998, fig. 2, with ReLU), one map at a time.

    pool: the factor of all pooling stages together, a power of two; further stages up to `depth` do not pool.
    """

    def __init__(
        self, channels_in: int, channels: int, *, depth: int, pool: int, wraps: bool, dropout: float = 0.0
    ) -> None:
        super().__init__()
        pools = int(math.log2(pool))
        widths = [channels_in] + [channels] * max(depth, pools, 1)
        self.stages = nn.ModuleList(
            PlanetConv2d(one, other, 3, wraps=wraps) for one, other in pairwise(widths)
        )
        self.pools, self.wraps, self.channels = pools, wraps, channels
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, channel, lat, lon) -> (batch, feature, ceil(lat / pool), ceil(lon / pool))."""
        for stage, conv in enumerate(self.stages):
            maps = functional.relu(conv(maps))
            if stage < self.pools:
                maps = self._pool(maps)
        return self.dropout(maps)

    def _pool(self, maps: Tensor) -> Tensor:
        """Halved maps; an odd last column is paired with the first one on a global grid."""
        if self.wraps and maps.shape[-1] % 2:
            maps = wrap(maps, 0, 1)
        return functional.max_pool2d(maps, 2, ceil_mode=True)
