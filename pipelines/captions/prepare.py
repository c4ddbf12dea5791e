"""Captions read, every clip opened once, and what there is to learn from."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.video.words import split_words
from pipelines.captions.data import ClipData, open_clips
from pipelines.console import rank
from pipelines.verbs import Call

if TYPE_CHECKING:
    from rich.console import RenderableType


def prepare_clips(call: Call) -> dict[str, Any]:
    """Check captions and clips, make stored features where they are asked for, and show what was found.

    Returns what `describe` returns, and `features`, the folder of the store.
    """
    settings = call.settings
    data = open_clips(settings.clips, Path(settings.paths.stores), settings.seed)
    report = describe(data)
    if settings.clips.features != "pixels":
        from pipelines.captions.features import open_features

        features = open_features(settings, data)
        assert features is not None
        report["features"] = {"digest": features.digest, "cells": features.cells, "width": features.width}
    if not call.json and not rank():
        from rich.console import Console

        Console().print(render(report))
    return report


def describe(data: ClipData) -> dict[str, Any]:
    """What the clips and captions hold, as plain JSON values.

    Keys: digest, splits (by name: clips, asked, captions, words a caption, unknown_share), vocabulary (kind,
    size, frequent), bad_clips (id -> reason), sources.
    """
    vocabulary, splits = data.vocabulary, {}
    counts: Counter[str] = Counter()
    for name, clips in data.splits.items():
        captions = [caption for clip in clips for caption in clip.captions]
        lengths = [len(split_words(caption)) for caption in captions]
        splits[name] = {
            "clips": len(clips),
            "asked": data.asked[name],
            "captions": len(captions),
            "words_a_caption": round(sum(lengths) / max(len(lengths), 1), 2),
            "unknown_share": round(vocabulary.unknown_share(captions), 5),
        }
        if name == "train":
            counts.update(word for caption in captions for word in split_words(caption))
    return {
        "digest": data.digest,
        "splits": splits,
        "vocabulary": {
            "kind": vocabulary.kind,
            "size": vocabulary.size,
            "frequent": [word for word, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:12]],
        },
        "bad_clips": dict(data.bad),
        "sources": [str(path) for path in data.sources],
    }


def render(report: Mapping[str, Any]) -> "RenderableType":
    """The report as a quiet table for a terminal (rich)."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    splits = Table("split", "clips", "captions", "words a caption", "unknown words", box=None)
    splits.header_style = "bold"
    for column in splits.columns[1:]:
        column.justify = "right"
    for name, one in report["splits"].items():
        asked = "" if one["asked"] == one["clips"] else f" of {one['asked']:,}"
        splits.add_row(
            name,
            f"{one['clips']:,}{asked}",
            f"{one['captions']:,}",
            f"{one['words_a_caption']:.1f}",
            f"{one['unknown_share']:.1%}",
        )
    words = report["vocabulary"]
    lines = [
        f"vocabulary  {words['size']:,} {'words' if words['kind'] == 'words' else 'pieces'} from training "
        f"captions: {', '.join(words['frequent'])} ...",
        *(f"source      {source}" for source in report["sources"]),
    ]
    if "features" in report:
        found = report["features"]
        lines.append(
            f"features    {found['cells']} places of {found['width']} a frame, {found['digest'][:12]}"
        )
    bad = [
        Text(f"bad clip: {clip}: {reason}", style="yellow") for clip, reason in report["bad_clips"].items()
    ]
    return Group(splits, Text(), *map(Text, lines), *bad[:20])
