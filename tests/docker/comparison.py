"""The same image with foster and with another process manager, measured alternately in one run. Next: `figures.py`."""

from __future__ import annotations

import statistics
import time
import urllib.request

import figures
from container import Container, Downtime, Process, memory_of
from engine import Failed, docker, wait_for

ROUNDS = 5
# A backend that fails so soon after its start would wait before the next one: 2 s is `backoff.reset` of the examples.
UPTIME = 2.5

# What is measured, in the words of the tables, and its form.
ROWS = {
    "memory": ("memory of the process manager", figures.megabytes),
    "start": ("`docker run` to the first answer of the API", figures.seconds),
    "crash": ("`kill -9` of the backend to the next answer", figures.seconds),
    "stop": ("`docker stop`", figures.seconds),
}


class Subject:
    """An image; `path` is answered by the backend, whose command line contains `backend`."""

    def __init__(self, image: str, path: str, backend: str):
        self.image, self.path, self.backend = image, path, backend
        self.measured: list[dict[str, float]] = []

    def median(self, what: str) -> float:
        return statistics.median(each[what] for each in self.measured)

    def size(self) -> int:
        return int(docker("image", "inspect", "--format", "{{.Size}}", self.image))

    def measure(self) -> None:
        with Container(image=self.image) as container:
            url = container.url + self.path
            self._wait_for_page(container, url)
            start = time.monotonic() - container.began
            (backend,) = self._backends(container)
            first = next(process for process in container.processes() if process.parent not in _pids(container))
            memory = memory_of(first.pid)
            up = time.monotonic()
            wait_for("uptime of the backend", lambda: time.monotonic() >= up + UPTIME, UPTIME + 5)
            with Downtime(url) as downtime:
                backend.kill()
                wait_for("new backend", lambda: [new.pid for new in self._backends(container)] not in ([], [backend.pid]), 30)
                self._wait_for_page(container, url)
            stop, _ = container.stop()
        self.measured.append({"start": start, "memory": memory, "crash": downtime.seconds, "stop": stop})

    def _backends(self, container: Container) -> list[Process]:
        return [process for process in container.processes() if self.backend in process.command]

    def _wait_for_page(self, container: Container, url: str) -> None:
        try:
            wait_for(f"answer of {url}", lambda: _is_served(url), 60)
        except Failed as failed:
            raise Failed(f"{failed}; the output of {self.image}:\n{container.output()[-3000:]}") from None


def _is_served(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=1).status == 200
    except OSError:
        return False


def _pids(container: Container) -> set[int]:
    return {process.pid for process in container.processes()}


def measure(*subjects: Subject) -> None:
    # Alternately, so that the machine's load affects all.
    for _ in range(ROUNDS):
        for subject in subjects:
            subject.measure()


def row(what: str, *subjects: Subject) -> list[str]:
    words, form = ROWS[what]
    return [words, *(form(subject.median(what)) for subject in subjects)]
