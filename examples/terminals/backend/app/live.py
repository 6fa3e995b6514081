"""The events of a connection, in both directions, over Socket.IO.

Every event is checked here, and no event ends the connection of another user: a mistake is answered
with `terminal_error`. Next: `terminals.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import socketio

from .accounts import Accounts, Identity, Refused
from .terminal import InputTooFast, Size, Terminal
from .terminals import NoTerminal, Terminals

log = logging.getLogger("uvicorn.error")

LARGEST_MESSAGE = 128 * 1024
LARGEST_SIDE = 1000
DEFAULT_SIZE = {"cols": 80, "rows": 24}


@dataclass(frozen=True)
class Connection:
    """A connected browser and its user."""

    identity: Identity
    expiry: asyncio.TimerHandle


class Live:
    """All connections."""

    def __init__(self, accounts: Accounts, terminals: Terminals) -> None:
        self._accounts = accounts
        self._terminals = terminals
        self._connections: dict[str, Connection] = {}
        # One event after the other: input must keep its order.
        self.server = socketio.AsyncServer(
            async_mode="asgi",
            async_handlers=False,
            ping_interval=10,
            ping_timeout=5,
            max_http_buffer_size=LARGEST_MESSAGE,
        )
        self.server.on("connect", self._connected)
        self.server.on("disconnect", self._disconnected)
        for event, answer in {
            "create_terminal": self._create,
            "terminal_input": self._input,
            "resize": self._resize,
            "close_terminal": self._close,
        }.items():
            self.server.on(event, self._checked(event, answer))

    async def end_sessions(self, session_ids: list[str]) -> None:
        """Ends the connections of revoked sessions, and closes their terminals."""
        for sid, connection in list(self._connections.items()):
            if connection.identity.session_id in session_ids:
                await self._end(sid, "logged out")

    async def end_all(self, reason: str) -> None:
        """Ends every connection, so that none delays the end of the backend."""
        self._terminals.close_all(reason)
        await self._terminals.closed()
        await asyncio.gather(*(self.server.disconnect(sid) for sid in list(self._connections)))

    async def _connected(self, sid: str, _environ: dict, auth: object = None) -> None:
        token = auth.get("token") if isinstance(auth, dict) else None
        try:
            identity = await self._accounts.identify(token if isinstance(token, str) else "")
        except Refused as refused:
            raise socketio.exceptions.ConnectionRefusedError(refused.message) from None
        loop = asyncio.get_running_loop()
        left = max(0.0, identity.expires_at - time.time())
        expiry = loop.call_later(left, lambda: asyncio.ensure_future(self._end(sid, "the session has expired")))
        self._connections[sid] = Connection(identity, expiry)

    async def _disconnected(self, sid: str, _reason: object = None) -> None:
        connection = self._connections.pop(sid, None)
        if connection:
            connection.expiry.cancel()
        self._terminals.close_all_of(sid, "disconnected")

    async def _end(self, sid: str, reason: str) -> None:
        self._terminals.close_all_of(sid, reason)
        await self.server.emit("session_ended", {"reason": reason}, to=sid)
        await self.server.disconnect(sid)

    async def _create(self, sid: str, message: dict) -> None:
        connection = self._connections[sid]
        size = _size({**DEFAULT_SIZE, **message})
        terminal = await self._terminals.open(sid, connection.identity, size)
        created = {"terminal_id": terminal.id, "request_id": _short(message.get("request_id"))}
        await self.server.emit("terminal_created", created, to=sid)

        async def output(terminal: Terminal, text: str, count: int) -> None:
            # Socket.IO's acknowledgement: the browser sends it when the text is on the screen.
            await self.server.emit(
                "terminal_output",
                {"terminal_id": terminal.id, "data": text},
                to=sid,
                callback=lambda *_: terminal.acknowledge(count),
            )

        async def ended(terminal: Terminal, reason: str) -> None:
            await self.server.emit("terminal_closed", {"terminal_id": terminal.id, "reason": reason}, to=sid)

        self._terminals.attend(terminal, connection.identity, output, ended)
        if sid not in self._connections:  # gone while the shell was being started
            terminal.close("disconnected")

    async def _input(self, sid: str, message: dict) -> None:
        data = message.get("data")
        if not isinstance(data, str):
            raise NoTerminal("bad_request", "`data` is a string")
        try:
            self._terminals.of(sid, message.get("terminal_id")).type(data)
        except InputTooFast:
            raise NoTerminal("input_too_fast", "more was typed than the program reads: some is lost") from None

    async def _resize(self, sid: str, message: dict) -> None:
        self._terminals.of(sid, message.get("terminal_id")).resize(_size(message))

    async def _close(self, sid: str, message: dict) -> None:
        self._terminals.of(sid, message.get("terminal_id")).close("closed")

    def _checked(self, event: str, answer: Callable[[str, dict], Awaitable[None]]) -> Callable:
        """The event handler, with its mistakes answered."""

        async def checked(sid: str, message: object = None) -> None:
            known = message if isinstance(message, dict) else {}
            try:
                if sid not in self._connections:
                    return
                if message is not None and not isinstance(message, dict):
                    raise NoTerminal("bad_request", f"`{event}` takes an object")
                await answer(sid, known)
            except NoTerminal as error:
                await self._refuse(sid, known, error.code, error.message)
            except Exception:
                log.exception("cannot answer `%s`", event)
                await self._refuse(sid, known, "internal", "the backend has a fault; its log says more")

        return checked

    async def _refuse(self, sid: str, message: dict, code: str, words: str) -> None:
        answer = {
            "code": code,
            "message": words,
            "terminal_id": _short(message.get("terminal_id")),
            "request_id": _short(message.get("request_id")),
        }
        await self.server.emit("terminal_error", answer, to=sid)


def _size(message: dict) -> Size:
    sides = [message.get("cols"), message.get("rows")]
    if all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in sides):
        return Size(*sides)
    raise NoTerminal("bad_request", f"`cols` and `rows` are numbers from 1 to {LARGEST_SIDE}")


def _short(value: object) -> str | None:
    """The request's id for the answer, with a limited length."""
    return value[:64] if isinstance(value, str) else None
