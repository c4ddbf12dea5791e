"""Where a decoder looks: nowhere in particular (mean), over frames, or over frames and their places.

Each kind prepares a memory once and is then asked at every word. Masked frames never count, whatever they
hold. Softmax runs in float32.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """What is remembered of a batch of clips.

    values: (batch, frame, cell, width); cells are the places of a frame
    mask:   (batch, frame) bool, True where a frame counts
    """

    values: Tensor
    mask: Tensor


class Prepared(NamedTuple):
    """A memory, and what attention computes of it before the first word.

    values: (batch, place, width), zero where masked; places are frames, or frames and their cells flattened
    mask:   (batch, frame) bool
    cells:  cells of a frame
    keys:   what queries are compared with, (batch, place, attention) each
    """

    values: Tensor
    mask: Tensor
    cells: int
    keys: tuple[Tensor, ...]


class AdditiveScore(nn.Module):
    """v . tanh(W query + U memory) (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, query_width: int, memory_width: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_width, size)
        self.key = nn.Linear(memory_width, size, bias=False)
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """(batch, beam, place) of queries (batch, beam, width) and keys (batch, [beam,] place, size)."""
        keys = keys[:, None] if keys.dim() == 3 else keys
        return self.score(torch.tanh(self.query(query)[:, :, None] + keys)).squeeze(-1)


class MultiplicativeScore(nn.Module):
    """query . W memory (Luong et al. 2015, eq. 8, general), W of rank `size` at most, over sqrt(size)."""

    def __init__(self, query_width: int, memory_width: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_width, size, bias=False)
        self.key = nn.Linear(memory_width, size, bias=False)
        self.scale = size**-0.5

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """(batch, beam, place) of queries (batch, beam, width) and keys (batch, place, size)."""
        return self.query(query) @ keys.transpose(1, 2) * self.scale


class MeanAttention(nn.Module):
    """The mean over frames and cells, the same at every word; it has no parameters."""

    def prepare(self, memory: Memory) -> Prepared:
        """The memory with its mean as the one place."""
        return Prepared(masked_mean(memory)[:, None], memory.mask, memory.values.shape[2], ())

    def forward(self, query: Tensor, prepared: Prepared) -> tuple[Tensor, Tensor]:
        """Context (batch, beam, width), weights (batch, beam, frame, cell) of query (batch, beam, query)."""
        return prepared.values.expand(-1, query.shape[1], -1), even_weights(prepared, query.shape[1])


class TemporalAttention(nn.Module):
    """Attention over frames, whose cells are averaged first (Yao et al. 2015, section 3.2)."""

    def __init__(self, score: AdditiveScore | MultiplicativeScore) -> None:
        super().__init__()
        self.score = score

    def prepare(self, memory: Memory) -> Prepared:
        """The memory, a vector a frame, with its keys."""
        frames = _cleared(memory).mean(dim=2)
        return Prepared(frames, memory.mask, memory.values.shape[2], (self.score.key(frames),))

    def forward(self, query: Tensor, prepared: Prepared) -> tuple[Tensor, Tensor]:
        """Context (batch, beam, width), weights (batch, beam, frame, cell) of query (batch, beam, query)."""
        weights = _over_frames(self.score(query, prepared.keys[0]), prepared.mask)
        context = weights.to(prepared.values.dtype) @ prepared.values
        return context, (weights / prepared.cells)[..., None].expand(-1, -1, -1, prepared.cells)


class SpatialAttention(nn.Module):
    """Soft attention over the cells of each frame (Xu et al. 2015, section 4.2), then over the frames so seen
    (Yao et al. 2015), both additive. The keys of a seen frame are the mean of its cells' keys under the
    weights of the cells: the same as the keys of the mean, computed once.
    """

    def __init__(self, query_width: int, memory_width: int, size: int) -> None:
        super().__init__()
        self.place = AdditiveScore(query_width, memory_width, size)
        self.frame = AdditiveScore(query_width, memory_width, size)

    def prepare(self, memory: Memory) -> Prepared:
        """The memory, a vector a cell of a frame, with keys of cells and of frames."""
        places = _cleared(memory).flatten(1, 2)
        keys = (self.place.key(places), self.frame.key(places))
        return Prepared(places, memory.mask, memory.values.shape[2], keys)

    def forward(self, query: Tensor, prepared: Prepared) -> tuple[Tensor, Tensor]:
        """Context (batch, beam, width), weights (batch, beam, frame, cell) of query (batch, beam, query)."""
        places, frames = prepared.keys
        shape = (prepared.mask.shape[1], prepared.cells)
        within = self.place(query, places).unflatten(-1, shape).softmax(dim=-1, dtype=torch.float32)
        seen = torch.einsum("bkfc,bfca->bkfa", within.to(frames.dtype), frames.unflatten(1, shape))
        weights = _over_frames(self.frame(query, seen), prepared.mask)[..., None] * within
        return weights.flatten(2).to(prepared.values.dtype) @ prepared.values, weights


Attention = MeanAttention | TemporalAttention | SpatialAttention


def build_attention(kind: str, query_width: int, memory_width: int, attention_size: int) -> Attention:
    """The attention that `kind` names: mean, additive, multiplicative (over frames) or spatial."""
    if kind == "mean":
        return MeanAttention()
    if kind == "additive":
        return TemporalAttention(AdditiveScore(query_width, memory_width, attention_size))
    if kind == "multiplicative":
        return TemporalAttention(MultiplicativeScore(query_width, memory_width, attention_size))
    if kind == "spatial":
        return SpatialAttention(query_width, memory_width, attention_size)
    raise ValueError(f"attention is {kind!r}; choose mean, additive, multiplicative or spatial")


def masked_mean(memory: Memory) -> Tensor:
    """The mean (batch, width) over cells and the frames that count; 0 for a clip without any."""
    frames = _cleared(memory).mean(dim=2)
    return frames.sum(dim=1) / memory.mask.sum(dim=1, keepdim=True).clamp_min(1)


def even_weights(prepared: Prepared, beams: int) -> Tensor:
    """Weights (batch, beam, frame, cell), equal for all frames that count and their cells."""
    weights = prepared.mask / prepared.mask.sum(dim=1, keepdim=True).clamp_min(1)
    return (weights / prepared.cells)[:, None, :, None].expand(-1, beams, -1, prepared.cells)


def _cleared(memory: Memory) -> Tensor:
    """The values with zeros in frames that do not count: not even a NaN there comes through."""
    return memory.values.masked_fill(~memory.mask[:, :, None, None], 0.0)


def _over_frames(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax (batch, beam, frame) in float32 over the frames that count, exactly 0 elsewhere.

    A clip without any frame gets equal weights on values that are zero, not NaN.
    """
    scores = scores.float()
    return scores.masked_fill(~mask[:, None], torch.finfo(scores.dtype).min).softmax(dim=-1)
