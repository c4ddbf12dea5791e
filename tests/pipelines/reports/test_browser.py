"""Pages in a real browser: no error, nothing fetched, pictures drawn, the slider moves without a mouse."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.reports.decision_page import decision_page
from pipelines.reports.report import report_page
from tests.pipelines.conftest import Trained
from tests.pipelines.reports.browser import address_of, all_pictures_drawn, chromium, dead_links, opened
from tests.pipelines.reports.decisions import captioner_run, decision

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    clips = [captioner_run(folder, name, f"a man {name}") for name in ("a", "b")]
    Image.fromarray(np.zeros((90, 900, 3), np.uint8)).save(folder / "changed_1.png")
    return {
        "run": report_page([trained.run], folder / "run.html"),
        "clips": report_page(clips[:1], folder / "clips.html"),
        "two": report_page(clips, folder / "two.html"),
        "decision": decision_page(decision(), folder, folder / "decision.html"),
    }


@pytest.mark.parametrize("name", ["run", "clips", "two", "decision"])
@pytest.mark.parametrize(
    "window", [{}, {"viewport": PHONE, "color_scheme": "dark"}], ids=["desktop", "phone"]
)
def test_a_page_is_whole_by_itself(
    name: str, window: dict[str, Any], browser: Any, pages: dict[str, Path]
) -> None:
    address = address_of(pages[name])
    with opened(browser, address, **window) as watched:
        page = watched.page
        assert all_pictures_drawn(page)
        assert dead_links(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
        assert page.evaluate("Array.from(document.images).every(one => one.alt)")
        assert watched.said == []
        assert [one for one in watched.asked if not one.startswith("data:")] == [address]


def shown_leads(page: Any) -> list[str]:
    found: list[str] = page.evaluate(
        """Array.from(document.querySelectorAll('.frame')).filter(
             one => one.offsetHeight > 0).map(one => one.dataset.name)"""
    )
    return found


def test_the_keyboard_moves_the_lead_time_and_the_picture(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, address_of(pages["run"])) as watched:
        page = watched.page
        slider = page.locator("input[type=range]").first
        for _ in range(60):
            page.keyboard.press("Tab")
            if slider.evaluate("one => one === document.activeElement"):
                break
        assert slider.evaluate("one => one === document.activeElement"), "Tab reaches it"
        assert slider.evaluate("one => getComputedStyle(one).outlineStyle") != "none", "and shows it"
        assert shown_leads(page) == ["+6h"]
        before = page.locator(".frame:not([hidden]) img").first.get_attribute("src")
        page.keyboard.press("ArrowRight")
        assert shown_leads(page) == ["+12h"]
        assert page.locator(".frame:not([hidden]) img").first.get_attribute("src") != before
        assert slider.get_attribute("aria-valuetext") == "+12h"
        assert page.locator("output").first.text_content() == "+12h"


def test_without_scripts_and_on_paper_every_lead_time_is_there(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, address_of(pages["run"]), java_script_enabled=False) as watched:
        frames = watched.page.locator(".frame")
        assert [frames.nth(number).is_visible() for number in range(2)] == [True, True]
        assert not watched.page.locator("input[type=range]").is_visible()
    with opened(browser, address_of(pages["run"])) as watched:
        watched.page.emulate_media(media="print")
        assert shown_leads(watched.page) == ["+6h", "+12h"]


def test_every_link_leads_to_its_section(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, address_of(pages["run"]), viewport=PHONE) as watched:
        page = watched.page
        links = page.locator("nav a")
        assert links.count() >= 5
        for number in range(links.count()):
            links.nth(number).press("Enter")
            target = page.evaluate("location.hash.slice(1)")
            assert page.locator(f"[id='{target}'] h2").is_visible()
