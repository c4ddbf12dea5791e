"""Whom a decision is told: a command, a line in a file, or a POST. None of them can harm a shot."""

import json
import logging
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from datamodules.options import Options, sentence
from pipelines.redact import masked, settings_without_secrets
from pipelines.retraining.decision import Decision, Outcome
from pipelines.retraining.webhook import NotDeliveredError, post
from pipelines.rundir import writable

log = logging.getLogger(__name__)

TOLD = ("job", "shot", "model", "outcome", "reason", "champion", "challenger", "former", "now", "ended")
"""What an alert says of a decision, beside the whole of it and a sentence."""
TARGETS = {"command": "command", "file": "path", "webhook": "url"}
"""The key that says where an alert of a kind goes."""


def _check_url(url: str) -> str:
    if not re.match(r"https?://.|\$\w|\$\{\w", url):
        raise sentence("an address begins with http:// or https://, or is $NAME from the environment")
    return url


class AlertOptions(Options):
    """One way to tell a decision.

    kind: command, file or webhook.
    when: the outcomes that are told, of promoted, refused, failed, rolled_back, nothing, busy.
    command: a program and its arguments, started without a shell (command). It gets the decision as JSON on
        its standard input, and in SKYREEL_JOB, SKYREEL_OUTCOME, SKYREEL_REASON and so on.
    path: the file that gets a line of JSON (file).
    url: the address that gets a POST of JSON (webhook); $NAME in it is the environment's, for secrets.
    seconds: that a command, or a POST with all its tries, may take.
    tries: of a POST, as long as the fault may pass.
    """

    kind: Literal["command", "file", "webhook"]
    when: list[Outcome] = Field(default=["promoted", "refused", "failed", "rolled_back"], min_length=1)
    command: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    path: str | None = Field(default=None, min_length=1)
    url: Annotated[str, AfterValidator(_check_url)] | None = None
    seconds: float = Field(default=15.0, gt=0, le=300)
    tries: int = Field(default=3, ge=1, le=10)

    @model_validator(mode="after")
    def _check(self) -> Self:
        wanted = TARGETS[self.kind]
        given = [key for key in TARGETS.values() if getattr(self, key) is not None]
        if given != [wanted]:
            found = f"; found {', '.join(given)}" if given else ""
            raise sentence(f"an alert of kind {self.kind} goes to its {wanted}, and to that alone{found}")
        return self


@dataclass(frozen=True)
class Sent:
    """What became of one alert; `told` is why, where it was not `ok`."""

    kind: str
    ok: bool
    told: str = ""


def message(decision: Decision) -> dict[str, Any]:
    """What an alert says: a sentence (`text`), the parts of it, and the whole `decision`; no secrets."""
    plain = settings_without_secrets(decision.as_plain())
    text = f"{decision.job}, shot {decision.shot}: {decision.outcome}: {decision.reason}"
    found = {name: plain[name] for name in TOLD}
    reason = masked(decision.reason)
    return {"text": masked(text), **found, "reason": reason, "decision": {**plain, "reason": reason}}


def send(alerts: Sequence[AlertOptions], decision: Decision) -> list[Sent]:
    """What became of each alert that this decision has cause for. Failures are logged, never raised."""
    found = []
    for alert in alerts:
        if decision.outcome not in alert.when:
            continue
        try:
            _deliver(alert, message(decision))
        except Exception as error:
            kind = "" if isinstance(error, NotDeliveredError) else f"{type(error).__name__}: "
            why = masked(f"{kind}{error}")
            log.warning("an alert (%s) was not delivered: %s", alert.kind, why)
            found.append(Sent(alert.kind, False, why))
        else:
            found.append(Sent(alert.kind, True))
    return found


def _deliver(alert: AlertOptions, told: Mapping[str, Any]) -> None:
    """Tell it. Errors: whatever goes wrong."""
    text = writable(json.dumps(told, ensure_ascii=False, default=str))
    if alert.command is not None:
        _run(alert.command, alert.seconds, told, text)
    elif alert.path is not None:
        _append(Path(alert.path).expanduser(), text)
    elif alert.url is not None:
        post(alert.url, text.encode(), alert.seconds, alert.tries)


def _run(command: Sequence[str], seconds: float, told: Mapping[str, Any], text: str) -> None:
    """Run a command to its end; its process group is killed when its time is over.

    Its input and output are files: a child of it that lives on cannot hold up the shot.
    """
    values = {name: "" if told[name] is None else str(told[name]) for name in (*TOLD, "text")}
    variables = {f"SKYREEL_{name.upper()}": value.replace("\0", " ") for name, value in values.items()}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(text.encode())
        given.seek(0)
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise NotDeliveredError(f"{command[0]} took longer than seconds, {seconds:g}") from None
        finally:
            _kill(process)
        if status:
            said.seek(0)
            words = " / ".join(said.read().decode("utf-8", errors="replace").strip().splitlines()[-3:])
            raise NotDeliveredError(f"{command[0]} ended with {status}: {words}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Nothing of a command that is still at work is left."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _append(path: Path, text: str) -> None:
    """A line more, in one write, so that lines of several jobs do not mix; a pipe that nobody reads fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o644)
    try:
        os.write(descriptor, f"{text}\n".encode())
    finally:
        os.close(descriptor)
