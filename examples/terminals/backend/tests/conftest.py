"""The backend as it runs: a process of uvicorn with a separate port and volume, and browsers that are
clients of Socket.IO. Nothing here sleeps for a while and hopes: every wait is for a condition.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
import socketio

BACKEND = Path(__file__).resolve().parent.parent
PASSWORD = "correct horse"
ROOT = os.geteuid() == 0
LIMIT = 60.0  # seconds: far beyond what anything takes, also on a machine that is busy


class Service:
    """A backend that runs."""

    def __init__(self, data: Path, rightless: bool, **settings: str) -> None:
        # Homes in a place that each user of a shell can reach, and that no earlier test has been in.
        self.homes = Path(tempfile.mkdtemp(prefix="terminals-homes-"))
        self.homes.chmod(0o1777)
        own = {"DATA_DIR": str(data), "SHELL_HOME": str(self.homes), "BCRYPT_ROUNDS": "4"}
        environment = {"PATH": os.environ["PATH"], **own, **settings}
        # uvicorn finds a free port and says which.
        command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", "0", "--timeout-graceful-shutdown", "1"]
        if rightless and ROOT:
            command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", *command]
        self.data = data
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command, cwd=BACKEND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._told = threading.Event()
        self._url: str | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if found := re.search(r"running on (http://[\d.:]+)", line):
                self._url = found[1]
                self._told.set()
        self._told.set()

    @property
    def url(self) -> str:
        assert self._told.wait(LIMIT) and self._url, f"the backend does not run: {self.text()}"
        return self._url

    def text(self) -> str:
        return "\n".join(self.lines)

    def ended(self) -> int:
        """Its exit status, once it has ended by itself."""
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        shutil.rmtree(self.homes, ignore_errors=True)
        return status

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.ended()

    def http(self, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=f"{self.url}/api", headers=headers, timeout=LIMIT, trust_env=False)

    def register(self, name: str) -> str:
        """A new account, logged in; its token."""
        with self.http() as http:
            answer = http.post("/register", json={"username": name, "password": PASSWORD})
            assert answer.status_code == 201, answer.text
        return self.log_in(name)

    def log_in(self, name: str) -> str:
        with self.http() as http:
            answer = http.post("/login", json={"username": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            return answer.json()["token"]


class Browser:
    """A connected page and the events that it received."""

    def __init__(self) -> None:
        self.socket = socketio.AsyncClient(reconnection=False)
        self.screens: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self.errors: list[dict] = []
        self.created: list[str] = []
        self.session_ended: list[str] = []
        self.reads = asyncio.Event()  # while it is not set, nothing is acknowledged
        self.reads.set()
        self._news = asyncio.Condition()
        self.socket.on("terminal_output", self._output)
        for event in ("terminal_created", "terminal_closed", "terminal_error", "session_ended", "disconnect"):
            self.socket.on(event, getattr(self, f"_{event}"))

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _output(self, message: dict) -> None:
        self.screens[message["terminal_id"]] = self.screens.get(message["terminal_id"], "") + message["data"]
        await self._tell()
        await self.reads.wait()

    async def _terminal_created(self, message: dict) -> None:
        self.created.append(message["terminal_id"])
        await self._tell()

    async def _terminal_closed(self, message: dict) -> None:
        self.ended[message["terminal_id"]] = message["reason"]
        await self._tell()

    async def _terminal_error(self, message: dict) -> None:
        self.errors.append(message)
        await self._tell()

    async def _session_ended(self, message: dict) -> None:
        self.session_ended.append(message["reason"])

    async def _disconnect(self, *_: object) -> None:
        await self._tell()

    async def until(self, condition, what: str = "a condition") -> None:
        try:
            async with asyncio.timeout(LIMIT), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            pytest.fail(f"{what} did not come; errors {self.errors}, ended {self.ended}, screens {self.screens}")

    async def open(self, **message: object) -> str:
        """A new terminal, at its first prompt."""
        count = len(self.created)
        await self.socket.emit("create_terminal", message)
        await self.until(lambda: len(self.created) > count, "a terminal")
        terminal = self.created[-1]
        await self.until(lambda: self.screens.get(terminal, "").endswith(("$ ", "# ")), "a prompt")
        return terminal

    async def type(self, terminal: str, text: str) -> None:
        await self.socket.emit("terminal_input", {"terminal_id": terminal, "data": text})

    async def run(self, terminal: str, command: str) -> str:
        """What a command writes. The marks are computed by the shell, so that the echo of the typing has none."""
        count = self.screens.get(terminal, "").count("<end>")
        await self.type(terminal, f"echo '<''begin>'; {command}; echo '<''end>'\n")
        await self.until(lambda: self.screens.get(terminal, "").count("<end>") > count, f"the end of `{command}`")
        return self.screens[terminal].rpartition("<begin>")[2].partition("<end>")[0].strip("\r\n")

    async def refused(self, event: str, message: object) -> dict:
        """The error that an event is answered with."""
        count = len(self.errors)
        await self.socket.emit(event, message)
        await self.until(lambda: len(self.errors) > count, f"the refusal of `{event}`")
        return self.errors[-1]


@asynccontextmanager
async def browser(service: Service, token: str):
    """A connected browser."""
    made = Browser()
    await made.socket.connect(service.url, auth={"token": token}, transports=["websocket"])
    try:
        yield made
    finally:
        made.reads.set()
        await made.socket.disconnect()


@contextmanager
def running(data: Path, rightless: bool = False, **settings: str) -> Iterator[Service]:
    """A backend, killed at the end if the test did not stop it."""
    service = Service(data, rightless, **settings)
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    """Starts backends over this test's own volume."""
    started: list[Service] = []

    def one(rightless: bool = False, **settings: str) -> Service:
        started.append(Service(tmp_path / "data", rightless, **settings))
        return started[-1]

    yield one
    for service in started:
        service.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A backend that the tests of a file share, with a separate name for each account."""
    with running(tmp_path_factory.mktemp("volume") / "data") as shared:
        yield shared


@pytest.fixture
def lives():
    """Whether a process with this in its command line lives, and is not a zombie."""

    def lives(part: str) -> bool:
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if part in command:
                return True
        return False

    return lives


def needed(part: str) -> None:
    """Fails in CI, and skips elsewhere, where a part is missing that a test needs."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{part} is missing")
    pytest.skip(f"{part} is missing")


def rights_can_be_dropped() -> None:
    """A test of a backend without capabilities, run as root, needs `setpriv` of util-linux."""
    if ROOT and not shutil.which("setpriv"):
        needed("setpriv")
