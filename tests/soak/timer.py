"""A bare timer: select(2) every 5 ms, and a JSON line for each time that it came late by 50 ms or more.

    python timer.py CPU

What it sees late, everybody on that processor saw late.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

STEP = 0.005
LATE = 0.05


def main(cpu: int) -> None:
    os.sched_setaffinity(0, {cpu})
    before = time.monotonic()
    while True:
        select.select((), (), (), STEP)
        now = time.monotonic()
        if now - before - STEP >= LATE:
            print(json.dumps({"from": before, "until": now, "cpu": cpu}), flush=True)
        before = now


if __name__ == "__main__":
    main(int(sys.argv[1]))
