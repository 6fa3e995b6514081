"""Writes numbered lines of 100 bytes at a steady rate, then the rate it has reached to stderr:

    writer.py MEGABYTES MEGABYTES_PER_SECOND
"""

import sys
import time

LINES = 1000  # 100 kB at once

megabytes, rate = int(sys.argv[1]), float(sys.argv[2])
began = time.monotonic()
for number in range(0, megabytes * 10_000, LINES):
    text = b"".join(b"%012d " % (number + line) + b"x" * 86 + b"\n" for line in range(LINES))
    # The time at which this part is due.
    time.sleep(max(0.0, began + number / 10_000 / rate - time.monotonic()))
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
print(f"{megabytes / (time.monotonic() - began):.1f}", file=sys.stderr)
