"""The Penn Treebank's tokens, on which published caption scores are counted: Stanford's program, in Java."""

import subprocess
import tempfile
from collections.abc import Sequence

from lightning_modules.metrics.captions.java import encode, failure, kill, start

JAR = "tokenizer/stanford-corenlp-3.4.1.jar"
WORDS = ("edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase")
NAME = "the Penn Treebank tokeniser"
PUNCTUATION = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)
"""Tokens that pycocoevalcap drops."""


def tokenise(sentences: Sequence[str], *, timeout: float = 300.0) -> list[str]:
    """Each sentence in lower case, its tokens joined by one space, without punctuation; as pycocoevalcap's.

    A line break within a sentence is a space. One call for many sentences: starting Java takes most of a
    second. timeout: seconds until Java is stopped.
    Errors: JavaError where Java or pycocoevalcap is missing, fails, or takes too long.
    """
    if not sentences:
        return []
    text = "".join(" ".join(sentence.splitlines()) + "\n" for sentence in sentences)
    with tempfile.TemporaryFile() as errors, start(JAR, WORDS, errors) as process:
        try:
            output = process.communicate(encode(text), timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            raise failure(NAME, f"was stopped after {timeout:g} s", errors) from None
        finally:
            kill(process)
        if process.returncode != 0:
            raise failure(NAME, f"ended with status {process.returncode}", errors)
        lines = output.decode(errors="replace").split("\n")[:-1]
        if len(lines) != len(sentences):
            raise failure(NAME, f"gave {len(lines)} lines for {len(sentences)} sentences", errors)
    return [" ".join(word for word in line.rstrip().split(" ") if word not in PUNCTUATION) for line in lines]
