"""A client of the app: registers, logs in, and works in terminals, over HTTP and Socket.IO.

Socket.IO is spoken over a WebSocket from its first byte (Engine.IO 4, Socket.IO 5), with the standard library
alone: https://github.com/socketio/engine.io-protocol, RFC 6455.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import struct
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit


class AppClient:
    """One account of the app at `url`."""

    def __init__(self, url: str, name: str = "ada", password: str = "correct horse battery"):
        self.url, self.name, self.password, self.token = url, name, password, ""

    def ask(self, path: str, body: dict | None = None, timeout: float = 10) -> tuple[int, str]:
        """Returns the status and text of a response. With a body the request is a POST."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None if body is None else json.dumps(body).encode()
        headers |= {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(self.url + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def register(self) -> AppClient:
        status, text = self.ask("/api/register", {"username": self.name, "password": self.password})
        assert status == 201, (status, text)
        return self

    def log_in(self) -> AppClient:
        status, text = self.ask("/api/login", {"username": self.name, "password": self.password})
        assert status == 200, (status, text)
        self.token = json.loads(text)["token"]
        return self

    def is_known(self) -> bool:
        """Returns whether the token is valid."""
        return self.ask("/api/me")[0] == 200

    def connect(self) -> Connection:
        return Connection(self.url, self.token)


class Connection:
    """A Socket.IO connection. It stores events that arrive while it waits for another one."""

    def __init__(self, url: str, token: str):
        address = urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port or 80), timeout=10)
        self.received = b""
        self.events: list[tuple[str, dict]] = []
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self.received:
            self._receive()
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101"), head
        assert self._packet().startswith("0{")
        self._send("40" + json.dumps({"token": token}))
        response = self._packet()
        assert response.startswith("40"), response

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def emit(self, event: str, **data: object) -> None:
        self._send("42" + json.dumps([event, data]))

    def wait_for(self, event: str, seconds: float = 10) -> dict:
        """Waits for the next event of this name."""
        deadline = time.monotonic() + seconds
        while True:
            for index, (name, data) in enumerate(self.events):
                if name == event:
                    del self.events[index]
                    return data
            assert time.monotonic() < deadline, f"no {event}: {self.events}"
            packet = self._packet()
            if event_packet := re.fullmatch(r"42(\d*)(\[.*)", packet, re.DOTALL):
                number, text = event_packet.groups()
                name, *data = json.loads(text)
                self.events.append((name, data[0] if data else {}))
                if number:
                    self._send(f"43{number}[]")

    def terminal(self) -> Terminal:
        self.emit("create_terminal", cols=80, rows=24)
        return Terminal(self, self.wait_for("terminal_created")["terminal_id"])

    def _packet(self) -> str:
        """Returns the next packet that is not a ping; pings are answered."""
        while (packet := self._frame()) == "2":
            self._send("3")
        return packet

    def _send(self, text: str) -> None:
        payload, mask = text.encode(), os.urandom(4)
        size = len(payload)
        head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0xFE]) + struct.pack(">H", size)
        self.socket.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))

    def _frame(self) -> str:
        kind, size = self._take(2)
        if size == 126:
            (size,) = struct.unpack(">H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._take(8))
        payload = self._take(size)
        if kind & 0xF == 8:
            raise ConnectionError(f"closed: {payload!r}")
        return payload.decode(errors="replace")

    def _take(self, size: int) -> bytes:
        while len(self.received) < size:
            self._receive()
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def _receive(self) -> None:
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("closed")
        self.received += more


class Terminal:
    """A shell of the page."""

    def __init__(self, connection: Connection, number: str):
        self.connection, self.number, self.seen = connection, number, ""

    def type(self, line: str) -> None:
        self.connection.emit("terminal_input", terminal_id=self.number, data=line + "\n")

    def shows(self, text: str, seconds: float = 10) -> str:
        """Waits for this text; returns the output up to it."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            output = self.connection.wait_for("terminal_output", seconds)
            if output["terminal_id"] == self.number:
                self.seen += output["data"]
        before, self.seen = self.seen.split(text, 1)
        return before + text
