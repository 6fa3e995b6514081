"""Asks for a page a hundred times a second until it is told that this is enough, and says for how many seconds
it was not served: from the first question without a good answer to the next good answer, all such times added up.
"""

from __future__ import annotations

import select
import sys
import time
import urllib.error
import urllib.request


def is_served(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def main(url: str) -> None:
    assert is_served(url), f"{url} is not served to begin with"
    print("asking", flush=True)
    down, since = 0.0, None
    while True:
        asked = time.monotonic()
        if is_served(url):
            if since is not None:
                down += time.monotonic() - since
            since = None
            # Only a service that is up again may end the measurement.
            if select.select([sys.stdin], [], [], 0.01)[0]:
                break
        elif since is None:
            since = asked
    print(down)


main(sys.argv[1])
