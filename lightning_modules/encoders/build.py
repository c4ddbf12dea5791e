"""The registry of encoders, and the head that makes a vector of a map of features."""

from torch import Tensor, nn
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
    """Pool -> flatten -> fully connected -> ReLU: one vector for each map of features."""

    def __init__(self, channels: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        self.size = (min(size[0], FLAT_SIZE[0]), min(size[1], FLAT_SIZE[1]))
        self.connect = nn.Linear(channels * self.size[0] * self.size[1], width)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, feature, lat, lon) -> (batch, width)."""
        pooled = functional.adaptive_avg_pool2d(features, self.size)
        return functional.relu(self.connect(pooled.flatten(1)))
