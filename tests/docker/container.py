"""A container of the tests: started, inspected from outside, and removed at the end of its test.

The list of processes comes from the engine (`docker top`): that works for every image and every PID namespace. Next:
`app_client.py`, a client of the app in the container.
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
    """A process of a container, with its pid on the machine."""

    pid: int
    parent: int
    state: str
    command: str

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class Container:
    """Runs the app, or another image: `with Container("--read-only") as container:`."""

    def __init__(self, *options: object, image: str = APP, command: tuple = (), publish: bool = True):
        self.name = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        port = ["--publish", "127.0.0.1::80"] if publish else []
        self.began = time.monotonic()
        self.arguments = ["--name", self.name, *port, *options, image, *command]

    def __enter__(self) -> Container:
        self.began = time.monotonic()
        docker("run", "--detach", *self.arguments)
        return self

    def __exit__(self, *_: object) -> None:
        docker("rm", "--force", "--volumes", self.name)

    @classmethod
    def named(cls, name: str) -> Container:
        """A container that another tool starts and stops."""
        container = cls()
        container.name = name
        return container

    @property
    def url(self) -> str:
        """The URL of its port 80."""
        return "http://" + docker("port", self.name, "80/tcp").splitlines()[0]

    @property
    def state(self) -> dict:
        return json.loads(docker("inspect", "--format", "{{json .State}}", self.name))

    def output(self, *options: str) -> str:
        return docker("logs", *options, self.name)

    def run(self, *command: object, check: bool = True, user: str | None = None) -> str:
        """Runs a command in the container."""
        options = ["--user", user] if user else []
        return run(client(), "exec", *options, self.name, *command, check=check).stdout.strip()

    def processes(self) -> list[Process]:
        """Lists all processes; those of an earlier `docker exec` have exited."""
        lines = docker("top", self.name, "-eo", "pid,ppid,stat,args").splitlines()[1:]
        fields = [line.split(None, 3) for line in lines]
        return [Process(int(pid), int(parent), state, command) for pid, parent, state, command in fields]

    def process(self, text: str) -> Process:
        """Returns the process whose command line contains the text."""
        found = [process for process in self.processes() if text in process.command]
        assert len(found) == 1, f"{text}: {found}"
        return found[0]

    def zombies(self) -> list[Process]:
        return [process for process in self.processes() if process.state.startswith("Z")]

    def has_no_zombie(self, seconds: float = 1) -> None:
        wait_for(f"container without zombies: {self.zombies()}", lambda: not self.zombies(), seconds)

    def status(self) -> dict[str, dict]:
        """Returns the rows of `foster status`, by name."""
        # Exit status 3 means that a wanted program is not running; the rows are printed as well.
        text = self.run("foster", "status", "--json", check=False)
        try:
            return {row["name"]: row for row in json.loads(text)}
        except json.JSONDecodeError:
            return {}

    def is_healthy(self) -> bool:
        """Asks `foster health`, because Docker's own check runs only every five seconds."""
        assert self.state["Running"], f"the container exited with {self.state['ExitCode']}:\n{self.output()}"
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

    def exits(self, seconds: float = 30) -> int:
        """Waits for its exit; returns its exit status."""
        wait_for("exit of the container", lambda: not self.state["Running"], seconds)
        return self.state["ExitCode"]

    def logs(self, text: str, seconds: float = 5) -> str:
        """Waits for a line of its output that contains the text."""
        found = lambda: [line for line in self.output().splitlines() if text in line]
        return wait_for(f"line with {text!r} of {self.name}", found, seconds)[0]


def memory_of(pid: int) -> int:
    """Returns the proportional set size of a process, in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no Pss in smaps_rollup of {pid}")


class Downtime:
    """Measures the outage of a URL in a `with` block: a separate process requests it all the time; then `seconds` is set."""

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
