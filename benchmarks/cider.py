"""How fast a corpus is scored by CIDEr, against pycocoevalcap, in one run.

    python -m benchmarks.cider [--json]

670 clips (as many as MSVD's test split) with 40 references each, sentences of 4 to 12 words drawn from 5,000
by Zipf's law. Both sides score the same hypotheses. pycocoevalcap prepares its references anew in every pass;
ours are prepared once, and a pass splits, counts and scores 670 sentences. Preparation is told beside it. The
two take turns; times are medians of 5 passes with least and most, the ratio is the median over neighbouring
passes. Needs pycocoevalcap (skyreel[java]). Exits with 1 when a pass takes 0.1 s or longer, or the figures
differ by more than 1e-9.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from lightning_modules.metrics.captions.cider import CiderReferences

CLIPS, REFERENCES, WORDS = 670, 40, 5000
PASSES = 5
MOST_SECONDS = 0.1
MOST_DIFFERENCE = 1e-9

Sentences = list[str]


def make_corpus() -> tuple[Sentences, list[Sentences]]:
    """A hypothesis for every clip, and its references: noise in which frequent words are frequent."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, WORDS + 1)
    drawn = rng.choice(WORDS, size=(CLIPS, REFERENCES + 1, 12), p=share / share.sum())
    length = rng.integers(4, 13, size=(CLIPS, REFERENCES + 1))
    said = [
        [" ".join(f"w{word}" for word in words[:stop]) for words, stop in zip(clip, stops, strict=True)]
        for clip, stops in zip(drawn, length, strict=True)
    ]
    return [clip[0] for clip in said], [clip[1:] for clip in said]


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure() -> dict[str, float]:
    """Median, least and most seconds of both, and of our preparation; the ratio; the largest difference."""
    from pycocoevalcap.cider.cider import Cider

    hypotheses, references = make_corpus()
    prepared = CiderReferences(references)
    truths = dict(enumerate(references))
    results = {clip: [hypothesis] for clip, hypothesis in enumerate(hypotheses)}
    difference = np.abs(Cider().compute_score(truths, results)[1] - prepared.cider(hypotheses)).max()
    times: dict[str, list[float]] = {"pycocoevalcap": [], "skyreel": [], "preparation": []}
    for _ in range(PASSES):
        times["pycocoevalcap"].append(seconds(lambda: Cider().compute_score(truths, results)))
        times["skyreel"].append(seconds(lambda: prepared.cider(hypotheses)))
        times["preparation"].append(seconds(lambda: CiderReferences(references)))
    found: dict[str, float] = {}
    for name, passes in times.items():
        found[name] = statistics.median(passes)
        found[f"{name}_least"], found[f"{name}_most"] = min(passes), max(passes)
    ratios = [theirs / ours for theirs, ours in zip(times["pycocoevalcap"], times["skyreel"], strict=True)]
    return found | {"ratio": statistics.median(ratios), "difference": float(difference)}


def main() -> int:
    """Print the figures; 1 when a pass is too slow or figures differ, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cider", description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    found = measure()
    if as_json:
        lines = [json.dumps(found)]
    else:
        lines = [
            f"{name:13s} {found[name]:8.4f} s  ({found[f'{name}_least']:.4f} to "
            f"{found[f'{name}_most']:.4f} in {PASSES} passes)"
            for name in ("pycocoevalcap", "skyreel", "preparation")
        ]
        lines.append(f"ratio         {found['ratio']:8.1f}    (a pass under {MOST_SECONDS} s is required)")
        lines.append(f"difference    {found['difference']:8.1g}    (at most {MOST_DIFFERENCE})")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if found["skyreel"] < MOST_SECONDS and found["difference"] <= MOST_DIFFERENCE else 1


if __name__ == "__main__":
    sys.exit(main())
