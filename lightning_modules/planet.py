"""Convolution that respects the planet: longitude wraps on a global grid, and only there."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlanetConv2d(nn.Module):
    """A 2-D convolution that keeps the size of the map (stride 1), or divides it by `stride`, rounded up.

    wraps: longitude is joined to itself, so that a map turned by a whole number of cells (of `stride`
           cells) gives the result turned alike; on a regional grid, and beyond the first and last latitude,
           the map is continued by zeros (anomalies: the climatology).
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 3,
        *,
        wraps: bool,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        if (kernel - stride) % 2:
            raise ValueError(f"kernel - stride must be even to keep maps centred, not {kernel} - {stride}")
        self.stride, self.wraps = stride, wraps
        self.margin = dilation * (kernel - 1) // 2 if stride == 1 else (kernel - stride) // 2
        padding = (self.margin, 0) if wraps else self.margin
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, channel, lat, lon) -> (batch, channel, ceil(lat / stride), ceil(lon / stride))."""
        lat, lon = maps.shape[-2:]
        below, beside = -lat % self.stride, -lon % self.stride
        if self.wraps:
            maps = wrap(maps, self.margin, self.margin + beside)
            return self.conv(functional.pad(maps, (0, 0, 0, below)) if below else maps)
        return self.conv(functional.pad(maps, (0, beside, 0, below)) if below or beside else maps)


def wrap(maps: Tensor, west: int, east: int) -> Tensor:
    """`maps` (..., lon) with so many columns of the other side added; margins may exceed the map."""
    lon = maps.shape[-1]
    if west <= lon and east <= lon:
        return torch.cat([maps[..., lon - west :], maps, maps[..., :east]], dim=-1)
    columns = torch.arange(-west, lon + east, device=maps.device) % lon
    return maps.index_select(-1, columns)


def coarse_size(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """(lat, lon) of a map divided by `factor`, rounded up."""
    return (-(-size[0] // factor), -(-size[1] // factor))
