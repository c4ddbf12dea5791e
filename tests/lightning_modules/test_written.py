"""What many ranks wrote is gathered by clip, each once, whichever rank had which, or none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from lightning_modules.clip_sentences import ClipSentences, gathered
from lightning_modules.metrics.captions.written import Written, WrittenSentences, words_of

TOKENS = torch.tensor([[4, 5, 2], [6, 2, 0], [2, 0, 0], [7, 8, 9]])
SENTENCES = {0: [4, 5], 1: [6], 2: [], 3: [7, 8, 9]}


def test_sentences_end_at_their_end() -> None:
    assert [words_of(row) for row in TOKENS.tolist()] == [[4, 5], [6], [], [7, 8, 9]]


def test_each_clip_counts_once_and_the_missing_are_known() -> None:
    metric = WrittenSentences(6, max_words=3)
    metric.update(TOKENS[2:], torch.tensor([3, 0]))
    metric.update(TOKENS[:, :2], torch.tensor([1, 4, 3, 0]))
    assert metric.compute() == Written({0: [7, 8, 9], 1: [4, 5], 3: [], 4: [6]}, [2, 5])
    metric.reset()
    metric.update(TOKENS[:1], torch.tensor([5]))
    assert metric.compute() == Written({5: [4, 5]}, [0, 1, 2, 3, 4])


def test_longer_sentences_than_announced_are_refused() -> None:
    with pytest.raises(ValueError, match="sentences of 3 tokens; WrittenSentences takes 2"):
        WrittenSentences(4, max_words=1).update(TOKENS, torch.arange(4))


def on_a_rank(rank: int, folder: str) -> None:
    """Write what two ranks found together: once both have some, once the first has nothing."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    told = []
    for mine in (slice(0, 3), slice(2, 4)) if rank else (slice(1, 4), slice(0, 0)):
        metric = WrittenSentences(5, max_words=3)
        metric.update(TOKENS[mine], torch.arange(4)[mine])
        times = np.zeros(0)
        found = {
            n: ClipSentences([words_of(TOKENS[n].tolist())], [0.0], [0.0], times, None)
            for n in range(4)[mine]
        }
        collected = {number: one.tokens[0] for number, one in gathered(found).items()}
        told.append((*metric.compute(), collected))
    torch.save(told, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


def test_all_ranks_know_what_all_ranks_wrote(tmp_path: Path) -> None:
    multiprocessing.spawn(on_a_rank, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        both, one = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert both == (SENTENCES, [4], SENTENCES)
        assert one == ({2: [], 3: [7, 8, 9]}, [0, 1, 4], {2: [], 3: [7, 8, 9]})
