#!/usr/bin/env python3
"""Holds the simulated devices against clients that know nothing of Gridtally: pysunspec2 and mbpoll.

    check.py discovery|points|writes|mbpoll PROGRAM

starts `PROGRAM simulate …` in stepped time as often as the check needs, and ends with status 1 where a client sees
anything else than the physics of the simulation. The last line says how many values agreed.
tests/independent_clients.rs runs all of them; `./test` installs what they need.
"""

import importlib
import signal
import sys
import time
from pathlib import Path

# Longer than any check takes; what hangs ends with everything that it started.
DEADLINE_SECONDS = 120


def stop(signum, _frame):
    raise SystemExit(f"stopped by signal {signum}" + (" at the deadline" if signum == signal.SIGALRM else ""))


def main():
    checks = ["discovery", "points", "writes", "mbpoll"]
    if len(sys.argv) != 3 or sys.argv[1] not in checks:
        raise SystemExit(__doc__)
    for signum in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, stop)
    signal.alarm(DEADLINE_SECONDS)
    started = time.monotonic()
    try:
        check = importlib.import_module(sys.argv[1])
    except ModuleNotFoundError as missing:
        raise SystemExit(
            f"{missing}: this Python ({sys.executable}) needs tests/devices/requirements.txt. ./test installs it and "
            "names the Python that has it in GRIDTALLY_PYTHON."
        ) from missing
    agreed = check.check(Path(sys.argv[2]).resolve())
    print(f"{sys.argv[1]}: {agreed} values agree, in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
