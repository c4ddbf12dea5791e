"""The registry of encoders, and the head that makes a vector of a map of features."""

from torch import Tensor, nn, zeros
from torch.nn import functional

from lightning_modules.encoders.plain import PlainEncoder
from lightning_modules.encoders.residual import ResidualEncoder
from lightning_modules.options import EncoderOptions

FLAT_SIZE = (6, 12)
"""Features are pooled to at most so many cells (lat, lon) before they are flattened."""


def build_encoder(
    options: EncoderOptions, channels_in: int, *, wraps: bool
) -> PlainEncoder | ResidualEncoder:
    """The CNN that `options.kind` names. Maps in, maps of features out."""
    if options.kind == "plain":
        return PlainEncoder(
            channels_in,
            options.channels,
            depth=options.depth,
            pool=options.pool,
            wraps=wraps,
            dropout=options.dropout,
        )
    return ResidualEncoder(
        channels_in,
        options.channels,
        depth=options.depth,
        pool=options.pool,
        wraps=wraps,
        context=options.context,
        dropout=options.dropout,
    )


class FlattenHead(nn.Module):
    """Pool -> flatten -> fully connected -> ReLU: one vector for each map of features.

    size: (lat, lon) of the features. The pooling is `adaptive_avg_pool2d`, whose gradient is not
    deterministic on a GPU, as two matrix products, whose gradient is.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, channels: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        small = (min(size[0], FLAT_SIZE[0]), min(size[1], FLAT_SIZE[1]))
        self.register_buffer("rows", means_of_bins(size[0], small[0]), persistent=False)
        self.register_buffer("columns", means_of_bins(size[1], small[1]).T, persistent=False)
        self.connect = nn.Linear(channels * small[0] * small[1], width)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, feature, lat, lon) -> (batch, width)."""
        pooled = self.rows @ features @ self.columns
        return functional.relu(self.connect(pooled.flatten(1)))


def means_of_bins(cells: int, bins: int) -> Tensor:
    """The matrix (bin, cell) that averages `cells` in `bins` of nearly equal width, which may overlap by one.

    Bin i is cells floor(i cells / bins) to ceil((i + 1) cells / bins) - 1.
    """
    means = zeros(bins, cells)
    for one in range(bins):
        first, stop = one * cells // bins, -(-(one + 1) * cells // bins)
        means[one, first:stop] = 1 / (stop - first)
    return means
