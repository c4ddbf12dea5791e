"""Pictures of captioned clips: contact sheets, and where the decoder looks while it writes."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from pipelines.figures import INK, QUIET, new_figure, save

SHOWN_FRAMES = 6
ROWS = 12
"""Clips on one sheet."""
ACCENT = "#0072B2"


@dataclass(frozen=True, eq=False)
class Captioned:
    """A clip as pictures show it.

    frames: uint8 (frame, height, width, 3); 0 frames where only features are known.
    times: float (frame,) seconds.       attention: (word, frame), rows sum to 1; None where there is none.
    words: of the sentence, one a row of `attention`, the end among them.
    """

    clip: str
    frames: np.ndarray
    times: np.ndarray
    sentence: str
    references: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    attention: np.ndarray | None = None


def contact_sheet(path: Path, clips: Sequence[Captioned], title: str = "") -> Path:
    """The PNG: a row a clip, some of its frames, the sentence, and what people said."""
    shown = list(clips[:ROWS])
    figure = new_figure(12.0, 0.2 + 1.15 * max(1, len(shown)))
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    grid = figure.subplots(len(shown), SHOWN_FRAMES + 1, squeeze=False, width_ratios=[1] * SHOWN_FRAMES + [6])
    for row, one in zip(grid, shown, strict=True):
        for axes in row:
            axes.axis("off")
        _film(row[:SHOWN_FRAMES], one)
        _said(row[SHOWN_FRAMES], one)
    return save(figure, path)


def _film(panels: Sequence[Axes], one: Captioned) -> None:
    """Evenly chosen frames, each with its time."""
    count = len(one.frames)
    if not count:
        return
    places = np.unique(np.linspace(0, count - 1, len(panels)).round().astype(int))
    for panel, place in zip(panels, places, strict=False):
        panel.imshow(one.frames[place], interpolation="nearest", aspect="equal")
        time = one.times[place]
        if np.isfinite(time):
            panel.set_title(f"{time:.1f} s", fontsize=6, color=QUIET, pad=1.5)


def _said(axes: Axes, one: Captioned) -> None:
    """The sentence above what people said."""
    lines = textwrap.wrap(one.sentence or "(nothing)", 72) or [""]
    people = [line for text in one.references[:3] for line in textwrap.wrap(text, 92)[:1]]
    axes.text(
        0.02, 0.96, "\n".join(lines[:2]), va="top", fontsize=10.5, color=ACCENT, transform=axes.transAxes
    )
    axes.text(
        0.02,
        0.66 if len(lines) == 1 else 0.5,
        "\n".join(people),
        va="top",
        fontsize=8,
        color=INK,
        linespacing=1.35,
        transform=axes.transAxes,
    )


def attention_picture(path: Path, one: Captioned) -> Path | None:
    """The PNG of one clip: its frames over a map (word, frame) of attention; None without attention."""
    if one.attention is None or not one.words or not len(one.attention):
        return None
    weights = one.attention[: len(one.words)]
    count = weights.shape[1]
    width = min(14.0, 1.8 + 0.7 * count)
    figure = new_figure(width, 1.2 + 0.28 * len(one.words))
    title = "\n".join(textwrap.wrap(one.sentence, int(9 * width)))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=ACCENT)
    film, chart = figure.subplots(2, 1, height_ratios=[1, max(1.0, 0.3 * len(one.words))], squeeze=True)
    film.axis("off")
    if len(one.frames):
        film.imshow(np.concatenate(list(one.frames[:count]), axis=1), aspect="auto", interpolation="nearest")
    darkest = max(float(weights.max()), min(1.0, 3 / count))  # equal attention to all frames is pale
    drawn = chart.imshow(weights, aspect="auto", cmap="Blues", vmin=0.0, vmax=darkest)
    chart.set_yticks(range(len(one.words)), one.words, fontsize=9)
    times = one.times[:count]
    labels = [f"{time:.1f}" for time in times] if np.isfinite(times).all() else [str(i) for i in range(count)]
    chart.set_xticks(range(count), labels, fontsize=7)
    chart.set_xlabel("seconds" if np.isfinite(times).all() else "frame", fontsize=9)
    figure.colorbar(drawn, ax=chart, label="attention", fraction=0.03)
    return save(figure, path)
