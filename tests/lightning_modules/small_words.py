"""A small world of sentences: clips of several lengths, decoders of every kind, tables of logits."""

import itertools

import torch
from torch import Tensor

from datamodules.batches import BEGIN, END, PAD
from lightning_modules.caption_options import WordDecoderOptions
from lightning_modules.decoders.attention import Memory
from lightning_modules.decoders.word_steps import WordState, WordStep
from lightning_modules.decoders.words import WordDecoder

WIDTH, FRAMES = 6, (5, 2, 3)
FORMS = [
    *({"form": "attend", "attention": a} for a in ("mean", "additive", "multiplicative", "spatial")),
    {"form": "s2vt"},
]


def memory(cells: int = 4, *, seed: int = 0) -> Memory:
    """Three clips of `FRAMES` frames; NaN stands in frames that do not count."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(FRAMES)) < torch.tensor(FRAMES)[:, None]
    values = torch.randn(len(FRAMES), max(FRAMES), cells, WIDTH, generator=generator)
    return Memory(values.masked_fill(~mask[:, :, None, None], torch.nan), mask)


def alone(clip: int, whole: Memory) -> Memory:
    """One clip of the memory, without padding."""
    frames = int(whole.mask[clip].sum())
    return Memory(whole.values[clip : clip + 1, :frames], whole.mask[clip : clip + 1, :frames])


def decoder(words: int = 11, *, seed: int = 0, **options: object) -> WordDecoder:
    """A decoder with random weights, in eval mode; its state is 5 wide."""
    torch.manual_seed(seed)
    chosen = {"hidden": 5, "embedding": 4, "attention_size": 3, "dropout": 0.0, **options}
    return WordDecoder(WordDecoderOptions.model_validate(chosen), words, WIDTH).eval()


def captions(words: int = 11, *, count: int = 2, length: int = 6, seed: int = 0) -> Tensor:
    """Tokens (batch, caption, token): BEGIN, words, END, padding, each caption of its own length."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(FRAMES), count, length)
    tokens = torch.randint(END + 2, words, shape, generator=generator)
    ends = torch.randint(2, length, shape[:2], generator=generator)[..., None]
    place = torch.arange(length)
    tokens = tokens.masked_fill(place == 0, BEGIN).masked_fill(place == ends, END)
    return tokens.masked_fill(place > ends, PAD)


class Table:
    """A step whose logits depend on all words so far: a row of random numbers for each prefix, by its hash.

    levels: so many different logits, which makes ties; 0 for normal ones
    rows: few make prefixes that cannot be told apart, and with them ties of whole sentences

    Attention tells the prefix's length and its hash.
    """

    def __init__(self, batch: int, words: int, *, seed: int, levels: int = 0, rows: int = 10_007) -> None:
        generator = torch.Generator().manual_seed(seed)
        logits = 2 * torch.randn(batch, rows, words, generator=generator)
        if levels:
            logits = torch.randint(levels, (batch, rows, words), generator=generator).float()
        self.logits, self.rows, self.calls = logits, rows, 0

    def begin(self) -> WordState:
        """The state before the first word: hash and length of the prefix."""
        empty = torch.zeros(len(self.logits), 1, dtype=torch.int64)
        return (empty, (empty,))

    def step(self, tokens: Tensor, state: WordState) -> WordStep:
        """Reads a word of each hypothesis."""
        self.calls += 1
        before, (length,) = state  # type: ignore[misc]
        now = (before * 31 + tokens + 7) % self.rows  # type: ignore[operator]
        clip = torch.arange(len(now))[:, None]
        attention = torch.stack([length + 0.0, now + 0.0], dim=-1)[..., None]  # type: ignore[operator]
        return WordStep(self.logits[clip, now], (now, (length + 1,)), attention)  # type: ignore[operator]

    def log_probability(self, clip: int, sentence: tuple[int, ...]) -> float:
        """Of a whole sentence, END included."""
        now, total = 0, 0.0
        for token, following in itertools.pairwise((BEGIN, *sentence)):
            now = (now * 31 + token + 7) % self.rows
            total += float(self.logits[clip, now].log_softmax(-1)[following])
        return total


def every_sentence(words: int, most: int, no_repeat: int = 0) -> list[tuple[int, ...]]:
    """All sentences of up to `most` words over a vocabulary of `words` tokens, END included."""
    found: list[tuple[int, ...]] = []
    for length in range(most + 1):
        for sentence in itertools.product(range(END + 2, words), repeat=length):
            grams = [sentence[n : n + no_repeat] for n in range(length - no_repeat + 1)]
            if no_repeat == 0 or len(set(grams)) == len(grams):
                found.append((*sentence, END))
    return found


def sentence_of(tokens: Tensor) -> tuple[int, ...]:
    """The tokens (token,) up to their padding."""
    return tuple(token for token in tokens.tolist() if token != PAD)
