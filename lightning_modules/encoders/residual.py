"""The residual CNN: skip connections (He et al. 2016), and a path that sees the whole domain."""

from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.planet import PlanetConv2d


class ResidualBlock(nn.Module):
    """x + conv(gelu(conv(gelu(norm(x))))): pre-activation (He et al. 2016b, fig. 4e), group norm."""

    def __init__(self, channels: int, *, dilation: int, wraps: bool) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(largest_divisor(channels, 4), channels)
        self.first = PlanetConv2d(channels, channels, 3, wraps=wraps, dilation=dilation)
        self.second = PlanetConv2d(channels, channels, 3, wraps=wraps)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, channel, lat, lon) -> the same shape."""
        inner = self.first(functional.gelu(self.norm(maps)))
        return maps + self.second(functional.gelu(inner))


class WholeDomain(nn.Module):
    """Adds a linear function of the mean over the domain to every cell: reach without depth."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, channel, lat, lon) -> the same shape."""
        return maps + self.mix(maps.mean(dim=(2, 3)))[:, :, None, None]


class ResidualEncoder(nn.Module):
    """A strided stem, then residual blocks whose dilation doubles from block to block up to 4."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        *,
        depth: int,
        pool: int,
        wraps: bool,
        context: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        kernel = pool + 2 if pool > 1 else 3
        self.stem = PlanetConv2d(channels_in, channels, kernel, wraps=wraps, stride=pool)
        self.blocks = nn.Sequential(
            *(ResidualBlock(channels, dilation=2 ** min(block, 2), wraps=wraps) for block in range(depth))
        )
        self.context = WholeDomain(channels) if context else nn.Identity()
        self.dropout = nn.Dropout2d(dropout)
        self.channels = channels

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, channel, lat, lon) -> (batch, feature, ceil(lat / pool), ceil(lon / pool))."""
        return self.dropout(self.context(self.blocks(self.stem(maps))))


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of `number` that is at most `most`."""
    return max(divisor for divisor in range(1, most + 1) if number % divisor == 0)
