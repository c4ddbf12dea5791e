"""How fast sentences are written by batched beam search, against one clip at a time with loops over beams.

    python -m benchmarks.beam [--json]

100 clips of 28 x 1536 features, an LSTM decoder with additive attention, hidden 512, 10,000 words, 30 steps,
beam width 5, on the processor. Both sides use the same decoder with the same random weights; the textbook
asks it for one hypothesis of one clip at a time, its memory prepared once a clip, and sorts candidates in
Python.
In `full` no sentence ends by itself, in `ended` most do. In each of 5 passes the project writes all clips and
the textbook the next 20, so that every clip is compared; times are seconds a clip, medians with least and
most, and the ratio is the median over passes, so that a busy machine slows both. Exits with 1 where any
sentence differs, or below a ratio of 8 in `full`.
"""

import argparse
import json
import math
import statistics
import sys
import time
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.batches import BEGIN, END, PAD, UNKNOWN
from lightning_modules.caption_options import DecodingOptions, WordDecoderOptions
from lightning_modules.decoders.attention import Memory, Prepared
from lightning_modules.decoders.search.beam import beam_search
from lightning_modules.decoders.search.sentences import Sentences
from lightning_modules.decoders.word_steps import StepFunction, WordState, WordStep
from lightning_modules.decoders.words import WordDecoder

CLIPS, FRAMES, FEATURES, HIDDEN, WORDS = 100, 28, 1536, 512, 10_000
PASSES = 5
REQUIRED = 8.0
ENDINGS = {"full": -30.0, "ended": 5.5}
"""What is added to the logit of END."""


class Hypothesis(NamedTuple):
    """A sentence as the textbook keeps it: log-probability, tokens, state after them."""

    log_probability: float
    tokens: tuple[int, ...]
    state: WordState


def textbook(step: StepFunction, state: WordState, options: DecodingOptions) -> list[Hypothesis]:
    """The `n_best` sentences of one clip, one step of one hypothesis at a time."""
    running = [Hypothesis(0.0, (), state)]
    ended: list[Hypothesis] = []
    for position in range(options.max_words + 1):
        candidates = []
        for hypothesis in running:
            word = hypothesis.tokens[-1] if hypothesis.tokens else BEGIN
            found = step(torch.tensor([[word]]), hypothesis.state)
            log_probabilities = found.logits[0, 0].log_softmax(dim=-1)
            if position == options.max_words:
                best = [(float(log_probabilities[END]), END)]
            else:
                log_probabilities[[PAD, BEGIN, UNKNOWN]] = -math.inf
                values, tokens = log_probabilities.topk(min(options.width, len(log_probabilities)))
                best = list(zip(values.tolist(), tokens.tolist(), strict=True))
            for value, token in best:
                total = hypothesis.log_probability + value
                candidates.append(Hypothesis(total, (*hypothesis.tokens, token), found.state))
        candidates.sort(key=lambda candidate: -candidate.log_probability)
        candidates = [
            one for one in candidates[: options.width - len(ended)] if one.log_probability > -math.inf
        ]
        ended += [candidate for candidate in candidates if candidate.tokens[-1] == END]
        running = [candidate for candidate in candidates if candidate.tokens[-1] != END]
        if not running:
            break
    ended.sort(key=lambda one: -one.log_probability / len(one.tokens) ** options.length_penalty)
    return ended[: options.n_best]


def make_decoder(ending: float) -> WordDecoder:
    """Random weights, with logits as far apart as a trained decoder's, and `ending` on END."""
    torch.manual_seed(0)
    options = WordDecoderOptions(hidden=HIDDEN, embedding=HIDDEN, attention_size=128)
    decoder = WordDecoder(options, WORDS, FEATURES).eval()
    with torch.no_grad():
        decoder.last.weight *= 12
        decoder.last.bias[END] = ending
    return decoder


def of_clip(memory: Memory, clip: int) -> Memory:
    """The memory of one clip."""
    return Memory(memory.values[clip : clip + 1], memory.mask[clip : clip + 1])


def search(decoder: WordDecoder, memory: Memory, options: DecodingOptions) -> Sentences:
    """The project's way: all clips at once."""
    prepared, state = decoder.begin(memory)
    return beam_search(step_of(decoder, prepared), state, options)


def search_slowly(decoder: WordDecoder, memory: Memory, options: DecodingOptions) -> list[list[Hypothesis]]:
    """The textbook's way: a clip after another."""
    found = []
    for clip in range(len(memory.mask)):
        prepared, state = decoder.begin(of_clip(memory, clip))
        found.append(textbook(step_of(decoder, prepared), state, options))
    return found


def step_of(decoder: WordDecoder, prepared: Prepared) -> StepFunction:
    """The decoder's step over a prepared memory."""

    def step(tokens: Tensor, state: WordState) -> WordStep:
        return decoder.step(tokens, state, prepared)

    return step


def differing(ours: Sentences, theirs: list[list[Hypothesis]], first: int) -> int:
    """Clips, from `first` on, of which any sentence is another, or its log-probability by more than 1e-3."""
    count = 0
    for number, textbook_found in enumerate(theirs, start=first):
        sentences = [tuple(t for t in row if t != PAD) for row in ours.tokens[number].tolist()]
        near = all(
            abs(value - one.log_probability) < 1e-3
            for value, one in zip(ours.log_probability[number].tolist(), textbook_found, strict=True)
        )
        count += sentences != [one.tokens for one in textbook_found] or not near
    return count


@torch.inference_mode()
def measure(ending: float) -> dict[str, float]:
    """Seconds a clip of both ways, the ratio, how many clips differ, and the mean length of a sentence."""
    decoder = make_decoder(ending)
    values = torch.randn(CLIPS, FRAMES, 1, FEATURES, generator=torch.Generator().manual_seed(1))
    memory = Memory(values, torch.ones(CLIPS, FRAMES, dtype=torch.bool))
    options = DecodingOptions(width=5, n_best=5, max_words=29)
    part = CLIPS // PASSES
    search(decoder, Memory(*(whole[:10] for whole in memory)), options)
    seconds: dict[str, list[float]] = {"textbook": [], "skyreel": []}
    wrong, length = 0, 0.0
    for number in range(PASSES):
        chosen = slice(number * part, (number + 1) * part)
        start = time.perf_counter()
        ours = search(decoder, memory, options)
        between = time.perf_counter()
        theirs = search_slowly(decoder, Memory(*(whole[chosen] for whole in memory)), options)
        seconds["skyreel"].append((between - start) / CLIPS)
        seconds["textbook"].append((time.perf_counter() - between) / part)
        wrong += differing(ours, theirs, chosen.start)
        length = float((ours.tokens != PAD).sum(-1).double().mean())
    result = {"differing": float(wrong), "length": length}
    for name, found in seconds.items():
        result |= {name: statistics.median(found), f"{name}_least": min(found), f"{name}_most": max(found)}
    ratios = [slow / fast for slow, fast in zip(seconds["textbook"], seconds["skyreel"], strict=True)]
    return result | {
        "ratio": statistics.median(ratios),
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
    }


def main() -> int:
    """Print the figures; 1 when a sentence differs or `full` is below the ratio required, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beam", description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    results = {name: measure(ending) for name, ending in ENDINGS.items()}
    if as_json:
        lines = [json.dumps(results)]
    else:
        lines = []
        for kind, result in results.items():
            for name in ("textbook", "skyreel"):
                spread = f"({1000 * result[f'{name}_least']:.0f} to {1000 * result[f'{name}_most']:.0f})"
                lines.append(f"{kind:6s}{name:9s} {1000 * result[name]:8.1f} ms a clip  {spread}")
            spread = f"({result['ratio_least']:.1f} to {result['ratio_most']:.1f} in {PASSES} passes)"
            lines.append(f"{kind:6s}ratio     {result['ratio']:8.1f} {spread}")
            differ = f"{result['differing']:.0f} of {CLIPS} clips differ"
            lines.append(f"{kind:6s}{differ}; sentences of {result['length']:.1f} tokens")
        lines.append(f"required ratio (full): {REQUIRED}")
    sys.stdout.write("\n".join(lines) + "\n")
    same = all(result["differing"] == 0 for result in results.values())
    return 0 if same and results["full"]["ratio"] >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())
