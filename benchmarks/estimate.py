"""What a training step would need of a GPU that is not here: memory, time, data rate; computed, not measured.

    python -m benchmarks.estimate                               # the examples of docs/scaling.md
    python -m benchmarks.estimate model=convlstm data.batch_size=2 task.horizon=8 --grid 721x1440 --channels 6
    python -m benchmarks.estimate experiment=msrvtt --card a100

Words are those of `skyreel train`; no data are read. One step runs on this processor, forward and back in
bfloat16, at two small sizes (cells of the grid, or clips of a batch). Of every operation the FLOPs and the
bytes read and written are noted, and the peak of what is held beside the weights. All of it grows linearly
with the size, and is drawn out to the size that was asked for. The rest is assumed: a card reaches the shares
of its maker's figures below, and an operation takes the longer of its arithmetic and its memory traffic.
"""

import argparse
import logging
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

if TYPE_CHECKING:
    from pipelines.settings import Settings

ARITHMETIC, TRAFFIC, LAUNCH = 0.4, 0.7, 8e-6
"""Assumed: reached shares of a card's FLOP/s and bytes/s, and seconds to start an operation."""
SPARE = 1.5
"""Memory of a step for each byte that its tensors hold: 1.47 on a processor, with 181 x 360 cells."""
WORDS, BASIS, SIZES = 10_000, 13, ((24, 48), (48, 96))
"""Words that a captioner knows; functions of a climatology with seasons and hours; grids that are run."""
EXAMPLES = (
    "data=netcdf data.path=. data.batch_size=1 task.history=2 task.horizon=4",
    "experiment=msrvtt",
    "experiment=msrvtt data.features=pixels model.encoder.frozen=false model.encoder.backbone=resnet18 "
    "model.encoder.weights=null data.frames.count=16 data.batch_size=16",
)

PRODUCTS = ("convolution", "mm", "addmm", "bmm", "baddbmm")


class Card(NamedTuple):
    """A GPU by its maker's figures: dense bfloat16 FLOP/s, bytes/s of its memory, bytes of it."""

    flops: float
    traffic: float
    memory: float


CARDS = {
    "l4": Card(121e12, 0.3e12, 24e9),
    "a100": Card(312e12, 2.0e12, 80e9),
    "h100": Card(989e12, 3.35e12, 80e9),
}


class Cost(NamedTuple):
    """Operations in order, FLOPs and bytes of each (operation,), and the peak of bytes held."""

    names: list[str]
    flops: np.ndarray
    bytes: np.ndarray
    peak: float


class Trace(TorchDispatchMode):
    """Notes every operation that does work, and how many bytes are alive that were made meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[str, float, float]] = []
        self.alive = self.peak = 0
        self._known = weakref.WeakSet[Any]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What `func` returns."""
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        read = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        made = [one for one in tree_leaves(found) if isinstance(one, Tensor)]
        shared = {one.untyped_storage()._cdata for one in read}
        fresh = [one for one in made if one.untyped_storage()._cdata not in shared]
        for one in fresh:
            self._hold(one.untyped_storage())
        name = func.__name__.partition(".")[0]
        if (fresh or func._schema.is_mutable) and not name.startswith(("empty", "new_empty")):
            count = flop_registry.get(func._overloadpacket)
            flops = count(*args, **kwargs, out_val=found) if count else 0
            self.noted.append((name, flops, sum(map(_bytes, [*read, *made]))))
        return found

    def _hold(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._known:
            self._known.add(storage)
            self.alive += storage.nbytes()
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self._let_go, storage.nbytes())

    def _let_go(self, size: int) -> None:
        self.alive -= size


def _bytes(tensor: Tensor) -> int:
    """Bytes behind a tensor; what is expanded counts once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def cost(step: Callable[[], Tensor]) -> Cost:
    """What `step`, which returns the loss, and the way back do; gradients are there before."""
    step().backward()
    with Trace() as trace:
        with torch.autocast("cpu", torch.bfloat16):
            loss = step()
        loss.backward()
    names, flops, traffic = zip(*trace.noted, strict=True)
    return Cost(list(names), np.array(flops, float), np.array(traffic, float), trace.peak)


def drawn_out(small: Cost, large: Cost, factor: float) -> Cost:
    """The cost where the size is `factor` times that of `large`, which is beyond that of `small`.

    factor: (size wanted - size of small) / (size of large - size of small).
    Errors: ValueError where the two did not do the same operations.
    """
    if small.names != large.names:
        raise ValueError("the step does other operations at another size")
    flops, traffic = (one + factor * (other - one) for one, other in zip(small[1:3], large[1:3], strict=True))
    return Cost(small.names, flops, traffic, small.peak + factor * (large.peak - small.peak))


def of_forecasts(settings: "Settings", size: tuple[int, int], channels: int) -> tuple[nn.Module, Cost]:
    """The network, and the cost of a step on a batch of windows of a global grid of `size` cells."""
    (model, small), (_, large) = (_window(settings, few, channels) for few in SIZES)
    first, second = (float(np.prod(few)) for few in SIZES)
    wanted = float(np.prod(size)) * settings.data.batch_size
    return model, drawn_out(small, large, (wanted - first) / (second - first))


def _window(settings: "Settings", size: tuple[int, int], channels: int) -> tuple[nn.Module, Cost]:
    """A forecaster on a global grid of `size`, and a step on one window of noise."""
    from datamodules.batches import MapBatch
    from lightning_modules.forecaster import Domain, Forecaster
    from lightning_modules.losses import ForecastLoss

    task = settings.forecast
    ahead, models, steps = task.horizon, task.linear.folds + 1, task.history + task.horizon
    shapes = {
        "mean": (channels,), "std": (channels,), "anomaly_std": (channels,),
        "coefficients": (BASIS, channels, *size), "damping": (ahead, channels, *size),
        "linear_patterns": (models, 1, channels, *size), "linear_reader": (models, 1, channels, *size),
        "linear_weights": (models, 1, ahead), "linear_decay": (models, ahead, channels), "linear_lags": (),
        "departure": (ahead, channels), "series_departure": (ahead, 0), "series_damping": (ahead, 0),
        "series_coefficients": (BASIS, 0), "series_anomaly_std": (0,),
    }  # fmt: skip
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    lat, lon = np.meshgrid(np.linspace(89, -89, size[0]), np.arange(size[1]) * 360 / size[1], indexing="ij")
    names, area = tuple(f"v{one}" for one in range(channels)), np.full(size, 1 / np.prod(size))
    leads = tuple(f"{6 * lead}h" for lead in range(1, ahead + 1))
    model = Forecaster(
        settings.forecaster, task, Domain(lat, lon, area, True, 6.0, {}, names, (), leads), arrays
    )
    loss = ForecastLoss(task.loss, area, names, task.channel_weights, task.series_weight)
    batch = MapBatch(
        maps=torch.randn(1, steps, channels, *size),
        basis=torch.ones(1, steps, BASIS),
        clock=torch.rand(1, steps, 2),
        series=torch.zeros(1, steps, 0),
        start=torch.zeros(1, dtype=torch.int64),
        fold=torch.zeros(1, dtype=torch.int64),
    )

    def step() -> Tensor:
        forecast = model(batch, min(task.curriculum.start or ahead, ahead))
        return loss(model, forecast, forecast.seen.series)

    return model, cost(step)


def of_captions(settings: "Settings") -> tuple[nn.Module, Cost]:
    """The network, and the cost of a step on a batch of clips, their captions as long as they may be."""
    from datamodules.batches import ClipBatch
    from lightning_modules.caption_losses import cross_entropy
    from lightning_modules.captioner import Captioner
    from lightning_modules.encoders.frames import FrameEncoder

    options, clips = settings.captioner, settings.clips
    count, size, shape = clips.frames.count, clips.frames.size, None
    if clips.features != "pixels":
        encoder = FrameEncoder(options.encoder, size, pretrained=False)
        shape = (encoder.cells, encoder.width)
    model = Captioner(options, WORDS, size, shape, pretrained=False)

    def of(batch_size: int) -> Cost:
        read = (batch_size, count)
        batch = ClipBatch(
            frames=torch.zeros((0, 0) if shape else (*read, 3, size, size), dtype=torch.uint8),
            features=torch.rand(*read, *shape).half() if shape else torch.zeros(0, 0),
            mask=torch.ones(*read, dtype=torch.bool),
            times=torch.zeros(*read),
            tokens=torch.randint(4, WORDS, (batch_size, clips.captions_per_clip, clips.max_words + 2)),
            clip=torch.arange(batch_size),
        )
        smoothing = settings.captions.label_smoothing
        return cost(lambda: cross_entropy(model(batch).logits, batch.tokens, smoothing))

    return model, drawn_out(of(2), of(3), clips.batch_size - 2)


def fitted_bytes(settings: "Settings", size: tuple[int, int], channels: int) -> float:
    """Bytes of what was fitted on the training split and stands on every card beside the weights."""
    from datamodules.gridded.linear import PATTERN_BYTES

    models, cells = settings.forecast.linear.folds + 1, channels * float(np.prod(size))
    kept = min(settings.forecast.linear.components, max(3, int(PATTERN_BYTES // (8 * models * cells))))
    return 4 * cells * (2 * models * kept + BASIS + settings.forecast.horizon)


def lines(settings: "Settings", size: tuple[int, int], channels: int, cards: Sequence[str]) -> list[str]:
    """The estimate for people."""
    batch, average = settings.data.batch_size, settings.optimizer.ema is not None
    if settings.task.kind == "forecast":
        model, found = of_forecasts(settings, size, channels)
        steps = settings.forecast.history + settings.forecast.horizon
        read, fitted = 4 * steps * channels * float(np.prod(size)), fitted_bytes(settings, size, channels)
    else:
        model, found = of_captions(settings)
        clips, fitted = settings.clips, 0.0
        stored = 2 * float(np.prod(getattr(model, "feature_shape")))  # noqa: B009
        read = clips.frames.count * (3 * clips.frames.size**2 if clips.features == "pixels" else stored)
    learnt = sum(one.numel() for one in model.parameters() if one.requires_grad)
    frozen = sum(one.numel() for one in model.parameters() if not one.requires_grad)
    weights = (16 + 4 * average) * learnt + (4 + 4 * average) * frozen
    fixed = weights + (1 + average) * fitted
    products = np.array([name.startswith(PRODUCTS) for name in found.names])
    told = [
        f"{learnt:,} parameters to learn: {4 * learnt / 1e6:.1f} MB of gradients a step; weights, gradients, "
        f"moments and average {weights / 1e9:.2f} GB; fitted arrays {(1 + average) * fitted / 1e9:.2f} GB",
        f"a batch of {batch}: {found.flops.sum() / 1e12:.3g} TFLOP, {found.bytes.sum() / 1e9:.3g} GB of "
        f"memory traffic, {len(found.names):,} operations, {batch * read / 1e6:.4g} MB of data, "
        f"{found.peak / 1e9:.2f} GB held",
    ]
    for name in cards:
        card = CARDS[name]
        each = np.maximum(found.flops / (ARITHMETIC * card.flops), found.bytes / (TRAFFIC * card.traffic))
        launches, needed = LAUNCH * len(found.names), fixed + SPARE * found.peak
        step, least = max(each.sum(), launches), each[products].sum()
        told.append(
            f"{name:5s} {1e3 * step:7.1f} ms a step (GPU {1e3 * each.sum():.1f}, launches "
            f"{1e3 * launches:.1f}, convolutions and products {1e3 * least:.1f}), "
            f"{batch / step:.4g} samples/s, data {batch * read / step / 1e6:.4g} MB/s, "
            f"memory {needed / 1e9:.1f} of {card.memory / 1e9:.0f} GB{'' if needed < card.memory else ': no'}"
        )
    return told


def main() -> int:
    """Print the estimate of the words, else those of the examples."""
    from pipelines.compose import compose

    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimate", description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="of `skyreel train`; the examples when there are none")
    parser.add_argument("--grid", default="721x1440", help="cells (lat x lon) of the maps")
    parser.add_argument("--channels", type=int, default=6, help="variables and levels of the maps")
    parser.add_argument("--card", choices=sorted(CARDS), help="this one alone")
    call = parser.parse_intermixed_args()
    logging.disable(logging.WARNING)
    lat, _, lon = call.grid.partition("x")
    grid, cards = (int(lat), int(lon)), [call.card] if call.card else list(CARDS)
    for words in [" ".join(call.words)] if call.words else EXAMPLES:
        found = lines(compose(words.split()).settings, grid, call.channels, cards)
        sys.stdout.write("\n".join([f"== {words}", *found, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
