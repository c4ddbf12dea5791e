"""Nothing but text comes out of text, whatever it holds."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.reports.markup import Html, element, facts, joined, section, table


@given(st.text())
def test_text_stays_text_in_content_and_attributes(text: str) -> None:
    found = element("p", text, title=text)
    inside = found.removeprefix("<p").removesuffix("</p>")
    assert inside.count("<") == 0
    assert inside.count(">") == 1
    assert inside.count('"') == 2


def test_markup_made_here_is_not_escaped_twice() -> None:
    assert joined("<", element("b", "&"), None, [1, "x"]) == "&lt;<b>&amp;</b>1x"


def test_what_is_absent_leaves_no_trace() -> None:
    assert facts([("a", None), ("b", "")]) == ""
    assert section("Title", Html("")) == ""
    assert element("input", checked=False, hidden=True, max=None) == "<input hidden>"


def test_tables_have_headers_a_reader_can_be_told() -> None:
    found = table(["lead", "rmse"], [["6 h", "1.0"]], caption="air")
    for part in (
        '<th scope="col">lead</th>',
        '<th scope="row">6 h</th>',
        "<caption>air</caption>",
        'tabindex="0"',
    ):
        assert part in found
