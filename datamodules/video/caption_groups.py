"""Which captions of a clip are trained on together: every caption once an epoch, dealt anew each epoch."""

import logging
from collections.abc import Sequence

import numpy as np

from datamodules.batches import PAD
from datamodules.errors import InputError
from datamodules.video.annotations.wording import counted, first_few
from datamodules.video.clips import CaptionedClip
from datamodules.video.vocabulary import Vocabulary

log = logging.getLogger(__name__)


class CaptionGroups:
    """The captions of clips in groups of one clip's, at most `size` in each and nearly equally many.

    clips:     whose captions; max_words: longer captions are cut
    seed:      with the epoch it alone decides which captions of a clip stand together
    clip:      (group,) int64, the number of each group's clip; the same in all epochs

    Captions are spelt once, here. One without a word teaches nothing: it is left out, and the log says how
    many. Errors: InputError when a clip has no caption with a word.
    """

    def __init__(
        self, clips: Sequence[CaptionedClip], vocabulary: Vocabulary, *, max_words: int, size: int, seed: int
    ) -> None:
        """Spell all captions, and find how many groups there are."""
        if size < 1:
            raise ValueError(f"groups of {size} captions are not possible")
        spelt = [[vocabulary.encode(caption, max_words) for caption in clip.captions] for clip in clips]
        worded = [[tokens for tokens in captions if len(tokens) > 2] for captions in spelt]
        _require_captions(clips, worded)
        if wordless := sum(map(len, spelt)) - sum(map(len, worded)):
            said = counted(wordless, "caption without a word is", "captions without a word are")
            log.warning("%s left out of training", said)
        self.seed = seed
        self._tokens = _table([tokens for captions in worded for tokens in captions])
        count = np.array([len(captions) for captions in worded], dtype=np.int64)
        parts = -(-count // size)
        self.clip = np.repeat(np.arange(len(count)), parts)
        self._of = np.repeat(np.arange(len(count)), count)  # (caption,) whose it is
        self._rank = np.arange(len(self._of)) - np.repeat(np.cumsum(count) - count, count)
        self._parts = parts[self._of]
        self._first = (np.cumsum(parts) - parts)[self._of]
        self._widest = int((-(-count // parts)).max(initial=0))
        self._dealt = (-1, np.empty((0, 0), dtype=np.int64))

    def __len__(self) -> int:
        """Groups of an epoch: the sum over clips of captions / size, rounded up."""
        return len(self.clip)

    def tokens(self, epoch: int, groups: np.ndarray) -> np.ndarray:
        """The captions of some groups of an epoch, int64 (group, caption, token), PAD where there is none.

        No wider than the largest of these groups, no longer than the longest of their captions.
        """
        rows = self._deal(epoch)[groups]
        tokens = self._tokens[rows]
        filled = tokens != PAD
        return tokens[:, filled.any((0, 2))][:, :, filled.any((0, 1))].astype(np.int64)

    def _deal(self, epoch: int) -> np.ndarray:
        """(group, caption) int64 rows of the table of tokens; -1, its empty row, where a group has fewer."""
        if self._dealt[0] != epoch:
            rng = np.random.default_rng(np.random.SeedSequence([self.seed, epoch], spawn_key=(0,)))
            shuffled = np.lexsort((rng.random(len(self._of)), self._of))  # clip by clip, each in a new order
            rows = np.full((len(self.clip), self._widest), -1, dtype=np.int64)
            rows[self._first + self._rank % self._parts, self._rank // self._parts] = shuffled
            self._dealt = (epoch, rows)
        return self._dealt[1]


def _table(captions: Sequence[Sequence[int]]) -> np.ndarray:
    """(caption + 1, token) int32, padded; the last row is empty."""
    length = np.array([len(tokens) for tokens in captions] + [0])
    table = np.full((len(length), length.max(initial=0)), PAD, dtype=np.int32)
    table[np.arange(table.shape[1]) < length[:, None]] = [token for tokens in captions for token in tokens]
    return table


def _require_captions(clips: Sequence[CaptionedClip], worded: Sequence[Sequence[object]]) -> None:
    """Errors: InputError that names the clips without a caption."""
    bare = [clip.id for clip, captions in zip(clips, worded, strict=True) if not captions]
    if bare:
        raise InputError(
            f"{counted(len(bare), 'training clip has', 'training clips have')} no caption with a word: "
            f"{first_few(bare)}. Give them captions in data.annotations, or take them out of data.split.train"
        )
