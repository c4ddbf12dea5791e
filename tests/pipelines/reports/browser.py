"""A real Chromium for tests of pages, and what it complains of."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """The browser, headless; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install .[test]"
    )
    with playwright.sync_playwright() as found:
        browser = found.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page and what it said: errors of the console, addresses that it asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def opened(browser: Any, address: str, **options: Any) -> Iterator[Watched]:
    """The page at an address in a window of its own, all that it says and asks for kept."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    watched = Watched(context.new_page())
    page = watched.page
    page.set_default_timeout(60_000)
    page.on(
        "console", lambda one: watched.said.append(told(one)) if one.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: watched.said.append(str(error)))
    page.on("request", lambda one: watched.asked.append(one.url))
    try:
        page.goto(address)
        yield watched
    finally:
        context.close()


def told(message: Any) -> str:
    return f"{message.text} [{message.location.get('url', '')}]"


def all_pictures_drawn(page: Any) -> bool:
    """Whether there are pictures and every one of them has pixels."""
    sizes = page.evaluate("Array.from(document.images, one => one.complete ? one.naturalWidth : 0)")
    return bool(sizes) and min(sizes) > 0


def dead_links(page: Any) -> list[str]:
    """Links within the page that lead nowhere, and links that leave it."""
    found: list[str] = page.evaluate(
        """Array.from(document.links).map(one => one.getAttribute('href')).filter(
             one => !one.startsWith('#') || !document.getElementById(one.slice(1)))"""
    )
    return found


def address_of(path: Path) -> str:
    return path.absolute().as_uri()
