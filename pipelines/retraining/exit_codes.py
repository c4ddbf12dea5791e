"""The exit statuses of `skyreel retrain`, which schedulers read. Imports nothing slow."""

from collections.abc import Mapping

PROMOTED = 0
"""The challenger is champion now; also: a rollback was done, a watch found nothing wrong."""
FAILED = 1
"""Training or judging failed, after the retries that the job allows."""
MISTAKE = 2
"""A mistake in the call or in the job."""
NOTHING = 10
"""There was no cause to train."""
REFUSED = 11
"""The data are bad, or the gate refused the challenger."""
BUSY = 12
"""Another shot of this job is at work."""
ROLLED_BACK = 13
"""`watch-champion` has put the former champion back."""

OF_OUTCOME: Mapping[str, int] = {
    "promoted": PROMOTED,
    "failed": FAILED,
    "nothing": NOTHING,
    "refused": REFUSED,
    "busy": BUSY,
    "rolled_back": ROLLED_BACK,
}
"""The exit status of a decision, by its outcome."""
