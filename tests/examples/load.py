"""Loads a URL until a line arrives on stdin, then prints what came of it, as JSON:

    load.py URL CONNECTIONS LIMIT

`ok`: answers with status 200; `refused`: connections that were refused; `broken`: requests without an answer within LIMIT seconds;
`status`: other answers, by status; `cache`: answers by their `X-Cache`; `gap`: the longest time without an answer of 200, in
seconds. Each request has a new connection. The first answer of 200 is printed as `loading`.
"""

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

# So that a server that refuses does not take the whole processor.
PAUSE = 0.005


class Load:
    def __init__(self, url: str, limit: float):
        self.limit = limit
        address = urlsplit(url)
        self.host, self.port = address.hostname, address.port
        self.request = f"GET {address.path or '/'} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode()
        self.tls = None
        if address.scheme == "https":
            self.tls = ssl.create_default_context()
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE
        self.ok = self.refused = self.broken = 0
        self.status, self.cache = Counter(), Counter()
        self.gap, self.last, self.is_over = 0.0, time.monotonic(), False

    def answered(self, head: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        status = lines[0].split()[1]
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        self.cache[fields.get("x-cache", "")] += 1
        if status != "200":
            self.status[status] += 1
            return
        if not self.ok:
            print("loading", flush=True)
        self.ok += 1
        self.count_gap()

    def count_gap(self) -> None:
        now = time.monotonic()
        self.gap, self.last = max(self.gap, now - self.last), now

    async def ask(self) -> None:
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.tls)
        except ConnectionRefusedError:
            self.refused += 1
            await asyncio.sleep(PAUSE)
            return
        try:
            writer.write(self.request)
            answer = await reader.read()
        finally:
            writer.close()
        head, found, _ = answer.partition(b"\r\n\r\n")
        if found:
            self.answered(head)
        else:
            self.broken += 1

    async def client(self) -> None:
        while not self.is_over:
            try:
                await asyncio.wait_for(self.ask(), self.limit)
            except (OSError, TimeoutError, asyncio.TimeoutError, ssl.SSLError):
                self.broken += 1
                await asyncio.sleep(PAUSE)

    async def run(self, connections: int) -> None:
        clients = [asyncio.create_task(self.client()) for _ in range(connections)]
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        self.is_over = True
        await asyncio.gather(*clients)
        self.count_gap()


def main(url: str, connections: str, limit: str) -> None:
    load = Load(url, float(limit))
    asyncio.run(load.run(int(connections)))
    names = "ok", "refused", "broken", "status", "cache", "gap"
    print(json.dumps({name: getattr(load, name) for name in names}))


main(*sys.argv[1:])
