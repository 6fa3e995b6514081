"""Terminals over Socket.IO: real shells on real pseudo-terminals."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sqlite3
import time

import pytest
import socketio
from conftest import LIMIT, Service, browser

pytestmark = pytest.mark.anyio


async def until(condition) -> None:
    """Waits for a condition that no event reports."""
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.01)


async def gone(lives, part: str) -> None:
    await until(lambda: not lives(part))


def written_down(service: Service) -> dict[str, str]:
    """The closed terminals in the database, with the reason."""
    with sqlite3.connect(service.data / "db" / "app.db") as database:
        return dict(database.execute("SELECT id, reason FROM terminals WHERE closed_at IS NOT NULL"))


async def test_what_is_typed_comes_back_from_a_shell(service: Service) -> None:
    async with browser(service, service.register("echo")) as page:
        terminal = await page.open()
        assert await page.run(terminal, "echo $((20 + 3)) $USER $TERM") == "23 echo xterm-256color"


async def test_a_shell_has_a_terminal_jobs_and_nothing_of_the_backends(service: Service) -> None:
    async with browser(service, service.register("clean")) as page:
        terminal = await page.open()
        assert (await page.run(terminal, "tty")).startswith("/dev/pts/")
        assert "m" in await page.run(terminal, "echo $-")
        assert await page.run(terminal, "ls /proc/self/fd | wc -w") == "4"  # ls adds one
        assert "DATA_DIR" not in await page.run(terminal, "env")
        assert await page.run(terminal, "grep -E 'NoNewPrivs|CapEff' /proc/self/status | xargs") == (
            "CapEff: 0000000000000000 NoNewPrivs: 1"
        )
        assert await page.run(terminal, "trap -p; stat -c %a ~") == "700"


async def test_a_character_that_is_split_between_two_reads_is_whole(service: Service) -> None:
    async with browser(service, service.register("utf")) as page:
        terminal = await page.open()
        # The second half is written when the first has been read: the terminal's queue is empty then.
        halves = ["\\303", "\\251 \\342\\202", "\\254\\n"]
        written = await page.run(terminal, "; sleep 0.1; ".join(f"printf '{half}'" for half in halves))
        assert written == "é €"
        assert await page.run(terminal, "printf 'a\\377b\\n'") == "a\ufffdb"


async def test_a_resize_reaches_the_shell(service: Service) -> None:
    async with browser(service, service.register("size")) as page:
        terminal = await page.open(cols=90, rows=30)
        assert await page.run(terminal, "stty size") == "30 90"
        await page.socket.emit("resize", {"terminal_id": terminal, "cols": 120, "rows": 40})
        assert await page.run(terminal, "stty size") == "40 120"


async def test_a_user_never_reaches_anothers_terminal(service: Service) -> None:
    token = service.register("owner")
    async with browser(service, token) as owner, browser(service, service.register("thief")) as thief:
        terminal = await owner.open(cols=90, rows=30)
        async with browser(service, token) as other_tab:
            for stranger in (thief, other_tab):
                for event, more in [
                    ("terminal_input", {"data": "touch /tmp/stolen\n"}),
                    ("resize", {"cols": 10, "rows": 10}),
                    ("close_terminal", {}),
                ]:
                    error = await stranger.refused(event, {"terminal_id": terminal, **more})
                    assert error["code"] == "unknown_terminal"
        assert await owner.run(terminal, "stty size") == "30 90"
        assert terminal not in thief.screens and terminal not in owner.ended


async def test_there_is_a_limit_for_each_user(start) -> None:
    service = start(TERMINALS_PER_USER="2")
    token = service.register("alice")
    async with browser(service, token) as page, browser(service, token) as second_tab:
        first = await page.open()
        await second_tab.open()
        error = await page.refused("create_terminal", {"request_id": "r3"})
        assert (error["code"], error["request_id"]) == ("limit", "r3")
        assert error["message"] == "you have 2 terminals open, and may have no more: close one"
        async with browser(service, service.register("bob")) as other:
            await other.open()
        await page.socket.emit("close_terminal", {"terminal_id": first})
        await page.until(lambda: first in page.ended)
        await page.open()


async def test_many_requests_at_the_same_moment_stay_within_the_limit(start) -> None:
    service = start(TERMINALS_PER_USER="3")
    async with browser(service, service.register("alice")) as page:
        for _ in range(8):
            await page.socket.emit("create_terminal", {})
        await page.until(lambda: len(page.created) + len(page.errors) == 8)
        assert (len(page.created), {error["code"] for error in page.errors}) == (3, {"limit"})


@pytest.mark.parametrize(
    "event,message,code",
    [
        ("create_terminal", {"cols": 0, "rows": 24}, "bad_request"),
        ("create_terminal", {"cols": 80, "rows": 100000}, "bad_request"),
        ("create_terminal", {"cols": True, "rows": 24}, "bad_request"),
        ("create_terminal", "80x24", "bad_request"),
        ("terminal_input", {"terminal_id": "x", "data": "ls\n"}, "unknown_terminal"),
        ("terminal_input", {"terminal_id": ["x"], "data": "ls\n"}, "unknown_terminal"),
        ("terminal_input", {"terminal_id": "x", "data": 7}, "bad_request"),
        ("terminal_input", None, "bad_request"),
        ("resize", [1, 2], "bad_request"),
        ("close_terminal", {}, "unknown_terminal"),
    ],
)
async def test_a_bad_message_is_answered_and_nothing_else(service: Service, event, message, code) -> None:
    name = f"bad-{time.monotonic_ns()}"
    async with browser(service, service.register(name)) as page:
        assert (await page.refused(event, message))["code"] == code
        assert await page.run(await page.open(), "echo $((1 + 1))") == "2"


@pytest.mark.parametrize("auth", [None, {}, {"token": ""}, {"token": "garbage"}, {"token": 7}, "text"])
async def test_nobody_connects_without_a_good_token(service: Service, auth) -> None:
    client = socketio.AsyncClient(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(service.url, auth=auth, transports=["websocket"])
    await client.disconnect()


async def test_a_logout_ends_the_connection_and_its_shells(service: Service, lives) -> None:
    token, other = service.register("leaver"), service.log_in("leaver")
    async with browser(service, token) as page, browser(service, other) as stays:
        await page.type(await page.open(), "sleep 91001\n")
        kept = await stays.open()
        with service.http(token) as http:
            http.post("/logout")
        await page.until(lambda: not page.socket.connected)
        assert page.session_ended == ["logged out"]
        await gone(lives, "sleep 91001")
        assert await stays.run(kept, "echo $((2 + 2))") == "4"


async def test_an_expired_session_loses_its_connection(start) -> None:
    service = start()
    token = service.register("alice")
    with sqlite3.connect(service.data / "db" / "app.db") as database:
        database.execute("UPDATE sessions SET expires_at = ?", (int(time.time()) + 2,))
    async with browser(service, token) as page:
        await page.open()
        await page.until(lambda: not page.socket.connected)
        assert page.session_ended == ["the session has expired"]


async def test_a_closed_terminal_leaves_nothing_of_its_session(service: Service, lives) -> None:
    async with browser(service, service.register("closer")) as page:
        terminal = await page.open()
        await page.run(terminal, "nohup sleep 91002 >/dev/null 2>&1 & (trap '' HUP TERM; sleep 91003) & true")
        await until(lambda: lives("sleep 91002") and lives("sleep 91003"))
        await page.socket.emit("close_terminal", {"terminal_id": terminal})
        await page.until(lambda: page.ended.get(terminal) == "closed")
        await gone(lives, "sleep 91002")
        await gone(lives, "sleep 91003")


async def test_a_connection_that_is_lost_takes_its_terminals_along(service: Service, lives) -> None:
    async with browser(service, service.register("loser")) as page:
        terminal = await page.open()
        await page.type(terminal, "sleep 91004\n")
        await until(lambda: lives("sleep 91004"))
    await gone(lives, "sleep 91004")


async def test_the_end_of_a_shell_is_told_with_its_status_and_its_last_words(service: Service) -> None:
    async with browser(service, service.register("exit")) as page:
        terminal = await page.open()
        await page.type(terminal, "echo last-$((1 + 1)); exit 3\n")
        await page.until(lambda: terminal in page.ended)
        assert page.ended[terminal] == "the shell ended with 3"
        assert "last-2" in page.screens[terminal]
        error = await page.refused("terminal_input", {"terminal_id": terminal, "data": "x"})
        assert error["code"] == "unknown_terminal"


async def test_what_was_open_is_written_down(start) -> None:
    service = start()
    async with browser(service, service.register("alice")) as page:
        first, second = await page.open(), await page.open()
        await page.type(first, "exit\n")
        await until(lambda: first in written_down(service))
        service.process.kill()
        service.ended()
    service = start()
    assert service.url
    assert written_down(service) == {first: "the shell ended with 0", second: "the backend ended"}


async def test_a_stop_with_open_terminals_takes_less_than_a_second(start, lives) -> None:
    begun = time.monotonic()
    service = start()
    assert service.url
    started = time.monotonic() - begun
    async with browser(service, service.register("alice")) as page:
        for number in (91005, 91006):
            await page.run(await page.open(), f"sleep {number} & true")
            await page.type(page.created[-1], f"sleep {number}\n")
        await until(lambda: lives("sleep 91005") and lives("sleep 91006"))
        begun = time.monotonic()
        service.stop(signal.SIGTERM)
        took = time.monotonic() - begun
        # On a machine that is busy with other things, at least in proportion to what a start takes there.
        assert took < max(1.0, 2 * started), f"{took:.2f} s; the start took {started:.2f} s"
        assert not lives("sleep 91005") and not lives("sleep 91006")
        assert "Application shutdown complete" in service.text()


async def test_endless_output_waits_for_its_reader_and_starves_nobody(start) -> None:
    service = start()
    tokens = service.register("flood"), service.register("other")
    async with browser(service, tokens[0]) as flood, browser(service, tokens[1]) as other:
        quiet = await other.open()
        flood.reads.clear()
        await flood.socket.emit("create_terminal", {})
        await flood.until(lambda: flood.created)
        noisy = flood.created[0]
        await flood.type(noisy, "yes\n")
        await flood.until(lambda: len(flood.screens.get(noisy, "")) > 200_000, "a window full of output")
        begun = time.monotonic()
        for number in range(20):
            assert await other.run(quiet, f"echo $(({number} + 1))") == str(number + 1)
        assert time.monotonic() - begun < 4.0
        # What is not acknowledged is bounded: a window and a piece.
        assert len(flood.screens[noisy]) <= 256 * 1024 + 16 * 1024
        before = len(flood.screens[noisy])
        flood.reads.set()
        await flood.until(lambda: len(flood.screens[noisy]) > before + 500_000, "more once it is read")
        assert await other.run(quiet, "echo still-$((1 + 1))") == "still-2"
        # And it can be interrupted.
        await flood.type(noisy, "\x03")
        assert await flood.run(noisy, "echo done-$((1 + 1))") == "done-2"
        status = dict(line.split(":", 1) for line in open(f"/proc/{service.process.pid}/status"))
        assert int(status["VmHWM"].split()[0]) < 200 * 1024


async def test_more_input_than_anybody_reads_is_refused_and_bounded(service: Service) -> None:
    async with browser(service, service.register("paste")) as page:
        terminal = await page.open()
        await page.type(terminal, "stty -icanon -echo; sleep 91007\n")
        while not page.errors:
            await page.type(terminal, "x" * 60_000)
            await asyncio.sleep(0)
        assert page.errors[-1]["code"] == "input_too_fast"
        await page.socket.emit("close_terminal", {"terminal_id": terminal})
        await page.until(lambda: terminal in page.ended)


async def test_a_long_paste_arrives_whole(service: Service) -> None:
    async with browser(service, service.register("whole")) as page:
        terminal = await page.open()
        await page.type(terminal, "stty -icanon -echo; echo re''ady; head -c 100000 | sha1sum; stty sane\n")
        # Not the echo of the command: until stty has run, a line is cut at 4096 bytes (termios(3)).
        await page.until(lambda: "ready" in page.screens[terminal])
        for part in range(10):
            await page.type(terminal, f"{part}" * 10_000)
        wanted = hashlib.sha1("".join(f"{part}" * 10_000 for part in range(10)).encode()).hexdigest()
        await page.until(lambda: wanted in page.screens[terminal], "the sum of what was pasted")


async def test_five_hundred_orphans_leave_the_service_well(service: Service) -> None:
    async with browser(service, service.register("forker")) as page:
        terminal = await page.open()
        await page.run(terminal, "for n in $(seq 500); do (true &) ; done")
        assert await page.run(terminal, "echo $((3 + 3))") == "6"
    with service.http() as http:
        assert http.get("/health").status_code == 200


async def test_a_shell_that_is_not_there_is_said_in_the_terminal(start) -> None:
    service = start(TERMINAL_SHELL="/no/such/shell")
    async with browser(service, service.register("alice")) as page:
        await page.socket.emit("create_terminal", {})
        await page.until(lambda: page.ended)
        (terminal,) = page.created
        assert "cannot start `/no/such/shell`: No such file or directory" in page.screens[terminal]
        assert page.ended[terminal] == "the shell ended with 126"


async def test_the_backends_own_descriptors_do_not_grow(service: Service) -> None:
    async with browser(service, service.register("counter")) as page:
        async def once() -> int:
            terminal = await page.open()
            await page.type(terminal, "exit\n")
            await page.until(lambda: terminal in page.ended)
            return len(os.listdir(f"/proc/{service.process.pid}/fd"))

        before = await once()
        for _ in range(5):
            after = await once()
        assert after <= before
