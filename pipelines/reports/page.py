"""The frame of every page: one file that asks nobody for anything, and runs no script but its own."""

import base64
import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pipelines.reports.markup import Child, Html, element, joined
from pipelines.reports.style import CSS, SCRIPT

ICON = "data:,"
"""An empty icon, so that a browser does not ask the server for one."""


def page(title: str, head: Child, sections: Iterable[Html], end: Child = None) -> str:
    """A whole HTML document: `head` below the title, links to the sections that have content, the sections.

    Its content security policy lets nothing be loaded and nothing run but what stands in the page.
    """
    shown = [one for one in sections if one]
    links = [(found["id"], found["title"]) for one in shown if (found := _ANCHOR.search(one))]
    contents = [element("li", element("a", Html(name), href=f"#{target}")) for target, name in links]
    made = f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by Skyreel; the page is complete in itself."
    body = joined(
        element("header", element("h1", title), head),
        element("nav", element("ul", contents), aria_label="Sections") if len(contents) > 1 else None,
        element("main", shown),
        element("footer", end, element("p", made)),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        + element("meta", http_equiv="Content-Security-Policy", content=_policy())
        + '\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        + element("title", title)
        + f'\n<link rel="icon" href="{ICON}">\n<style>{CSS}</style>\n</head>\n<body>\n{body}\n'
        + f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


_ANCHOR = re.compile(r'^<section id="(?P<id>[^"]*)"><h2>(?P<title>.*?)</h2>')


def _policy() -> str:
    """Nothing from anywhere; styles and the script by their digests, pictures within the page."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(CSS)}'; script-src '{_digest(SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def data_uri(content: bytes, kind: str) -> str:
    """`content` of a media type such as image/png as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture_file(path: Path, alt: str) -> Html | None:
    """The PNG or JPEG at `path` within the page; None where it is not there."""
    kind = {".png": "image/png", ".jpg": "image/jpeg"}.get(path.suffix)
    if kind is None or not path.is_file():
        return None
    return element("img", src=data_uri(path.read_bytes(), kind), alt=alt, class_="plain")
