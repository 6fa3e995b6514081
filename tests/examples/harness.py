"""What the tests of the examples share: a supervisor that is started and stopped, loads, ports, and measurements.

Next: `load.py`, the load of which each failure is counted.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from engine import ROOT, run, wait_for

MADE = ROOT / "target" / "examples"
# The least time that a load lasts.
LOAD_SECONDS = int(os.environ.get("LOAD_SECONDS", "3"))


def foster_binary() -> Path:
    if named := os.environ.get("FOSTER"):
        return Path(named).resolve()
    built = sorted((ROOT / "target").glob("*-linux-*/*/foster"), key=lambda path: path.stat().st_mtime)
    assert built, "no foster: cargo build"
    return built[-1]


FOSTER = foster_binary()


def get(url: str, timeout: float = 5) -> str:
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def is_served(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True


def python_packages(name: str, *packages: str) -> Path:
    """Returns a virtual environment with these packages; it is made once for each list."""
    folder = MADE / name
    made = folder / "made"
    if not made.exists() or made.read_text() != " ".join(packages):
        run(sys.executable, "-m", "venv", "--clear", folder)
        run(folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *packages, seconds=300)
        made.write_text(" ".join(packages))
    return folder


def memory_of(*pids: int) -> int:
    """Returns the proportional set size of processes, in bytes."""
    text = "".join(Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(size) for size in re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)) * 1024


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Daemon:
    """A process that a test starts and ends, with all that it leaves behind: its group. Its output is in a file."""

    def __init__(self, command: list, folder: Path, environment: dict | None = None):
        self.folder, self.output = folder, folder / "output"
        self.began = time.monotonic()
        with self.output.open("a") as output:
            self.earlier = output.tell()
            self.process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                env=os.environ | {name: str(value) for name, value in (environment or {}).items()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> float:
        """Ends it as its user does; returns the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(sent)
        self.process.wait(30)
        return time.monotonic() - began

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self.process.wait(20)

    def served(self, url: str, seconds: float = 60) -> float:
        """Waits for the first answer; returns the seconds since the start."""

        def answers() -> bool:
            assert self.process.poll() is None, f"it exited with {self.process.returncode}:\n{self.text()}"
            return is_served(url)

        wait_for(f"answer of {url}", answers, seconds)
        return time.monotonic() - self.began

    def text(self) -> str:
        """What it has printed, without what an earlier one has."""
        return self.output.read_bytes()[self.earlier :].decode(errors="replace")


class Foster(Daemon):
    """A foster of a test: `verb` runs a client."""

    def __init__(self, config: Path, folder: Path, environment: dict, socket_path: Path):
        self.environment = {"FOSTER_SOCKET": socket_path} | environment
        super().__init__([FOSTER, "run", "-c", config], folder, self.environment)

    def verb(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        variables = os.environ | {name: str(value) for name, value in self.environment.items()}
        return run(FOSTER, *words, check=check, env=variables)

    @contextmanager
    def watch(self, *names: str) -> Iterator[IO[str]]:
        """Runs `foster status -w`; the lines of its tables end after a minute."""
        command = ["timeout", "60", FOSTER, "status", "-w", *names]
        variables = os.environ | {name: str(value) for name, value in self.environment.items()}
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as client:
            try:
                yield client.stdout
            finally:
                client.terminate()

    def row(self, label: str) -> dict:
        text = self.verb("status", "--json", check=False).stdout
        return {row["label"]: row for row in json.loads(text)}[label]

    def pid_of(self, label: str) -> int:
        return self.row(label)["pid"]

    def is_up(self) -> bool:
        return self.verb("health", check=False).returncode == 0

    def up(self, seconds: float = 60) -> None:
        def answers() -> bool:
            assert self.process.poll() is None, f"foster exited with {self.process.returncode}:\n{self.text()}"
            return self.is_up()

        wait_for("health", answers, seconds)

    def events(self, program: str) -> list[dict]:
        return [json.loads(line) for line in self.verb("events", "--json", "-n", "1000", program).stdout.splitlines()]


@dataclass
class Outcome:
    """What a load saw."""

    ok: int = 0
    refused: int = 0
    broken: int = 0
    gap: float = 0.0
    status: dict = field(default_factory=dict)
    cache: dict = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return self.refused + self.broken + sum(self.status.values())


class Load:
    """Loads a URL within a `with` block, and `LOAD_SECONDS` at least; then `outcome` is set."""

    def __init__(self, url: str, connections: int = 8, limit: int = 30):
        self.command = [sys.executable, Path(__file__).with_name("load.py"), url, str(connections), str(limit)]

    def __enter__(self) -> Load:
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "loading\n"
        self.until = time.monotonic() + LOAD_SECONDS
        return self

    def __exit__(self, failure, *_: object) -> None:
        if failure is None:
            wait_for("end of the load", lambda: time.monotonic() >= self.until, LOAD_SECONDS + 5)
        printed, _ = self.process.communicate("enough\n", timeout=60)
        self.outcome = Outcome(**json.loads(printed))


class Wrk:
    """wrk within a `with` block, and `LOAD_SECONDS` at least; then `report` is what it printed."""

    def __init__(self, url: str, keep_alive: bool = False, connections: int = 8):
        close = [] if keep_alive else ["-H", "Connection: close"]
        self.command = ["wrk", "-t1", f"-c{connections}", "-d600s", "--timeout", "20s", *close, url]

    def __enter__(self) -> Wrk:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.until = time.monotonic() + LOAD_SECONDS
        return self

    def __exit__(self, failure, *_: object) -> None:
        if failure is None:
            wait_for("end of the load", lambda: time.monotonic() >= self.until, LOAD_SECONDS + 5)
        self.process.send_signal(signal.SIGINT)
        self.report, _ = self.process.communicate(timeout=60)

    @property
    def failures(self) -> str:
        """What wrk says of failed requests; nothing where none has failed."""
        assert re.search(r"[1-9]\d* requests in ", self.report), self.report
        return "\n".join(line.strip() for line in self.report.splitlines() if "Socket errors" in line or "Non-2xx" in line)


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.1f} MB"
