"""A sentence is right when it names what is true of its clip, and nothing that is not."""

import pytest

from lightning_modules.metrics.captions.facts import named


def test_each_fact_and_all_of_them_are_counted() -> None:
    facts = {"thing": ["circle|disc", "square|box"], "colour": ["red", "blue"]}
    assert named(["A red disc.", "a blue square"], facts) == {"thing": 1, "colour": 1, "all": 1}
    assert named(["a red disc", "a red square"], facts) == {"thing": 1, "colour": 0.5, "all": 0.5}
    assert named(["red things", "a blue ball"], facts) == {"thing": 0, "colour": 1, "all": 0}
    assert named(["", "it moves"], facts) == {"thing": 0, "colour": 0, "all": 0}


def test_naming_a_wrong_value_beside_the_right_one_is_wrong() -> None:
    facts = {"colour": ["blue", "red", "deep blue"]}
    assert named(["a blue and red ball", "red", "deep blue"], facts)["colour"] == pytest.approx(2 / 3)


def test_alternatives_of_the_same_clip_may_stand_together() -> None:
    facts = {"thing": ["circle|disc|ball", "box"]}
    assert named(["the ball is a disc", "a box"], facts)["thing"] == 1


def test_the_longest_phrase_is_what_was_named() -> None:
    facts = {"motion": ["left to right", "left", "right"]}
    assert named(["it goes left to right", "it goes left", "it goes to the right"], facts)["motion"] == 1
    assert named(["it goes left", "left to right", "left to right"], facts)["motion"] == 0


def test_only_whole_words_name_something() -> None:
    facts = {"colour": ["red", "tan"]}
    assert named(["a hundred", "it stands"], facts)["colour"] == 0
    assert named(["Red!", "(TAN)"], facts)["colour"] == 1


def test_words_of_every_script_are_matched_in_either_normal_form() -> None:
    facts = {"thing": ["caf\u00e9", "日本", "l'été"]}
    assert named(["ein Cafe\u0301", "日本 is far", "L'ÉTÉ"], facts)["thing"] == 1


def test_a_clip_without_a_fact_does_not_count_in_its_column() -> None:
    facts = {"thing": ["ball", "box"], "count": ["two", ""]}
    assert named(["two ball", "a box"], facts) == {"thing": 1, "count": 1, "all": 1}
    assert named(["a ball", "two box"], facts) == {"thing": 1, "count": 0, "all": 0.5}


def test_a_clip_without_any_fact_does_not_count_among_all() -> None:
    facts = {"thing": ["ball", ""], "colour": ["red", ""]}
    assert named(["a red box", "whatever"], facts)["all"] == 0
    assert named(["a red ball", "whatever"], facts)["all"] == 1
    assert named(["a red ball"], {"thing": [""]}) == {"thing": 0, "all": 0}


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="thing has 1 values for 2 sentences"):
        named(["a", "b"], {"thing": ["a"]})
    with pytest.raises(ValueError, match="none of them named 'all'"):
        named(["a"], {"all": ["a"]})
    with pytest.raises(ValueError, match="facts need columns"):
        named(["a"], {})
