"""The head that makes a vector of a map of features: adaptive pooling with a deterministic gradient."""

import pytest
import torch
from torch.nn import functional

from lightning_modules.encoders.build import FLAT_SIZE, FlattenHead


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (6, 12), (7, 13), (37, 72)])
def test_the_pooling_is_torchs_adaptive_average(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    head, features = FlattenHead(3, size, 5), torch.randn(2, 3, *size)
    small = (min(size[0], FLAT_SIZE[0]), min(size[1], FLAT_SIZE[1]))
    pooled = functional.adaptive_avg_pool2d(features, small)
    torch.testing.assert_close(head.rows @ features @ head.columns, pooled)
    torch.testing.assert_close(head(features), functional.relu(head.connect(pooled.flatten(1))))
