"""HTML in which nothing from a run can be anything but text: what is not `Html` is escaped."""

from collections.abc import Iterable
from html import escape
from typing import Any

VOID = ("img", "input", "meta")
"""Elements that have no content."""


class Html(str):
    """Markup that was made here, by `element` and `joined`; any other text is escaped where it is put."""

    __slots__ = ()


Child = object
"""Html, text (escaped), a number, None (nothing), or an iterable of these."""


def joined(*children: Child) -> Html:
    """The children one after the other; text among them escaped."""
    return Html("".join(_parts(children)))


def _parts(children: Iterable[Any]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            yield str(child)
        elif isinstance(child, (str, int, float)):
            yield escape(str(child))
        else:
            yield from _parts(child)


def element(name: str, *children: Child, **attributes: object) -> Html:
    """`<name ...>children</name>`. Attributes: `class_` is class, `_` is `-`; None and False are left out.

    True gives an attribute without a value; everything else is escaped.
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{shown}>")
    return Html(f"<{name}{shown}>{joined(*children)}</{name}>")


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    name = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio"}.get(name, name)
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def table(
    head: Iterable[Child], rows: Iterable[Iterable[Child]], caption: Child = None, *, numbers: bool = True
) -> Html:
    """A table that scrolls inside itself: the first cell of a row is its header, the others are figures.

    numbers: the cells after the first are figures, set to the right; else text.
    """
    first, *rest = list(head)
    heading = element(
        "tr", element("th", first, scope="col"), [element("th", one, scope="col") for one in rest]
    )
    body = []
    for row in rows:
        name, *cells = list(row)
        body.append(element("tr", element("th", name, scope="row"), [element("td", cell) for cell in cells]))
    label = None if caption is None else element("caption", caption)
    inside = element(
        "table",
        label,
        element("thead", heading),
        element("tbody", body),
        class_="numbers" if numbers else "text",
    )
    return scrolled(inside, str(first or "table"))


def scrolled(inside: Child, name: str) -> Html:
    """`inside` in a box of its own, which the keyboard can scroll where it is too wide."""
    return element("div", inside, class_="scroll", tabindex="0", role="region", aria_label=name)


def facts(pairs: Iterable[tuple[Child, Child]]) -> Html:
    """A list of names and what they are; pairs without a value are left out."""
    shown = [
        element("div", element("dt", name), element("dd", value))
        for name, value in pairs
        if value not in (None, "")
    ]
    return element("dl", shown) if shown else Html("")


def section(title: str, *children: Child, about: Child = None) -> Html:
    """A section with an anchor made of its title; nothing where it has no content."""
    inside = joined(*children)
    if not inside:
        return Html("")
    return element(
        "section",
        element("h2", title),
        None if about is None else element("p", about, class_="about"),
        inside,
        id=anchor(title),
    )


def anchor(title: str) -> str:
    """What a link to the section of this title points at."""
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower())


def code(text: str) -> Html:
    """A command or a file, as typed; long lines scroll."""
    return element("pre", element("code", text), tabindex="0")
