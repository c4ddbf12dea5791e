"""`python -m pipelines`, the same as `skyreel`."""

import gc
import sys


def main() -> int:
    """The exit status of the call on the command line.

    Nothing is worth collecting before a verb runs: without the collector, answers come a tenth sooner.
    """
    gc.disable()
    from pipelines.cli import run
    from pipelines.ranks import leave

    status = run(sys.argv[1:])
    leave(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
