"""The command line: ``python -m dalsegno``, and the script ``dalsegno``."""

from __future__ import annotations

import signal
import sys

from . import _native


def main() -> int:
    """Run the command line with the arguments of this process; give its exit code."""
    # The program is safe to end at any moment, and Python would only look for signals afterwards.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.flush()
    return _native._main(["dalsegno", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
