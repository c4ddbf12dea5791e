"""What each of several ranks does in a test of caption scores: real processes, real gathering."""

import os
from pathlib import Path

import torch
import torch.distributed

from lightning_modules.metrics.captions.torch_metrics import Bleu, CiderD

SAID = [
    ("a red ball rolls", ["a red ball rolls left", "the ball rolls"]),
    ("a box", ["a blue box falls down", "a box falls"]),
    ("two cats sit é 日本", ["two cats sit there", "cats"]),
    ("", ["nothing is to be seen here"]),
    ("a dog runs fast", ["a dog runs", "the dog runs very fast"]),
]


def sentences_of_ranks(rank: int, ranks: int) -> tuple[list[str], list[list[str]], list[int]]:
    """Hypotheses, references and clips of every so many clips, as a distributed sampler deals them."""
    clips = list(range(rank, len(SAID), ranks))
    return [SAID[clip][0] for clip in clips], [SAID[clip][1] for clip in clips], clips


def gather(rank: int, ranks: int, folder: Path) -> None:
    """Write BLEU-4 and CIDEr-D of all ranks; then CIDEr-D again where only the first rank had sentences."""
    os.environ.update(MASTER_ADDR="127.0.0.1")
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=ranks)
    hypotheses, references, clips = sentences_of_ranks(rank, ranks)
    bleu, dealt, alone = Bleu(), CiderD(), CiderD()
    for metric in (bleu, dealt):
        metric.update(hypotheses, references, clips)
    # A sampler that makes ranks even gives the last rank the first clip once more.
    dealt.update([SAID[0][0]], [SAID[0][1]], [0])
    if rank == 0:
        alone.update(*sentences_of_ranks(0, 1))
    found = [bleu.compute()[3].item(), dealt.compute().item(), alone.compute().item()]
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()
