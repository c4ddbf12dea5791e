"""Maps as small exact pictures: a pixel a cell, one colour scale for what is compared, no axes to shrink."""

import io
import math
from collections.abc import Callable, Sequence

import numpy as np

from pipelines.reports.markup import Html, element
from pipelines.reports.numbers import figure
from pipelines.reports.page import data_uri

VALUES, ERRORS = "viridis", "RdBu_r"
SHADES = 255
"""Colours of a scale; one more stands for nothing."""


class Scale:
    """A colour scale over `low` to `high`, of which the palette is Matplotlib's `colours`."""

    def __init__(self, low: float, high: float, colours: str) -> None:
        self.low, self.high, self.colours = low, high if high > low else low + 1.0, colours

    @staticmethod
    def of(values: np.ndarray, colours: str = VALUES, *, from_zero: bool = False) -> "Scale":
        """Over 99 % of the finite values (from 0 where asked for)."""
        finite = values[np.isfinite(values)]
        if not finite.size:
            return Scale(0.0, 1.0, colours)
        low, high = (float(one) for one in np.quantile(finite, (0.005, 0.995)))
        return Scale(0.0 if from_zero else low, high, colours)

    @staticmethod
    def around_zero(values: np.ndarray) -> "Scale":
        """As far below zero as above it, over 99 % of the finite values: zero is white."""
        finite = np.abs(values[np.isfinite(values)])
        size = float(np.quantile(finite, 0.99)) if finite.size else 1.0
        return Scale(-(size or 1.0), size or 1.0, ERRORS)

    def palette(self) -> bytes:
        """256 colours, three bytes each; the last one stands for nothing."""
        from matplotlib import colormaps

        shades = colormaps[self.colours](np.linspace(0, 1, SHADES))[:, :3]
        return (shades * 255).round().astype(np.uint8).tobytes() + b"\x80\x80\x80"

    def png(self, field: np.ndarray) -> bytes:
        """The PNG of `field` (row, column), one pixel a cell; what is not finite is transparent."""
        from PIL import Image

        share = (np.nan_to_num(field) - self.low) / (self.high - self.low)
        shade = np.clip(np.round(share * (SHADES - 1)), 0, SHADES - 1).astype(np.uint8)
        picture = Image.fromarray(np.where(np.isfinite(field), shade, SHADES).astype(np.uint8))
        picture.putpalette(self.palette())
        content = io.BytesIO()
        picture.save(content, format="PNG", optimize=True, transparency=SHADES)
        return content.getvalue()

    def bar(self, label: str) -> Html:
        """The scale drawn, with its ends and what it is of."""
        strip = self.png(np.linspace(self.low, self.high, SHADES)[None, :])
        middle = (self.low + self.high) / 2
        texts = (("start", 1, self.low), ("middle", 120, middle), ("end", 239, self.high))
        return element(
            "figure",
            element(
                "svg",
                element("title", f"Colours from {figure(self.low)} to {figure(self.high)}: {label}"),
                element(
                    "image",
                    href=data_uri(strip, "image/png"),
                    x=0, y=0, width=240, height=10, preserveaspectratio="none",
                ),
                [element("text", figure(value), x=x, y=24, text_anchor=at) for at, x, value in texts],
                viewbox="0 0 240 28", width=240, height=28, role="img",
            ),
            element("figcaption", label),
        )  # fmt: skip


def map_panel(scale: Scale, field: np.ndarray, caption: str, alt: str) -> Html:
    """One map with its caption; `field` has north up."""
    rows, columns = field.shape
    uri = data_uri(scale.png(field), "image/png")
    return element(
        "figure",
        element("img", src=uri, alt=alt, width=8 * columns, height=8 * rows),
        element("figcaption", caption),
    )


def north_up(lat: np.ndarray, lon: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What turns maps (..., lat, lon) so that north is up, east is right, and cells are as tall as they are.

    Degrees of longitude are drawn as wide as degrees of latitude are tall, times cos(latitude) amid the map,
    by repeating rows or columns; unequal latitudes are drawn at even distances by the nearest row.
    """
    if lat.ndim != 1 or lon.ndim != 1 or not (np.isfinite(lat).all() and np.isfinite(lon).all()):
        return lambda maps: (
            maps if lat.ndim == 1 or float(lat[0].mean()) > float(lat[-1].mean()) else maps[..., ::-1, :]
        )
    rows = _even(lat)[::-1]
    columns = _even(np.unwrap(lon, period=360.0))
    tall = _step(lat)
    wide = _step(np.unwrap(lon, period=360.0)) * max(0.25, math.cos(math.radians(float(np.mean(lat)))))
    down, across = (max(1, round(one / min(tall, wide))) for one in (tall, wide))
    rows, columns = np.repeat(rows, min(down, 6)), np.repeat(columns, min(across, 6))
    return lambda maps: maps[..., rows, :][..., columns]


def _even(places: np.ndarray) -> np.ndarray:
    """For as many even places from the smallest to the largest, the nearest of `places`."""
    wanted = np.linspace(places.min(), places.max(), len(places))
    return np.asarray(np.abs(places[None, :] - wanted[:, None]).argmin(axis=1))


def _step(places: np.ndarray) -> float:
    """Degrees between neighbours along the last axis."""
    return float(np.ptp(places)) / max(1, places.shape[-1] - 1) or 1.0


def extent(lat: np.ndarray, lon: np.ndarray) -> str:
    """Where the map lies: 60°N to 25°N, 160°W to 105°W; north is up."""
    if not (np.isfinite(lat).all() and np.isfinite(lon).all()):
        return "rows and columns of the grid"
    turned = np.unwrap(lon, period=360.0) if lon.ndim == 1 else lon
    north, south = _degrees(float(lat.max()), "N", "S"), _degrees(float(lat.min()), "N", "S")
    if float(np.ptp(turned)) >= 360 - 1.5 * _step(turned):
        return (
            f"{south} to {north}, all longitudes from {_degrees(float(lon.flat[0]), 'E', 'W')}; north is up"
        )
    west, east = (_degrees((float(one) + 180) % 360 - 180, "E", "W") for one in (turned.min(), turned.max()))
    return f"{south} to {north}, {west} to {east}; north is up"


def _degrees(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):.4g}°{positive if value > 0 else negative if value < 0 else ''}"


def slider(frames: Sequence[tuple[str, Html]], label: str, name: str) -> Html:
    """Frames of which a slider shows one; without the script, and on paper, all stand one below the other.

    frames: (name, content); name: of the slider, its own on the page.
    """
    control = element(
        "div",
        element("label", label, for_=name),
        element("input", type="range", id=name, min=0, max=len(frames) - 1, step=1, value=0),
        element("output", frames[0][0], for_=name),
        class_="slider",
        hidden=True,
    )
    shown = [
        element("div", element("p", one, class_="quiet stacked"), inside, class_="frame", data_name=one)
        for one, inside in frames
    ]
    return element("div", control, shown, class_="frames")
