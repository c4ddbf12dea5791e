"""What a run leaves of its captions: sentences, scores, contact sheets; the same to MLflow."""

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from datamodules.video.clips import CaptionedClip
from datamodules.video.decode.read import read_frames
from datamodules.video.options import FrameOptions
from pipelines.captions.caption_files import as_json
from pipelines.captions.contact_sheet import ROWS, Captioned, attention_picture, contact_sheet
from pipelines.captions.data import ClipData
from pipelines.captions.films import write_films
from pipelines.captions.score_table import CaptionScores, write_scores
from pipelines.captions.written import Written
from pipelines.rundir import RunDir, write_metrics, write_text
from pipelines.settings import Settings
from pipelines.tracking.logger import JournalLogger

log = logging.getLogger(__name__)

ATTENTION_PICTURES = 4


def publish_captions(
    run: RunDir,
    data: ClipData,
    settings: Settings,
    written: Sequence[Written],
    scores: CaptionScores,
    logger: JournalLogger | None,
) -> None:
    """predictions/test.json, scores.csv, pictures, and last metrics.json, which marks the run as finished."""
    predictions = run.predictions / "test.json"
    write_text(predictions, as_json(written))
    write_scores(run.path / "scores.csv", scores)
    write_bad_clips(run, data.bad)
    pictures = draw(run, data.splits["test"], settings.clips.frames, written)
    write_metrics(run.metrics, scores.metrics)
    if logger is None:
        return
    logger.log_metrics(scores.metrics, step=logger.newest_step)
    for path in (predictions, run.path / "scores.csv", run.path / "bad_clips.csv"):
        if path.exists():
            logger.log_artifact(path)
    for picture in pictures:
        logger.log_artifact(picture, "plots")
    logger.log_table("scores", ("model", "metric", "value", "clips"), scores.rows())
    logger.log_table(
        "captions",
        ("clip", "sentence", "log_probability", "references", "frames"),
        [
            (
                one.clip,
                one.sentence,
                one.rivals[0].log_probability if one.rivals else None,
                " | ".join(one.references),
                f"plots/clips_{number // ROWS + 1}.png" if number < sheets(len(written)) * ROWS else "",
            )
            for number, one in enumerate(written)
        ],
    )


def sheets(clips: int, most: int = 4) -> int:
    """How many contact sheets are drawn for so many clips."""
    return min(most, -(-clips // ROWS))


def write_bad_clips(run: RunDir, bad: Mapping[str, str]) -> None:
    """Publish `bad_clips.csv` (clip, reason) where there are any; one of an earlier look is taken away."""
    if not bad:
        (run.path / "bad_clips.csv").unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("clip", "reason"))
    writer.writerows(sorted(bad.items()))
    write_text(run.path / "bad_clips.csv", text.getvalue())


def draw(
    run: RunDir, clips: Sequence[CaptionedClip], frames: FrameOptions, written: Sequence[Written]
) -> list[Path]:
    """Contact sheets and film strips of the first clips, and where the decoder looked in some of them."""
    count = sheets(len(written)) * ROWS
    shown = [_shown(clip, one, frames) for clip, one in zip(clips[:count], written[:count], strict=True)]
    write_films(run, shown)
    paths = [
        contact_sheet(
            run.plots / f"clips_{page + 1}.png",
            shown[page * ROWS : (page + 1) * ROWS],
            f"{run.path.name}: test clips {page * ROWS + 1} to {min(len(shown), (page + 1) * ROWS)}",
        )
        for page in range(sheets(len(written)))
    ]
    looked = [
        attention_picture(run.plots / f"attention_{number + 1}.png", one)
        for number, one in enumerate(shown[:ATTENTION_PICTURES])
    ]
    return paths + [path for path in looked if path is not None]


def _shown(clip: CaptionedClip, one: Written, options: FrameOptions) -> Captioned:
    """The clip with its frames, where there is a file, as the judge chose them."""
    if clip.file is None:
        frames, times = np.empty((0, 1, 1, 3), np.uint8), one.times
    else:
        found = read_frames(clip.file, options, start=clip.start, stop=clip.stop)
        frames, times = found.pixels, found.times
    return Captioned(
        clip.id, frames, times, one.sentence, clip.captions, words=one.words, attention=one.attention
    )
