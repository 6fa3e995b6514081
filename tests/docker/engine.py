"""The tests' own Docker engine: it shares no data, socket, pid file, containerd or network (`network.py`) with another
engine of the machine.

`run` starts and stops it. Images and the build cache stay under target/docker-cache between runs. Next:
`base_images.py`, `container.py`.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "target" / "docker-cache"
# The prefix of every name that is created, so that leftovers can be found and removed.
PREFIX = "foster-test-"

_PACKAGES = {
    "dockerd": "docker.io",
    "docker-compose": "docker-compose",
    "debootstrap": "debootstrap",
    "npm": "npm",
    "slirp4netns": "slirp4netns",
    "ip": "iproute2",
}


class Failed(AssertionError):
    """A failed command and its output."""


def wait_for(what: str, condition: Callable[[], object], seconds: float):
    """Returns the first true value of the condition, which is checked every 20 ms."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"no {what} within {seconds} s")
        time.sleep(0.02)


_CLAIMS: list[socket.socket] = []


def free_port() -> int:
    """Returns a port that no other process takes: below those that the kernel gives to connections, and claimed, by a name in
    the abstract namespace of this network, until this process ends. `free_port` of tests/support/network.rs does the
    same."""
    for port in random.sample(range(10_000, 32_768), 1000):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0foster-test-port-{port}")
        except OSError:
            claim.close()
            continue
        _CLAIMS.append(claim)
        try:
            with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True):
                return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                with socket.create_server(("", port)):
                    return port
    raise Failed("no free port from 10000 to 32767")


def run(*command: object, check: bool = True, seconds: float = 120, **options) -> subprocess.CompletedProcess:
    """Runs a command to its end; stdout and stderr are one text."""
    arguments = [str(word) for word in command]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"} | options
    finished = subprocess.run(arguments, timeout=seconds, **options)
    if check and finished.returncode != 0:
        raise Failed(f"{' '.join(arguments)}: exit status {finished.returncode}\n{finished.stdout}")
    return finished


def docker(*arguments: object, **options) -> str:
    """Runs one command of the client; returns its output."""
    return run(client(), *arguments, **options).stdout.strip()


def client() -> str:
    """Returns Debian's client for Debian's engine: another client may need a plug-in to build."""
    return "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"


def build(tag: str, context: Path = ROOT, *arguments: object, **options) -> str:
    """Builds an image with a low priority."""
    run("nice", client(), "build", "--tag", tag, *arguments, context, seconds=1500, **options)
    return tag


def install_missing(parts: dict[str, str] = _PACKAGES) -> None:
    """Installs the Debian packages of the commands that are missing; by default those of the engine."""
    if os.geteuid() != 0:
        raise Failed("cannot start a Docker engine without root; run as root, or set FOSTER_TEST_DOCKER=no")
    missing = [package for part, package in parts.items() if not shutil.which(part, path=_path())]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise Failed(f"cannot start a Docker engine: install {', '.join(missing)}, or set FOSTER_TEST_DOCKER=no")
    run("apt-get", "update", "-q", seconds=300)
    quietly = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # With systemd, Debian's package starts an engine as well; the tests do not use it.
    run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing, env=quietly, seconds=900)


def _path() -> str:
    return f"/usr/bin:{os.environ['PATH']}:/usr/sbin:/sbin"


class Engine:
    """Runs the engine in a `with` block, for `docker`."""

    def __enter__(self) -> Engine:
        # A Unix socket's path has at most 107 bytes (unix(7)).
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        socket = f"unix://{self.folder}/socket"
        data = CACHE / "engine"
        data.mkdir(parents=True, exist_ok=True)
        # Compose calls `docker`: PATH selects the same client.
        os.environ |= {"DOCKER_HOST": socket, "DOCKER_BUILDKIT": "1", "COMPOSE_DOCKER_CLI_BUILD": "1", "PATH": _path()}
        self.log = open(CACHE / "dockerd.log", "w")
        arguments = ["--data-root", data, "--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid"]
        self.process = subprocess.Popen(
            ["dockerd", *arguments, "--host", socket], stdout=self.log, stderr=self.log, start_new_session=True
        )
        try:
            wait_for("answer of the engine", self._answers, 60)
            self.remove_everything()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise Failed(f"dockerd exited:\n{(CACHE / 'dockerd.log').read_text()[-3000:]}")
        return run(client(), "version", check=False).returncode == 0

    def remove_everything(self) -> None:
        """Removes containers, volumes and networks; the images stay for the next run."""
        for kind, every in ("container", ["--all"]), ("volume", []), ("network", []):
            names = docker(kind, "ls", *every, "--quiet", "--filter", f"name={PREFIX}").split()
            if names:
                docker(kind, "rm", *(["--force"] if kind != "network" else []), *names)

    def __exit__(self, *_: object) -> None:
        try:
            if self.process.poll() is None:
                self.remove_everything()
        finally:
            self.process.terminate()
            self.process.wait(60)
            self.log.close()
            shutil.rmtree(self.folder, ignore_errors=True)
