"""All open terminals, their owners, and the limit of each user.

A terminal belongs to the connection that made it: asked for by any other, also one of the same account, it is not
there. Next: `live.py`, which brings the events.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from .accounts import Accounts, Identity
from .isolation import Fence
from .settings import Settings
from .terminal import CannotStart, Size, Terminal

log = logging.getLogger("uvicorn.error")

Output = Callable[[Terminal, str, int], Awaitable[None]]
Ended = Callable[[Terminal, str], Awaitable[None]]


class NoTerminal(Exception):
    """Why a terminal was refused: a code for programs and a sentence for the user."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Terminals:
    """Every open terminal of the service."""

    def __init__(self, accounts: Accounts, fence: Fence, settings: Settings) -> None:
        self._accounts = accounts
        self._fence = fence
        self._settings = settings
        self._open: dict[str, tuple[str, Terminal]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._per_user: Counter[int] = Counter()
        self._closed_for: str | None = None

    async def open(self, owner: str, identity: Identity, size: Size) -> Terminal:
        """A new terminal of this connection. It is silent until `attend`."""
        if self._fence.kind is None:
            raise NoTerminal("no_isolation", self._fence.words)
        most = self._settings.terminals_per_user
        if self._per_user[identity.user_id] >= most:
            raise NoTerminal("limit", f"you have {most} terminals open, and may have no more: close one")
        # Counted before the first wait, so that two simultaneous requests count as two.
        self._per_user[identity.user_id] += 1
        terminal = None
        try:
            terminal_id = uuid.uuid4().hex
            terminal = await Terminal.start(
                terminal_id, identity.user_id, identity.name, size, self._fence.kind, self._settings
            )
            self._open[terminal_id] = (owner, terminal)
            if self._closed_for:
                terminal.close(self._closed_for)
            await self._accounts.note_opened(terminal_id, identity)
        except CannotStart as error:
            log.error("%s", error)
            raise NoTerminal("cannot_start", str(error)) from None
        finally:
            if terminal is None:
                self._per_user[identity.user_id] -= 1
        return terminal

    def attend(self, terminal: Terminal, identity: Identity, output: Output, ended: Ended) -> None:
        """Forwards its output until its end, and reports the end."""

        async def attend() -> None:
            try:
                reason = await terminal.run(lambda text, count: output(terminal, text, count))
            finally:
                self._open.pop(terminal.id, None)
                self._per_user[identity.user_id] -= 1
            try:
                await ended(terminal, reason)
                await self._accounts.note_closed(terminal.id, reason)
            except SQLAlchemyError as error:
                log.error("cannot write down that a terminal was closed: %s", str(error).splitlines()[0])

        task = asyncio.ensure_future(attend())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def of(self, owner: str, terminal_id: object) -> Terminal:
        """The terminal with this id, if it belongs to this connection."""
        found = self._open.get(terminal_id) if isinstance(terminal_id, str) else None
        if found is None or found[0] != owner:
            raise NoTerminal("unknown_terminal", "you have no such terminal")
        return found[1]

    def close_all_of(self, owner: str, reason: str) -> None:
        """Closes the terminals of a connection."""
        for of, terminal in list(self._open.values()):
            if of == owner:
                terminal.close(reason)

    def close_all(self, reason: str) -> None:
        """Closes all terminals, and any that is opened later."""
        self._closed_for = reason
        for _, terminal in list(self._open.values()):
            terminal.close(reason)

    async def closed(self) -> None:
        """Waits until all closed terminals have ended."""
        while self._running:
            await asyncio.wait(set(self._running))
