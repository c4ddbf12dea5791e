"""The human ceiling: one person's caption judged against what the others said."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lightning_modules.metrics.captions.prepared import References as ReferenceSentences
from lightning_modules.metrics.captions.scores import References

CAPTIONS = 5
"""How many captions of a clip take their turn, at most."""

Scorer = Callable[[Sequence[str], ReferenceSentences], Mapping[str, float]]
"""Figures of a hypothesis for every clip against (clip, reference) sentences."""


@dataclass(frozen=True)
class Human:
    """The scores of people, and what they were counted on.

    figures:  under the names of the scorer; empty where no clip has two captions.
    clips:    how many clips counted.     excluded: how many have a single caption, and did not.
    captions: how many of each clip's captions took their turn.
    """

    figures: dict[str, float]
    clips: int
    excluded: int
    captions: int


def score_all(hypotheses: Sequence[str], references: ReferenceSentences) -> dict[str, float]:
    """All scores that need no Java."""
    return References(references).score(hypotheses)


def human(references: ReferenceSentences, scorer: Scorer = score_all) -> Human:
    """How well the captions of a clip do against one another: what a model can hope to reach.

    The first caption of every clip is judged against the rest, then the second, and so on: the first
    min(5, fewest captions of a clip), and the figures averaged. A clip with one caption is left out, and
    counted. The rest is one reference fewer than a model is judged against, which lowers people's BLEU and
    ROUGE-L a little; CIDEr, a mean over references, it leaves alone.

    references: (clip, reference) tokenised sentences.
    """
    several = [list(captions) for captions in references if len(captions) > 1]
    turns = min((CAPTIONS, *map(len, several))) if several else 0
    found = [
        scorer(
            [captions[turn] for captions in several],
            [captions[:turn] + captions[turn + 1 :] for captions in several],
        )
        for turn in range(turns)
    ]
    figures = {name: sum(one[name] for one in found) / turns for name in (found[0] if found else {})}
    return Human(figures, len(several), len(references) - len(several), turns)
