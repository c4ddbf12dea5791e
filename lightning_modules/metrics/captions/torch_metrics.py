"""Caption scores as torchmetrics classes: ranks gather the sentences, and the corpus is scored at the end."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors

from lightning_modules.metrics.captions.bleu import BleuReferences
from lightning_modules.metrics.captions.cider import CiderReferences
from lightning_modules.metrics.captions.rouge import RougeReferences


class CaptionMetric(Metric, ABC):
    """A score of a corpus, the same however its clips are spread over batches and ranks.

    A sentence is no tensor and a corpus score no mean of batch scores, so the state is the text itself: lines
    of JSON as bytes, which ranks can gather. Sentences come tokenised, words joined by one space.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True
    lines: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": _gather_bytes, **kwargs})
        self.add_state("lines", default=[], dist_reduce_fx="cat")

    def update(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str]],
        clips: Sequence[int] | None = None,
    ) -> None:
        """Add a batch: a hypothesis (clip,) and its references (clip, reference).

        clips: the clip's number in the data set. With it, a clip that a sampler repeats to fill a batch or a
        rank counts once, and the order of the corpus is that of the numbers.
        Errors: ValueError where the three differ in length.
        """
        numbers = [None] * len(hypotheses) if clips is None else [int(clip) for clip in clips]
        said = [
            json.dumps([number, hypothesis, list(captions)]) + "\n"
            for number, hypothesis, captions in zip(numbers, hypotheses, references, strict=True)
        ]
        text = torch.frombuffer(bytearray("".join(said), "ascii") or bytearray(b"\n"), dtype=torch.uint8)
        self.lines.append(text.to(self.device))

    def compute(self) -> Tensor:
        """The score of everything that was added, on all ranks, float64. Errors: ValueError for nothing."""
        text = bytes(dim_zero_cat(self.lines).cpu().numpy()) if len(self.lines) else b""
        said = [json.loads(line) for line in text.split(b"\n") if line]
        unnumbered = [(hypothesis, captions) for clip, hypothesis, captions in said if clip is None]
        numbered = {clip: (hypothesis, captions) for clip, hypothesis, captions in said if clip is not None}
        pairs = [numbered[clip] for clip in sorted(numbered)] + unnumbered
        if not pairs:
            raise ValueError(f"{type(self).__name__} was asked for a score before any sentence came")
        score = self.score([pair[0] for pair in pairs], [pair[1] for pair in pairs])
        return torch.as_tensor(score, dtype=torch.float64).to(self.device)

    @abstractmethod
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
        """The figure, or figures, of a corpus."""


class Bleu(CaptionMetric):
    """BLEU-1 to BLEU-4 of the corpus, (order,) in 0 to 1: see `BleuReferences`."""

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
        """(order,) float64."""
        return BleuReferences(references).bleu(hypotheses)


class RougeL(CaptionMetric):
    """ROUGE-L, mean over clips, in 0 to 1: see `RougeReferences`."""

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
        """A float."""
        return RougeReferences(references).rouge_l(hypotheses).mean()


class Cider(CaptionMetric):
    """CIDEr as pycocoevalcap computes it, mean over clips, in 0 to 10: see `CiderReferences`."""

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
        """A float."""
        return CiderReferences(references).cider(hypotheses).mean()


class CiderD(CaptionMetric):
    """CIDEr-D, mean over clips, in 0 to 10; its figure is that of `Cider`: see `CiderReferences`."""

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
        """A float."""
        return CiderReferences(references).cider_d(hypotheses).mean()


def _gather_bytes(text: Tensor, group: Any = None) -> list[Tensor]:
    """The bytes of every rank. A rank without any has an empty tensor of another type until here."""
    return gather_all_tensors(text.to(torch.uint8), group)
