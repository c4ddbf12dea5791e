"""A small set of generated clips, and settings for the verbs that a captioner trains with in seconds."""

from pathlib import Path

from datamodules.samples.clips import make_sample_clips

TINY = (
    "data=clips",
    "data.name=tiny",
    "data.frames.size=32",
    "data.frames.count=4",
    "data.batch_size=8",
    "data.vocabulary.min_count=1",
    "task.decoding.width=2",
    "task.decoding.n_best=2",
    "task.decoding.max_words=12",
    "model.encoder.channels=8",
    "model.encoder.depth=1",
    "model.recurrent.hidden=16",
    "model.decoder.hidden=16",
    "model.decoder.embedding=16",
    "model.decoder.attention_size=8",
    "trainer=cpu",
    "trainer.precision=32",
    "trainer.threads=1",
    "trainer.max_epochs=2",
    "seed=3",
)
"""A captioner that trains in seconds."""


def make_clips(folder: Path) -> Path:
    """A folder with clips/, captions.csv and facts.csv: 40 training clips, 30 validation, 30 test."""
    return make_sample_clips(folder, clips=40, seed=1)


def words(clips: Path, folder: Path, *more: str) -> list[str]:
    """The settings of a tiny run below `folder` on the clips that `make_clips` made."""
    return [
        *TINY,
        f"data.path={clips / 'clips'}",
        f"data.annotations={clips / 'captions.csv'}",
        f"data.facts={clips / 'facts.csv'}",
        f"paths.runs={folder / 'runs'}",
        f"paths.stores={folder / 'stores'}",
        "run.name=a",
        *more,
    ]
