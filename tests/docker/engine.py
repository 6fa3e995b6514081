"""The tests' own Docker engine: its data, socket, pid file, containerd and network (`network.py`) are apart from those of
any other engine on the machine.

`run` starts it, and stops it by its pid. What it keeps between runs (images, and with them the cache of
builds) is under target/docker-cache. Next: `base_images.py`; `container.py`, what runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "target" / "docker-cache"
# The name of everything that is created, so that it is found and removed.
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
    """The first true value of the condition, checked every 20 ms."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed(f"after {seconds} s still no {what}")
        time.sleep(0.02)


def run(*command: object, check: bool = True, seconds: float = 120, **options) -> subprocess.CompletedProcess:
    """Runs a command to its end; output and errors are one text."""
    words = [str(word) for word in command]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"} | options
    finished = subprocess.run(words, timeout=seconds, **options)
    if check and finished.returncode != 0:
        raise Failed(f"{' '.join(words)}: exit status {finished.returncode}\n{finished.stdout}")
    return finished


def docker(*words: object, **options) -> str:
    """Runs one command of the client; returns its output."""
    return run(client(), *words, **options).stdout.strip()


def client() -> str:
    """Debian's client for Debian's engine: another client may need a plug-in to build."""
    return "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"


def build(tag: str, context: Path = ROOT, *words: object, **options) -> str:
    """Builds an image with a low priority."""
    run("nice", client(), "build", "--tag", tag, *words, context, seconds=1500, **options)
    return tag


def install_what_is_missing(parts: dict[str, str] = _PACKAGES) -> None:
    """Installs the Debian packages of these commands; by default those of the engine."""
    if os.geteuid() != 0:
        raise Failed("cannot start a Docker engine: only root can; run it as root, or set FOSTER_TEST_DOCKER=no")
    missing = [package for part, package in parts.items() if not shutil.which(part, path=_path())]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise Failed(f"cannot start a Docker engine: install {', '.join(missing)}, or set FOSTER_TEST_DOCKER=no")
    run("apt-get", "update", "-q", seconds=300)
    quietly = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # On Debian the package starts its own engine where there is systemd; it is not used.
    run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing, env=quietly, seconds=900)


def _path() -> str:
    return f"/usr/bin:{os.environ['PATH']}:/usr/sbin:/sbin"


class Engine:
    """`with Engine():` starts the engine for `docker`."""

    def __enter__(self) -> Engine:
        # A socket's path must be short.
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        socket = f"unix://{self.folder}/socket"
        data = CACHE / "engine"
        data.mkdir(parents=True, exist_ok=True)
        # Compose calls `docker`, and it must be the same one.
        os.environ |= {"DOCKER_HOST": socket, "DOCKER_BUILDKIT": "1", "COMPOSE_DOCKER_CLI_BUILD": "1", "PATH": _path()}
        self.log = open(CACHE / "dockerd.log", "w")
        words = ["--data-root", data, "--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid"]
        self.process = subprocess.Popen(
            ["dockerd", *words, "--host", socket], stdout=self.log, stderr=self.log, start_new_session=True
        )
        try:
            wait_for("engine that answers", self._answers, 60)
            self.remove_everything()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise Failed(f"dockerd ended:\n{(CACHE / 'dockerd.log').read_text()[-3000:]}")
        return run(client(), "version", check=False).returncode == 0

    def remove_everything(self) -> None:
        """Containers, volumes and networks; the images stay for the next run."""
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
