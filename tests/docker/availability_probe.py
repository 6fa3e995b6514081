"""Requests a page a hundred times a second until a line arrives on stdin, then prints the seconds of all outages: each
lasts from the first request that failed to the next one that succeeded.
"""

from __future__ import annotations

import select
import sys
import time
import urllib.error
import urllib.request


def is_served(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except OSError:
        return False


def main(url: str) -> None:
    assert is_served(url), f"{url} is not served at the start"
    print("probing", flush=True)
    down, since = 0.0, None
    while True:
        began = time.monotonic()
        if is_served(url):
            if since is not None:
                down += time.monotonic() - since
            since = None
            # Only a service that is up again may end the measurement.
            if select.select([sys.stdin], [], [], 0.01)[0]:
                break
        elif since is None:
            since = began
    print(down)


main(sys.argv[1])
