"""Clips as contact sheets: a film strip, the sentence, what people said, and where the decoder looked."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.captions.films import film_file
from pipelines.reports.markup import Html, element, joined, scrolled
from pipelines.reports.page import data_uri, picture_file
from pipelines.rundir import RunDir

MOST_CLIPS, MOST_ATTENTION, MOST_REFERENCES = 36, 12, 5
ROW = 18
"""Pixels that a word has in the picture of attention."""
WORDS = 110
"""Pixels beside the picture for the words."""


def captions_of(path: Path) -> list[dict[str, Any]]:
    """The captions in a file that judging or predicting left; none where it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def clips_section(run: RunDir) -> Html:
    """The first test clips with their sentences; for the first of them what each word looked at."""
    written = captions_of(run.predictions / "test.json")
    shown = [_clip(run, number, one) for number, one in enumerate(written[:MOST_CLIPS], start=1)]
    if not shown:
        return Html("")
    if not film_file(run, 1).exists():
        sheets = sorted(run.plots.glob("clips_*.png"))
        shown += [joined(picture_file(path, f"Contact sheet {path.stem}")) for path in sheets]
    about = f"The first {len(shown)} of {len(written)} test clips." if len(written) > len(shown) else None
    return joined(
        element("p", about, class_="about") if about else None, element("div", shown, class_="clips")
    )


def _clip(run: RunDir, number: int, one: Mapping[str, Any]) -> Html:
    sentence = str(one.get("caption") or "(nothing)")
    film = film_file(run, number)
    name = str(one.get("clip", number))
    attention = one.get("attention")
    rivals = [str(rival.get("caption", "")) for rival in (one.get("n_best") or [])[1:4]]
    return element(
        "article",
        element("h3", _titled(name, one)),
        strip(film, name),
        element("p", sentence, class_="sentence"),
        _sayings(one.get("references") or ()),
        element(
            "details",
            element("summary", "Other sentences it weighed"),
            element("ul", [element("li", x) for x in rivals]),
        )
        if rivals
        else None,
        element("details", element("summary", "Where it looked, word by word"), looked)
        if number <= MOST_ATTENTION
        and isinstance(attention, Mapping)
        and (looked := attention_picture(film, attention))
        else None,
        class_="clip",
    )


def _titled(name: str, one: Mapping[str, Any]) -> str:
    start, stop = one.get("start"), one.get("stop")
    return name if start is None or stop is None else f"{name}, {start:g} to {stop:g} s"


def _sayings(references: Sequence[Any]) -> Html | None:
    """What people said of the clip."""
    if not references:
        return None
    left = len(references) - MOST_REFERENCES
    more = [element("li", f"and {left} more")] if left > 0 else []
    return element("ul", [element("li", one) for one in references[:MOST_REFERENCES]], more)


def strip(film: Path, name: str) -> Html | None:
    """The film strip in a box that scrolls; None where there is none."""
    size = _size(film)
    if size is None:
        return None
    alt = f"Frames of the clip {name}, in order"
    picture = element(
        "img",
        src=data_uri(film.read_bytes(), "image/jpeg"),
        alt=alt,
        width=size[0],
        height=size[1],
    )
    return element("div", scrolled(picture, alt), class_="film")


def _size(film: Path) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(film) as picture:
            return picture.size
    except OSError:
        return None


def attention_picture(film: Path, attention: Mapping[str, Any]) -> Html | None:
    """How much each word looked at each frame: a row a word, a column a frame, darker is more.

    The columns stand below the frames of the strip. None where there is no attention.
    """
    words = [str(word) for word in attention.get("words") or ()]
    weights = [list(row) for row in attention.get("weights") or ()][: len(words)]
    if not words or not weights or not weights[0]:
        return None
    count = len(weights[0])
    size = _size(film)
    width = size[0] if size else 40 * count
    times = list(attention.get("frame_times") or ())
    darkest = max((value for row in weights for value in row), default=1.0)
    darkest = max(darkest, min(1.0, 3 / count))  # equal attention to all frames is pale
    rows = [
        _word(number, word, row, width / count, darkest, times)
        for number, (word, row) in enumerate(zip(words, weights, strict=False))
    ]
    bottom = ROW * len(rows)
    labels = [
        element(
            "text",
            f"{time:.1f} s",
            x=round((place + 0.5) * width / count, 1),
            y=bottom + 14,
            text_anchor="middle",
        )
        for place, time in enumerate(times)
        if isinstance(time, int | float)
        and math.isfinite(time)
        and place % max(1, round(count / (width / 45))) == 0
    ]
    told = "; ".join(_told(word, row, times) for word, row in zip(words, weights, strict=False))
    drawn = element(
        "svg",
        element("title", f"Attention of each word over the frames. {told}"),
        rows,
        labels,
        viewbox=f"0 0 {width + WORDS} {bottom + 20}",
        width=width + WORDS,
        height=bottom + 20,
        role="img",
    )
    return element("div", scrolled(drawn, "Attention of each word"), class_="film")


def _word(
    number: int, word: str, row: Sequence[float], step: float, darkest: float, times: Sequence[Any]
) -> list[Html]:
    """The cells of one word, and the word to the right of them."""
    top = number * ROW
    cells = [
        element(
            "rect",
            x=round(place * step, 1),
            y=top + 1,
            width=round(step - 1, 1),
            height=ROW - 2,
            fill_opacity=round(min(1.0, value / darkest), 2),
            class_="heat",
        )
        for place, value in enumerate(row)
        if value / darkest > 0.02
    ]
    end = round(step * len(row))
    frame = element("rect", x=0, y=top + 0.5, width=end, height=ROW - 1, class_="cell")
    return [frame, *cells, element("text", word, x=end + 8, y=top + 13, class_="name")]


def _told(word: str, row: Sequence[float], times: Sequence[Any]) -> str:
    """Where a word looked most, in words."""
    most = max(range(len(row)), key=lambda place: row[place])
    time = times[most] if most < len(times) else None
    where = f"{time:.1f} s" if isinstance(time, int | float) else f"frame {most + 1}"
    return f"{word}: most at {where}"
