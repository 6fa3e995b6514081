"""The same image with foster and with another process manager, measured alternately in one run. Next: `figures.py`."""

from __future__ import annotations

import statistics
import time
import urllib.request

import figures
from container import Container, Downtime, Process, memory_of
from engine import docker, wait_for

ROUNDS = 5

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
            wait_for("page", lambda: self._is_served(container, url), 60)
            start = time.monotonic() - container.began
            (backend,) = self._backends(container)
            first = next(process for process in container.processes() if process.parent not in _pids(container))
            memory = memory_of(first.pid)
            with Downtime(url) as downtime:
                backend.kill()
                wait_for("new backend", lambda: [new.pid for new in self._backends(container)] not in ([], [backend.pid]), 30)
                wait_for("page", lambda: self._is_served(container, url), 60)
            stop, _ = container.stop()
        self.measured.append({"start": start, "memory": memory, "crash": downtime.seconds, "stop": stop})

    def _backends(self, container: Container) -> list[Process]:
        return [process for process in container.processes() if self.backend in process.command]

    def _is_served(self, container: Container, url: str) -> bool:
        assert container.state["Running"], f"the container exited:\n{container.output()}"
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
