"""A container of the tests: started, inspected from outside, removed at the end of its test.

Processes come from the engine (`docker top`), which works for every image and every PID namespace. Next: `app_client.py`, a client of the app in it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from engine import PREFIX, client, docker, run, wait_for

APP = f"{PREFIX}terminals"
_numbers = count(1)


@dataclass(frozen=True)
class Process:
    """A process of a container, by its number on the machine."""

    pid: int
    parent: int
    state: str
    command: str

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class Container:
    """`with Container("--read-only") as container:` the app runs, or IMAGE does."""

    def __init__(self, *options: object, image: str = APP, command: tuple = (), publish: bool = True):
        self.name = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        port = ["--publish", "127.0.0.1::80"] if publish else []
        self.began = time.monotonic()
        self.words = ["--name", self.name, *port, *options, image, *command]

    def __enter__(self) -> Container:
        self.began = time.monotonic()
        docker("run", "--detach", *self.words)
        return self

    def __exit__(self, *_: object) -> None:
        docker("rm", "--force", "--volumes", self.name)

    @classmethod
    def named(cls, name: str) -> Container:
        """A container that another tool started and will end."""
        container = cls()
        container.name = name
        return container

    @property
    def url(self) -> str:
        """The address of its port 80."""
        return "http://" + docker("port", self.name, "80/tcp").splitlines()[0]

    @property
    def state(self) -> dict:
        return json.loads(docker("inspect", "--format", "{{json .State}}", self.name))

    def output(self, *options: str) -> str:
        return docker("logs", *options, self.name)

    def run(self, *command: object, check: bool = True, user: str | None = None) -> str:
        """Runs a command in it."""
        as_whom = ["--user", user] if user else []
        return run(client(), "exec", *as_whom, self.name, *command, check=check).stdout.strip()

    def processes(self) -> list[Process]:
        """All processes; those of `docker exec` have ended when it returns."""
        lines = docker("top", self.name, "-eo", "pid,ppid,stat,args").splitlines()[1:]
        fields = [line.split(None, 3) for line in lines]
        return [Process(int(pid), int(parent), state, command) for pid, parent, state, command in fields]

    def process(self, words: str) -> Process:
        """The process whose command line has these words."""
        found = [process for process in self.processes() if words in process.command]
        assert len(found) == 1, f"{words}: {found}"
        return found[0]

    def zombies(self) -> list[Process]:
        return [process for process in self.processes() if process.state.startswith("Z")]

    def has_no_zombie(self, seconds: float = 1) -> None:
        wait_for(f"container without zombies: {self.zombies()}", lambda: not self.zombies(), seconds)

    def status(self) -> dict[str, dict]:
        """The rows of `foster status`, by name."""
        # Exit status 3: a program that should be running is not. The rows are printed all the same.
        text = self.run("foster", "status", "--json", check=False)
        try:
            return {row["name"]: row for row in json.loads(text)}
        except json.JSONDecodeError:
            return {}

    def is_healthy(self) -> bool:
        """By `foster health`; Docker runs it every five seconds."""
        assert self.state["Running"], f"it ended with {self.state['ExitCode']}:\n{self.output()}"
        return run(client(), "exec", self.name, "foster", "health", check=False).returncode == 0

    def becomes_healthy(self, seconds: float = 15) -> float:
        """Waits for health; returns the seconds since the start of the container."""
        wait_for(f"health of {self.name}", self.is_healthy, seconds)
        return time.monotonic() - self.began

    def stop(self) -> tuple[float, int]:
        """Runs `docker stop`; returns its duration and the container's exit status."""
        began = time.monotonic()
        docker("stop", self.name)
        return time.monotonic() - began, self.state["ExitCode"]

    def ends(self, seconds: float = 30) -> int:
        """Waits for its end; returns its exit status."""
        wait_for("end of the container", lambda: not self.state["Running"], seconds)
        return self.state["ExitCode"]

    def says(self, words: str, seconds: float = 5) -> str:
        """Waits for a line of its output with these words."""
        found = lambda: [line for line in self.output().splitlines() if words in line]
        return wait_for(f"line with {words!r} of {self.name}", found, seconds)[0]


def memory_of(pid: int) -> int:
    """The proportional set size of a process, in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no memory of {pid}")


class Downtime:
    """`with Downtime(url) as downtime:` a separate process requests the page over and over; then `seconds` is the outage."""

    def __init__(self, url: str):
        self.url = url

    def __enter__(self) -> Downtime:
        probe = Path(__file__).with_name("availability_probe.py")
        self.probe = subprocess.Popen(["python3", probe, self.url], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        assert self.probe.stdout.readline() == "probing\n"
        return self

    def __exit__(self, *_: object) -> None:
        printed, _ = self.probe.communicate("enough\n", timeout=60)
        self.seconds = float(printed)
