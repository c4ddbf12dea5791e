"""All scores that need no Java, over references prepared once."""

from collections.abc import Collection, Sequence

from lightning_modules.metrics.captions.bleu import BleuReferences
from lightning_modules.metrics.captions.cider import CiderReferences
from lightning_modules.metrics.captions.prepared import CountedReferences
from lightning_modules.metrics.captions.prepared import References as ReferenceSentences
from lightning_modules.metrics.captions.rouge import RougeReferences

BLEU = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")
CIDER = ("cider", "cider_d")
SCORES = (*BLEU, "rouge_l", *CIDER)
"""What `References.score` tells: BLEU and ROUGE-L in 0 to 1, CIDEr and CIDEr-D in 0 to 10."""


class References:
    """What people said of each clip, prepared to score any number of sets of sentences.

    Equal to pycocoevalcap 1.2 on the same tokens: see `BleuReferences`, `RougeReferences`, `CiderReferences`.

    references: (clip, reference) tokenised sentences, words joined by one space; at least one a clip.
    """

    def __init__(self, references: ReferenceSentences) -> None:
        counted = CountedReferences(references)
        self.cider = CiderReferences(references, counted)
        self._bleu = BleuReferences(references, counted)
        self._rouge = RougeReferences(references)

    def score(self, hypotheses: Sequence[str], only: Collection[str] = SCORES) -> dict[str, float]:
        """The scores named in `only`, of a tokenised hypothesis for every clip, in order.

        `rouge_l`, `cider` and `cider_d` are means over clips, BLEU is of the corpus.
        Errors: ValueError for another number of hypotheses, or an unknown name.
        """
        if unknown := sorted(set(only) - set(SCORES)):
            raise ValueError(f"there is no score {', '.join(unknown)}; there are {', '.join(SCORES)}")
        found: dict[str, float] = {}
        if set(only) & set(BLEU):
            found |= dict(zip(BLEU, self._bleu.bleu(hypotheses).tolist(), strict=True))
        if "rouge_l" in only:
            found["rouge_l"] = float(self._rouge.rouge_l(hypotheses).mean())
        if set(only) & set(CIDER):
            found |= dict.fromkeys(CIDER, float(self.cider.cider(hypotheses).mean()))
        return {name: found[name] for name in SCORES if name in only}
