"""The recurrent network that reads a clip's frames in order, before words are written."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.caption_options import CaptionerOptions
from lightning_modules.recurrent.soft_points import SoftPoints
from lightning_modules.recurrent.stack import RecurrentStack, State, reads_maps
from lightning_modules.recurrent.standard import LevelFeatures, StandardFeatures


class FrameReader(nn.Module):
    """Normalise -> linear -> ReLU at every place of a frame, then a recurrent network over the frames.

    With `gather=mean` each place goes through the linear map by itself, with `flatten` all of them together,
    with `points` what `SoftPoints` makes of them. `rnn`, `lstm` and `gru` then read one vector a frame, the
    mean over what is left of its places; `convlstm` and `convgru` read the square of places as a map.

    What comes out holds both: what is in this frame, and what was read up to it. The first is learnt from the
    first batch on, and motion and order from the second.

    keeps_places: what comes out has the places still, as spatial attention wants; else one a frame
    width: of what comes out

    feature_shape: (cell, feature) of what comes in
    fixed: features do not change in training, those of a frozen encoder or of a store
    Errors: ValueError for a recurrent network on maps whose places form no square, and for spatial attention
    where there are no places.
    """

    def __init__(self, options: CaptionerOptions, feature_shape: tuple[int, int], *, fixed: bool) -> None:
        super().__init__()
        cells, features = feature_shape
        recurrent, decoder = options.recurrent, options.decoder
        self.gather = gather = options.encoder.gather
        self.on_maps = recurrent is not None and reads_maps(recurrent.kind)
        self.side = math.isqrt(cells)
        if self.on_maps and (gather != "mean" or self.side**2 != cells):
            kind = recurrent.kind if recurrent else None
            left = f"there are {cells} places" if gather == "mean" else f"encoder.gather={gather} leaves none"
            raise ValueError(f"model.recurrent.kind={kind} reads squares of places: {left}; choose gru")
        self.keeps_places = decoder.form == "attend" and decoder.attention == "spatial"
        if self.keeps_places and (cells == 1 or gather != "mean"):
            raise ValueError(
                "model.decoder.attention=spatial looks at several places of a frame: set "
                f"model.encoder.gather=mean (now {gather}) and cells above 1 (now {cells} places), or "
                "attention=additive"
            )
        inner = decoder.hidden if recurrent is None else recurrent.hidden
        self.normalise = StandardFeatures(features) if fixed else LevelFeatures()
        width = {"mean": features, "flatten": features * cells, "points": 3 * features}[gather]
        self.points = SoftPoints(cells) if gather == "points" else None
        self.project = nn.Linear(width, inner)
        self.recurrent = None if recurrent is None else RecurrentStack(recurrent, inner, wraps=False)
        self.width = inner if self.recurrent is None else 2 * inner

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """What the decoder looks at (batch, frame, cell, width), from features (batch, frame, cell, feature).

        mask: (batch, frame) bool; a frame that does not count leaves the state as it was, and no trace.
        """
        features = features.masked_fill(~mask[:, :, None, None], 0).to(self.project.weight.dtype)
        features = self.normalise(features, mask)
        if self.points is not None:
            features = self.points(features).unsqueeze(2)
        elif self.gather == "flatten":
            features = features.flatten(2).unsqueeze(2)
        places = functional.relu(self.project(features))
        if self.recurrent is None:
            return places if self.keeps_places else places.mean(dim=2, keepdim=True)
        if self.on_maps:
            maps = places.transpose(2, 3).unflatten(3, (self.side, self.side))
            read = self._read(maps, mask).flatten(3).transpose(2, 3)
        else:
            read = self._read(places.mean(dim=2), mask).unsqueeze(2).expand_as(places)
        both = torch.cat([places, read], dim=-1)
        return both if self.keeps_places else both.mean(dim=2, keepdim=True)

    def _read(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Outputs (batch, frame, hidden, ...) of a sequence (batch, frame, feature, ...)."""
        assert self.recurrent is not None
        state = self.recurrent.initial(sequence[:, 0])
        outputs = []
        for inputs, counts in zip(sequence.unbind(1), mask.unbind(1), strict=True):
            output, after = self.recurrent(inputs, state)
            state = _held(after, state, counts)
            outputs.append(output)
        return torch.stack(outputs, dim=1)


def _held(after: State, before: State, counts: Tensor) -> State:
    """`after` where `counts` (batch,), else `before`."""
    return tuple(
        tuple(
            torch.where(counts.view(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(layer, held, strict=True)
        )
        for layer, held in zip(after, before, strict=True)
    )
