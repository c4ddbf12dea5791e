"""Tokens and METEOR come from Java's programs; where one is missing or fails, the error says what and why."""

import shutil
import time
from pathlib import Path

import pytest

from lightning_modules.metrics.captions import java
from lightning_modules.metrics.captions.java import JavaError
from lightning_modules.metrics.captions.meteor import meteor
from lightning_modules.metrics.captions.ptb import tokenise

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java here")


@needs_java
def test_tokens_are_those_of_pycocoevalcap() -> None:
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    raw = [
        "A man's dog (brown), isn't here!",
        "Café ... “quoted” -- U.S.",
        "",
        "日本 🎈 x-y",
        "A 'b' c; d: e? f.",
    ]
    theirs = PTBTokenizer().tokenize({place: [{"caption": text}] for place, text in enumerate(raw)})
    assert tokenise(raw) == [theirs[place][0] for place in range(len(raw))]


@needs_java
def test_no_character_shifts_sentences_against_one_another() -> None:
    odd = ["\n\r", "\x0b\x0c\x1c\x1d\x1e", "\x85\u2028\u2029", "\ud83d", "\x00", "\u00a0", "\ufeff"]
    found = tokenise([f"a{signs}b" for signs in odd] + ["the last"])
    assert len(found) == len(odd) + 1
    assert found[-1] == "the last"
    assert tokenise([]) == []


@needs_java
def test_meteor_takes_what_other_scores_take() -> None:
    references = [["a cat sits", ""], ["", ""], ["日本 | a", "x\ny ||| z"]]
    assert 0 < meteor(["a cat sits", "", "a\n||| b"], references) < 1
    with pytest.raises(ValueError, match="1 hypotheses for 3 clips"):
        meteor(["a"], references)
    with pytest.raises(ValueError, match="0 hypotheses for 0 clips"):
        meteor([], [])


@needs_java
def test_what_java_wrote_is_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:NoSuchOption")
    with pytest.raises(JavaError, match=r"(?s)METEOR failed: it ended.*Java wrote:.*NoSuchOption"):
        meteor(["a cat"], [["a cat"]])
    with pytest.raises(JavaError, match=r"(?s)tokeniser ended with status 1.*Java wrote:.*NoSuchOption"):
        tokenise(["a cat"])


@needs_java
def test_java_that_takes_too_long_is_stopped() -> None:
    start = time.perf_counter()
    with pytest.raises(JavaError, match=r"METEOR was stopped after 0\.2 s"):
        meteor(["a cat"] * 5000, [["a cat"]] * 5000, timeout=0.2)
    with pytest.raises(JavaError, match=r"tokeniser was stopped after 0\.01 s"):
        tokenise(["a cat"], timeout=0.01)
    assert time.perf_counter() - start < 5


def test_a_missing_java_or_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JavaError, match="java is not on the path; install"):
        tokenise(["a cat"])
    (tmp_path / "java").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(JavaError, match=r"pycocoevalcap.*is not installed: pip install 'skyreel\[java\]'"):
        meteor(["a cat"], [["a cat"]])
