"""The same image with foster and with supervisord, measured alternately in one run.

`bench/run` publishes foster's memory in docs/benchmarks.md; this test only compares it with supervisord's."""

import statistics
import time
import unittest
import urllib.request
from pathlib import Path

import figures
from container import APP, Container, Downtime, memory_of
from engine import PREFIX, build, docker, wait_for

HERE = Path(__file__).resolve().parent
ROUNDS = 5


def _is_served(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/api/health", timeout=1).status == 200
    except OSError:
        return False


def _measure(image: str) -> dict[str, float]:
    with Container(image=image) as container:
        url = container.url
        wait_for("page", lambda: _is_served(url), 60)
        start = time.monotonic() - container.began
        backend = next(process for process in container.processes() if "uvicorn app.main" in process.command)
        first = next(process for process in container.processes() if process.parent not in _pids(container))
        memory = memory_of(first.pid)
        with Downtime(f"{url}/api/health") as downtime:
            backend.kill()
            wait_for("new backend", lambda: _is_replaced(container, backend.pid), 30)
            wait_for("page", lambda: _is_served(url), 60)
        stop, _ = container.stop()
        return {"start": start, "memory": memory, "crash": downtime.seconds, "stop": stop}


def _pids(container: Container) -> set[int]:
    return {process.pid for process in container.processes()}


def _is_replaced(container: Container, pid: int) -> bool:
    found = [process.pid for process in container.processes() if "uvicorn app.main" in process.command]
    return bool(found) and pid not in found


class Comparison(unittest.TestCase):
    def test_foster_is_smaller_and_quicker_than_supervisord_in_the_same_image(self):
        other = build(f"{PREFIX}supervisord", HERE / "supervisord", "--build-arg", f"APP={APP}")
        ours, theirs = [], []
        # Alternately, so that the machine's load affects both.
        for _ in range(ROUNDS):
            ours.append(_measure(APP))
            theirs.append(_measure(other))

        def median(measured: list[dict[str, float]], what: str) -> float:
            return statistics.median(each[what] for each in measured)

        size = lambda image: int(docker("image", "inspect", "--format", "{{.Size}}", image))
        supervisord = size(other) - size(APP)
        foster = int(docker("run", "--rm", "--name", f"{PREFIX}size", APP, "stat", "-c", "%s", "/usr/local/bin/foster"))
        rows = [["added to the image", figures.megabytes(foster), figures.megabytes(supervisord)]]
        for what, words, form in (
            ("start", "`docker run` to the first answer of the API", figures.seconds),
            ("crash", "`kill -9` of the backend to the next answer", figures.seconds),
            ("stop", "`docker stop`", figures.seconds),
        ):
            rows.append([words, form(median(ours, what)), form(median(theirs, what))])
        figures.table("docs/dockerfile.md", "comparison", ["", "foster", "supervisord"], rows)
        self.assertLess(foster, supervisord)
        for what in "start", "memory", "stop":
            self.assertLess(median(ours, what), median(theirs, what), what)
        # Both restart at once; the start of the backend takes the same time for both.
        self.assertLess(median(ours, "crash"), median(theirs, "crash") + 0.5)
