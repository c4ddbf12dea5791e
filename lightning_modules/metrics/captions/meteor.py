"""METEOR of a corpus, by its authors' program, in Java."""

import contextlib
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import IO

from lightning_modules.metrics.captions.java import close_input, encode, failure, kill, start
from lightning_modules.metrics.captions.prepared import References

JAR = "meteor/meteor-1.5.jar"
WORDS = ("Meteor", "-", "-", "-stdio", "-l", "en", "-norm")
MEMORY = "-Xmx2G"
NAME = "METEOR"
START_SECONDS = 120.0
SENTENCE_SECONDS = 0.25
"""How long the program may take: to load its paraphrases, and then for each hypothesis and reference."""
DIVIDER = "|||"


def meteor(hypotheses: Sequence[str], references: References, timeout: float | None = None) -> float:
    """METEOR 1.5 of the corpus (Denkowski and Lavie 2014), English, called as by pycocoevalcap; 0 to 1.

    hypotheses: (clip,) tokenised.     references: (clip, reference) tokenised; at least one a clip.
    timeout: seconds until Java is stopped; None: two minutes and a quarter of a second a sentence.
    Errors: JavaError where Java or pycocoevalcap is missing, fails, or takes too long; ValueError for another
    number of hypotheses than clips, or a clip without references.
    """
    if len(hypotheses) != len(references) or not all(references) or not hypotheses:
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} clips, which need one each")
    sentences = len(hypotheses) + sum(map(len, references))
    seconds = START_SECONDS + SENTENCE_SECONDS * sentences if timeout is None else timeout
    lines = [_question(*pair) for pair in zip(hypotheses, references, strict=True)]
    with tempfile.TemporaryFile() as errors, start(JAR, WORDS, errors, [MEMORY]) as process:
        late = threading.Event()
        clock = threading.Timer(seconds, _stop, [process, late])
        clock.start()
        try:
            return _converse(process, lines)
        except (OSError, ValueError, EOFError) as error:
            what = f"was stopped after {seconds:g} s" if late.is_set() else f"failed: {error}"
            raise failure(NAME, what, errors) from None
        finally:
            clock.cancel()
            kill(process)
            close_input(process)


def _stop(process: "subprocess.Popen[bytes]", late: threading.Event) -> None:
    """End the program because its time is up."""
    late.set()
    kill(process)


def _question(hypothesis: str, references: Sequence[str]) -> str:
    """The line that asks for the statistics of a hypothesis: the references, and it, between dividers."""
    parts = [" ".join(part.replace(DIVIDER, "").splitlines()) for part in (*references, hypothesis)]
    return f" {DIVIDER} ".join(["SCORE", *parts])


def _converse(process: "subprocess.Popen[bytes]", lines: Sequence[str]) -> float:
    """Ask for the statistics of every hypothesis, then for the score of all. EOFError when it has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    # Questions go out while answers come in: else both sides might wait on a full pipe.
    asking = threading.Thread(target=_ask, args=(process.stdin, lines))
    asking.start()
    try:
        statistics = [_answer(process.stdout) for _ in lines]
    except EOFError:
        kill(process)
        raise
    finally:
        asking.join()
    _ask(process.stdin, [f" {DIVIDER} ".join(["EVAL", *statistics])])
    answers = [_answer(process.stdout) for _ in range(len(lines) + 1)]  # each clip, then all
    return float(answers[-1])


def _ask(stdin: IO[bytes], lines: Sequence[str]) -> None:
    """Send lines. A program that has ended hears nothing, and whoever reads its answers will know."""
    with contextlib.suppress(BrokenPipeError):
        stdin.write(encode("".join(f"{line}\n" for line in lines)))
        stdin.flush()


def _answer(stdout: IO[bytes]) -> str:
    """One line; EOFError when the program has ended."""
    line = stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError("it ended before it had answered")
    return line.decode(errors="replace").strip()
