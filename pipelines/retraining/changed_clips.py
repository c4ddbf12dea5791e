"""The clips whose sentences changed most from champion to challenger, with a contact sheet each."""

from pathlib import Path
from typing import Any

import numpy as np

from datamodules.video.decode.read import read_frames
from pipelines.captions.contact_sheet import Captioned, contact_sheet
from pipelines.retraining.paired import Paired
from pipelines.retraining.paired_captions import judged_clips, kept_sentences
from pipelines.settings import Settings

SHOWN = 3
"""Clips that became better, and as many that became worse."""


def changed_clips(settings: Settings, folder: Path, paired: Paired) -> list[dict[str, Any]]:
    """The clips that gained and lost most CIDEr-D; contact sheets in `folder`.

    Keys: kind, better, picture (file name, None without frames), case (the clip), references, said
    {champion, challenger}, quantity, champion and challenger (scores).
    """
    rows = {row["clip"]: row for row in kept_sentences(folder)}
    clips = {clip.id: clip for clip in judged_clips(settings)}
    gain = np.nan_to_num(paired.challenger[:, 0] - paired.champion[:, 0])
    order = np.argsort(gain, kind="stable")
    chosen = [(True, place) for place in order[::-1][:SHOWN] if gain[place] > 0]
    chosen += [(False, place) for place in order[:SHOWN] if gain[place] < 0]
    found = []
    for number, (better, place) in enumerate(chosen, start=1):
        row, clip = rows[paired.cases[place]], clips[paired.cases[place]]
        picture = None
        if clip.file is not None:
            read = read_frames(clip.file, settings.clips.frames, start=clip.start, stop=clip.stop)
            about = f"{row['challenger'] or '(nothing)'}   (before: {row['champion'] or '(nothing)'})"
            shown = Captioned(clip.id, read.pixels, read.times, about, clip.captions)
            picture = contact_sheet(folder / f"changed_{number}.png", [shown], clip.id).name
        found.append(
            {
                "kind": "clips",
                "better": better,
                "picture": picture,
                "case": clip.id,
                "references": list(clip.captions),
                "said": {"champion": row["champion"], "challenger": row["challenger"]},
                "quantity": "cider_d",
                "champion": float(paired.champion[place, 0]),
                "challenger": float(paired.challenger[place, 0]),
            }
        )
    return found
