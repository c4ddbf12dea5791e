"""A POST that arrives within its time, or is given up; its address may be a secret and is told to nobody."""

import os
import re
import threading
import time
from typing import Any

PAUSE = 1.0
"""Seconds before a POST is tried again; twice as long each further time."""
PASSING = (408, 425, 429)
"""Answers below 500 after which trying again may help."""
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


class NotDeliveredError(Exception):
    """Why an alert did not arrive."""


def post(target: str, body: bytes, seconds: float, tries: int) -> None:
    """POST the JSON in `body`; it has arrived when this returns, after at most `seconds`.

    target: an address, in which $NAME and ${NAME} are taken from the environment.
    It works in a thread of its own: nothing else bounds the look-up of a name, or a server that answers drop
    by drop. Errors: NotDeliveredError, without the address.
    """
    address, until = address_of(target), time.monotonic() + seconds
    ended: list[Exception | None] = []

    def work() -> None:
        try:
            _try(address, body, tries, until)
            ended.append(None)
        except NotDeliveredError as error:
            ended.append(error)
        except Exception as error:  # its words may hold parts of the address
            ended.append(NotDeliveredError(f"the address cannot be used ({type(error).__name__})"))

    thread = threading.Thread(target=work, name="webhook", daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        raise NotDeliveredError(f"no answer within seconds, {seconds:g}")
    if (error := ended[0]) is not None:
        raise NotDeliveredError(str(error).replace(address, "the address")) from None


def address_of(target: str) -> str:
    """The address, with $NAME from the environment. Errors: NotDeliveredError."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not os.environ.get(name):
            raise NotDeliveredError(f"the environment has no {name}, which url names")
        return os.environ[name]

    address = VARIABLE.sub(value, target)
    if not address.startswith(("http://", "https://")):
        raise NotDeliveredError("the address does not begin with http:// or https://")
    return address


def _try(address: str, body: bytes, tries: int, until: float) -> None:
    """POST until the answer is 2xx. NotDeliveredError after the last try, or where another is no use."""
    from urllib.error import HTTPError, URLError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Stay(HTTPRedirectHandler):
        """An address that has moved is an error: its body would be lost on the way."""

        def redirect_request(self, *arguments: Any) -> None:
            return None

    opener = build_opener(Stay)
    headers = {"Content-Type": "application/json", "User-Agent": "skyreel"}
    for number in range(1, tries + 1):
        left = max(0.1, until - time.monotonic())
        try:
            with opener.open(Request(address, body, headers), timeout=left):
                return
        except HTTPError as error:
            error.close()
            why, passes = f"the server answered {error.code}", error.code >= 500 or error.code in PASSING
        except (URLError, OSError) as error:
            why, passes = f"the server cannot be reached ({getattr(error, 'reason', error)})", True
        wait = PAUSE * 2 ** (number - 1)
        if not passes or number == tries or time.monotonic() + wait >= until:
            raise NotDeliveredError(f"{why}; tried {number} times")
        time.sleep(wait)
