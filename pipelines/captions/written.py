"""Sentences written for clips: with their rivals, probabilities, and where the decoder looked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datamodules.video.clips import CaptionedClip
from datamodules.video.vocabulary import Vocabulary
from lightning_modules.captioning import ClipSentences


@dataclass(frozen=True, eq=False)
class Rival:
    """One of the n best sentences of a clip; log_probability is natural, of all its words and its end."""

    caption: str
    log_probability: float
    score: float


@dataclass(frozen=True, eq=False)
class Written:
    """What was written for one clip, or for one piece of it.

    clip, file: its id and where it lies.     start, stop: seconds within the file.
    rivals: best first; the first is the caption.
    words: of the caption, its end among them.     attention: (word, frame), rows sum to 1.
    times: (frame,) seconds since the piece's first frame; NaN where unknown.
    """

    clip: str
    rivals: tuple[Rival, ...]
    words: tuple[str, ...]
    attention: np.ndarray
    times: np.ndarray
    file: str | None = None
    start: float | None = None
    stop: float | None = None
    references: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The best sentence; empty where none was found."""
        return self.rivals[0].caption if self.rivals else ""

    def as_plain(self) -> dict[str, Any]:
        """Plain values, as predictions/*.json hold them."""
        best = self.rivals[0] if self.rivals else Rival("", float("-inf"), float("-inf"))
        found: dict[str, Any] = {
            "clip": self.clip,
            "caption": best.caption,
            "log_probability": _rounded(best.log_probability),
            "start": _rounded(self.start),
            "stop": _rounded(self.stop),
        }
        if self.file is not None:
            found["file"] = self.file
        if self.references:
            found["references"] = list(self.references)
        found["n_best"] = [
            {
                "caption": one.caption,
                "log_probability": _rounded(one.log_probability),
                "score": _rounded(one.score),
            }
            for one in self.rivals
        ]
        found["attention"] = {
            "words": list(self.words),
            "frame_times": [_rounded(float(time)) for time in self.times],
            "weights": np.round(self.attention.astype(float), 4).tolist(),
        }
        return found


def _rounded(value: float | None) -> float | None:
    """A number for JSON, which knows no NaN and no infinity."""
    return round(float(value), 5) if value is not None and np.isfinite(value) else None


def written_sentences(
    found: Mapping[int, ClipSentences], vocabulary: Vocabulary, clips: Sequence[CaptionedClip]
) -> list[Written]:
    """What was written for each of `clips`, whose places are the numbers in `found`, in their order.

    Errors: RuntimeError when a clip got no sentence: a rank has lost it.
    """
    missing = [clip.id for number, clip in enumerate(clips) if number not in found]
    if missing:
        raise RuntimeError(f"no sentence was written for {len(missing)} clips, the first: {missing[0]}")
    return [written_for(found[number], vocabulary, clip) for number, clip in enumerate(clips)]


def written_for(found: ClipSentences, vocabulary: Vocabulary, clip: CaptionedClip) -> Written:
    """The sentences of one clip, spelt."""
    rivals = tuple(
        Rival(vocabulary.decode(tokens), probability, score)
        for tokens, probability, score in zip(found.tokens, found.log_probability, found.score, strict=True)
    )
    best = found.tokens[0] if found.tokens else []
    attention = found.attention if found.attention is not None else np.empty((0, len(found.times)))
    words = (*(vocabulary.words[token] for token in best), "(end)")[: len(attention)]
    return Written(
        clip.id,
        rivals,
        words,
        attention,
        found.times,
        file=None if clip.file is None else str(clip.file),
        start=clip.start,
        stop=clip.stop,
        references=clip.captions,
    )
