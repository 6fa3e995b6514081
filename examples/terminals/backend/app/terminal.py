"""One terminal: a shell on a pseudo-terminal, its output, its input, and its end.

Output is bounded by its reader: no more than `WINDOW` bytes are on their way that the browser has not acknowledged,
and the shell blocks when they are. A pause after each piece keeps `yes` from taking the loop from the others.
It knows nothing of sockets or accounts. Next: `terminals.py`, which knows whose it is.
"""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import json
import logging
import os
import signal
import socket
import struct
import sys
import termios
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from .settings import Isolation, Settings

log = logging.getLogger("uvicorn.error")

PIECE = 16 * 1024
WINDOW = 256 * 1024
PAUSE = 0.004  # seconds: at most 4 MB/s for one terminal
LARGEST_INPUT = 256 * 1024
GRACE = 0.15  # seconds between the hang-up and the kill
START_TIMEOUT = 10.0

ENTRY = Path(__file__).with_name("shell_entry.py")
STARTUP = Path(__file__).with_name("bashrc")


class CannotStart(Exception):
    """Why there is no shell."""


class InputTooFast(Exception):
    """More input than the program in the terminal reads."""


@dataclass(frozen=True)
class Size:
    """The size of a terminal, in characters."""

    columns: int
    rows: int


class Terminal:
    """A running shell."""

    def __init__(self, terminal_id: str, process: asyncio.subprocess.Process, master: int) -> None:
        self.id = terminal_id
        self._process = process
        self._master = master
        self._loop = asyncio.get_running_loop()
        self._typed = bytearray()
        self._unacknowledged = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._close_wanted: asyncio.Future[str] = self._loop.create_future()

    @staticmethod
    async def start(
        terminal_id: str, user_id: int, name: str, size: Size, kind: Isolation, settings: Settings
    ) -> Terminal:
        """Starts an isolated shell; its terminal arrives over a socket."""
        ours, theirs = socket.socketpair()
        told = {
            "socket": theirs.fileno(),
            "uid": settings.first_shell_uid + user_id if kind is Isolation.USER else None,
            "landlock": kind is Isolation.LANDLOCK,
            "name": name,
            "home": str(settings.shell_home / f"home-{user_id}"),
            "shell": settings.shell,
            "startup": str(STARTUP),
            "processes": settings.shell_processes,
            "columns": size.columns,
            "rows": size.rows,
        }
        with ours, theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", str(ENTRY), json.dumps(told)),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    env={},
                )
            except OSError as error:
                raise CannotStart(f"cannot start a process: {error.strerror}") from None
            theirs.close()
            ours.settimeout(START_TIMEOUT)
            try:
                word, descriptors, _, _ = await asyncio.to_thread(socket.recv_fds, ours, 1024, 1)
            except OSError as error:
                word, descriptors = f"!{error}".encode(), []
        if not descriptors:
            signal_session(process.pid, signal.SIGKILL)
            await process.wait()
            reason = word[1:].decode(errors="replace") or f"it ended with {process.returncode}"
            raise CannotStart(f"cannot prepare the shell: {reason}")
        os.set_blocking(descriptors[0], False)
        return Terminal(terminal_id, process, descriptors[0])

    async def run(self, output: Callable[[str, int], Awaitable[None]]) -> str:
        """Forwards output until the shell has ended or `close` was called; then its whole session has ended.
        Returns why it ended."""
        pump = asyncio.ensure_future(self._pump(output))
        ended = asyncio.ensure_future(self._process.wait())
        await asyncio.wait({pump, ended, self._close_wanted}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            # Its last output; with a limit, because a process in the background may write forever.
            await asyncio.wait({pump, self._close_wanted}, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
        pump.cancel()
        reason = self._close_wanted.result() if self._close_wanted.done() else None
        self.close("it has ended")
        await self._end_session(ended)
        for failure in await asyncio.gather(pump, return_exceptions=True):
            if isinstance(failure, Exception):
                log.error("cannot pass on the output of a terminal: %s", failure)
        return reason or f"the shell ended with {self._process.returncode}"

    def close(self, reason: str) -> None:
        """Requests its end; `run` returns soon after."""
        if not self._close_wanted.done():
            self._close_wanted.set_result(reason)

    def type(self, text: str) -> None:
        """Forwards input in order; keeps what does not fit."""
        data = text.encode(errors="replace")
        if len(self._typed) + len(data) > LARGEST_INPUT:
            raise InputTooFast
        self._typed += data
        self._write()

    def resize(self, size: Size) -> None:
        """Sets the size in the kernel, which signals the program in the foreground."""
        if not self._close_wanted.done():
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))

    def acknowledge(self, count: int) -> None:
        """The browser has shown this many bytes."""
        self._unacknowledged -= count
        if self._unacknowledged < WINDOW:
            self._has_room.set()

    async def _pump(self, output: Callable[[str, int], Awaitable[None]]) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may be split between two reads
        while data := await self._read():
            text = decoder.decode(data)
            if text:
                self._unacknowledged += len(data)
                if self._unacknowledged >= WINDOW:
                    self._has_room.clear()
                await output(text, len(data))
            await asyncio.sleep(PAUSE)
            await self._has_room.wait()

    async def _read(self) -> bytes:
        """The next output, up to one chunk; waits for the first byte. Empty at the end."""
        pieces = bytearray()
        while len(pieces) < PIECE:
            try:
                data = os.read(self._master, PIECE - len(pieces))
            except BlockingIOError:
                if pieces:
                    break
                await self._readable()
                continue
            except OSError:  # EIO: no process has the terminal open
                break
            if not data:
                break
            pieces += data
        return bytes(pieces)

    async def _readable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_reader(self._master, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            self._loop.remove_reader(self._master)

    def _write(self) -> None:
        if self._close_wanted.done():
            return
        try:
            while self._typed:
                del self._typed[: os.write(self._master, self._typed)]
        except BlockingIOError:
            self._loop.add_writer(self._master, self._write)
            return
        except OSError:  # the shell has exited; `run` detects that
            self._typed.clear()
        self._loop.remove_writer(self._master)

    async def _end_session(self, ended: asyncio.Future[int]) -> None:
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        signal_session(self._process.pid, signal.SIGHUP, signal.SIGCONT)
        os.close(self._master)
        await asyncio.wait({ended}, timeout=GRACE)
        for _ in range(10):  # what forks while it is being killed needs another look
            if not signal_session(self._process.pid, signal.SIGKILL):
                break
            await asyncio.sleep(0.01)
        await ended


def signal_session(leader: int, *signals: signal.Signals) -> int:
    """Signals every process of a session, whatever group it is in; returns how many."""
    found = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                state, _, _, session = file.read().rpartition(b")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) != leader or state in b"ZX":
            continue
        found += 1
        for number in signals:
            try:
                os.kill(int(entry), number)
            except (ProcessLookupError, PermissionError):
                break
    return found
