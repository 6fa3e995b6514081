"""examples/fastapi-host: its README word for word as an ordinary user, what goes wrong, rotation, and supervisord beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time
import unittest
import urllib.request
from pathlib import Path

import figures
from engine import ROOT, free_port, run, wait_for
from harness import FOSTER, Daemon, Load, children_of, get, is_served, megabytes, memory_of, seconds
from host import Host

EXAMPLE = ROOT / "examples" / "fastapi-host"
README = "examples/fastapi-host/README.md"
ROUNDS = 3 if os.environ.get("UPDATE_EXPECT") == "1" else 1
WRITER = Path(__file__).with_name("writer.py")

HOST: Host
PORT: int
URL: str


def blocks(kind: str) -> list[str]:
    """The README's blocks of this kind, with the test's port."""
    return [with_port(block) for block in re.findall(rf"```{kind}\n(.*?)```", (ROOT / README).read_text(), re.DOTALL)]


def with_port(text: str) -> str:
    return text.replace("8001", str(PORT))


def setUpModule() -> None:
    """Installs the example as its README says."""
    global HOST, PORT, URL
    if os.geteuid() != 0:
        assert os.environ.get("CI") != "true", "CI must have root, for an ordinary user on a host"
        raise unittest.SkipTest("skipped: needs root, for an ordinary user on a host")
    HOST, PORT = Host(), free_port()
    unittest.addModuleCleanup(HOST.close)
    URL = f"http://127.0.0.1:{PORT}"
    copy = HOST.home / "fastapi-host"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", "venv"))
    for path in copy.rglob("*.toml"):
        path.write_text(with_port(path.read_text()))
    (HOST.home / "bin").mkdir()
    shutil.copy(FOSTER, HOST.home / "bin" / "foster")
    HOST.boot()
    HOST.shell(blocks("sh")[0], seconds=300)


def setUpHost(test: unittest.TestCase) -> None:
    """Starts foster as the README says; at the end of the test nothing runs."""
    test.addCleanup(shut_down)
    HOST.shell(blocks("sh")[1])


def shut_down() -> None:
    HOST.shell("~/supervisor/control.sh stop", check=False)
    wait_for("end of foster", lambda: not processes("foster run"), 30)


def foster(words: str, check: bool = True) -> subprocess.CompletedProcess:
    """A verb, after the line for ~/.profile."""
    return HOST.shell(f"{blocks('sh')[2]}foster {words}", check=check)


def processes(pattern: str) -> list[int]:
    """The user's processes with this in their command line, by their pids in the host."""
    found = run(*HOST.enter("pgrep", "--uid", HOST.uid, "--full", pattern), check=False)
    return [int(pid) for pid in found.stdout.split()]


def row(label: str) -> dict:
    return {row["label"]: row for row in json.loads(foster("status --json", check=False).stdout)}[label]


def health() -> dict:
    return json.loads(get(f"{URL}/health"))


def answering() -> int | None:
    """The pid of the app that answers; `None` while none does."""
    try:
        return health()["pid"]
    except OSError:
        return None


def kill(name: str, pid: int) -> None:
    HOST.shell(f"kill -{name} {pid}")


def add_program(test: unittest.TestCase, name: str, text: str) -> None:
    """Adds a program as the README says, for this test."""
    path = HOST.home / "supervisor" / "conf.d" / f"{name}.toml"
    test.addCleanup(path.unlink, missing_ok=True)
    path.write_text(text)
    path.chmod(0o644)


class Installation(unittest.TestCase):
    def test_the_readme_works_word_for_word(self):
        test_blocks = blocks("sh")
        self.addCleanup(shut_down)
        started = HOST.shell(test_blocks[1]).stdout
        said = re.sub(r"pid \d+", "pid 4711", started)
        self.assertEqual(said, blocks("text")[0])
        for block in test_blocks[3].splitlines():
            HOST.shell(test_blocks[2] + block)
        HOST.shell(test_blocks[4])
        self.assertEqual(len(test_blocks), 5)
        installed = HOST.shell("crontab -l").stdout
        self.assertIn("@reboot sleep 30; $HOME/supervisor/control.sh start\n*/5 * * * * ", installed)

    def test_modes_and_owners_are_those_of_the_table(self):
        setUpHost(self)
        modes = {
            "supervisor/foster.toml": 0o600,
            "supervisor/conf.d/api.toml": 0o600,
            "supervisor/run": 0o700,
            "supervisor/run/foster.sock": 0o700,
            "supervisor/logs": 0o755,
            "supervisor/logs/api.log": 0o644,
            "supervisor/logs/foster.log": 0o644,
            "app/.env": 0o600,
        }
        found = {name: (HOST.home / name).stat() for name in modes}
        self.assertEqual({name: stat.st_mode & 0o777 for name, stat in found.items()}, modes)
        self.assertEqual({stat.st_uid for stat in found.values()}, {HOST.uid})

    def test_a_second_start_is_refused_and_changes_no_file(self):
        setUpHost(self)
        wait_for("line in the log", lambda: "api: ready" in (HOST.home / "supervisor/logs/foster.log").read_text(), 10)
        listed = lambda: HOST.shell("find supervisor -type f -o -type s | sort; cat supervisor/run/pid supervisor/logs/foster.log").stdout
        before, pid = listed(), health()["pid"]
        second = HOST.shell(blocks("sh")[1], check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("already running here", second.stdout)
        self.assertEqual((listed(), health()["pid"]), (before, pid))

    def test_control_sh_has_the_verbs_that_it_had(self):
        setUpHost(self)
        control = lambda words: HOST.shell(f"~/supervisor/control.sh {words}").stdout
        before = health()["pid"]
        self.assertIn("usage: foster", control(""))
        self.assertIn("running", control("status"))
        self.assertIn("Application startup complete", control("logs -n 20 api"))
        self.assertIn("api: restarted", control("restart"))
        self.assertNotEqual(health()["pid"], before)
        control("health")
        control("stop")
        self.assertEqual(processes("foster run"), [])
        self.assertFalse(is_served(f"{URL}/health"))
        self.assertFalse((HOST.home / "supervisor/run/pid").exists())

    def test_no_secret_is_in_ps_in_a_log_or_in_an_answer(self):
        setUpHost(self)
        token = (HOST.home / "app/.env").read_text().strip().removeprefix("API_TOKEN=")
        self.assertGreater(len(token), 40)
        request = urllib.request.Request(f"{URL}/report", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            self.assertEqual(json.load(answer), {"visitors": 42})
        another = ["setpriv", "--reuid", HOST.uid + 1, "--regid", HOST.uid + 1, "--clear-groups"]
        shown = {
            "ps of the user": HOST.shell("ps axww -o args").stdout,
            "ps of another user, with environments": run(*HOST.enter(*another, "ps", "axewww")).stdout,
            "foster": "".join(foster(verb).stdout for verb in ("status --json", "events --json", "logs", "check")),
            "logs": "".join(path.read_text() for path in (HOST.home / "supervisor/logs").iterdir()),
        }
        for what, text in shown.items():
            self.assertNotIn(token, text, what)
        self.assertIn("venv/bin/uvicorn main:app", shown["ps of another user, with environments"])


class WhatGoesWrong(unittest.TestCase):
    def setUp(self):
        setUpHost(self)

    def restarted(self, before: int) -> None:
        wait_for("other app", lambda: answering() not in (None, before), 60)

    def test_a_crash_refuses_no_connection(self):
        before = health()["pid"]
        with Load(f"{URL}/health") as load:
            kill("KILL", before)
            self.restarted(before)
        self.assertEqual(load.outcome.refused, 0)
        self.assertGreater(load.outcome.ok, 0)
        self.assertEqual(row("api")["restarts"], 1)

    def test_an_app_that_hangs_is_restarted(self):
        before = health()["pid"]
        kill("STOP", before)
        self.restarted(before)
        self.assertIn("unhealthy", foster("events api").stdout)

    def test_a_program_that_crashes_is_started_again_after_a_second_at_most_and_not_given_up(self):
        add_program(self, "flaky", "[program.flaky]\ncommand = ['sh', '-c', 'exit 3']\n")
        foster("update --no-wait", check=False)
        wait_for("ten restarts", lambda: row("flaky")["restarts"] >= 10, 60)
        lines = [json.loads(line) for line in foster("events --json -n 1000 flaky").stdout.splitlines()]
        delays = [line["restart_in_ms"] for line in lines if "restart_in_ms" in line]
        self.assertEqual((delays[0], max(delays), delays[-1]), (100, 1000, 1000))
        self.assertIn("of 999999", (HOST.home / "supervisor/logs/foster.log").read_text())
        self.assertEqual(row("api")["state"], "running")

    def test_a_program_that_ignores_term_is_killed_after_ten_seconds(self):
        add_program(self, "stubborn", "[program.stubborn]\ncommand = ['sh', '-c', 'trap \"\" TERM; echo up; while :; do sleep 1000; done']\nready = { log = 'up' }\n")
        foster("update")
        began = time.monotonic()
        foster("stop stubborn")
        self.assertTrue(10 <= time.monotonic() - began < 15, time.monotonic() - began)

    def test_a_program_that_exceeds_its_memory_limit_is_restarted(self):
        grow = "import time; print('up', flush=True); memory = bytearray(200 << 20); time.sleep(1000)"
        add_program(self, "grow", f'[program.grow]\ncommand = ["python3", "-c", "{grow}"]\nready = {{ log = "up" }}\nmemory_max = "100M"\n')
        foster("update")
        wait_for("restart", lambda: row("grow")["restarts"] >= 1, 30)
        self.assertIn("memory_max", foster("events grow").stdout)
        self.assertEqual(row("api")["restarts"], 0)

    def test_a_reload_refuses_no_connection_and_the_old_app_continues_if_the_new_one_does_not_come_up(self):
        before = health()["pid"]
        with Load(f"{URL}/health") as load:
            foster("reload api")
        self.assertEqual(load.outcome.refused, 0)
        self.assertNotEqual(health()["pid"], before)
        app = HOST.home / "app/main.py"
        self.addCleanup(app.write_text, app.read_text())
        app.write_text("raise RuntimeError('this release does not come up')\n")
        before = health()["pid"]
        self.assertEqual(foster("reload api", check=False).returncode, 1)
        self.assertEqual(health()["pid"], before)

    def test_it_outlives_the_session_that_it_was_started_from(self):
        shut_down()
        master, slave = os.openpty()
        command = ["setsid", "--ctty", "--wait", *HOST.logged_in("~/supervisor/control.sh start; echo started; exec cat")]
        session = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        screen = b""
        while b"started" not in screen:
            screen += os.read(master, 4096)
        self.assertIn(b"runs in the background", screen)
        before = health()["pid"]
        # The connection breaks: the kernel hangs up the terminal.
        os.close(master)
        session.wait(20)
        wait_for("end of the session", lambda: not processes("echo started"), 20)
        self.assertEqual(health()["pid"], before)
        self.assertEqual(run(*HOST.enter("ps", "-o", "tty=", "-p", *processes("foster run"))).stdout.split(), ["?"])
        foster("restart api")
        self.assertNotEqual(health()["pid"], before)

    def test_the_monitor_starts_a_foster_that_was_killed_and_is_silent_otherwise(self):
        monitor = (EXAMPLE / "supervisor/crontab").read_text().splitlines()[1].removeprefix("*/5 * * * * ")
        quiet = HOST.by_cron(monitor)
        self.assertEqual(quiet.stdout, "")
        before, supervisor = health()["pid"], processes("foster run")
        kill("KILL", supervisor[0])
        # The app ends with foster.
        wait_for("end of the app", lambda: not processes("venv/bin/uvicorn"), 20)
        self.assertIn("api: ready", HOST.by_cron(monitor).stdout)
        self.assertNotEqual((health()["pid"], processes("foster run")), (before, supervisor))
        self.assertEqual(HOST.by_cron(monitor).stdout, "")


class Reboot(unittest.TestCase):
    def test_cron_starts_foster_after_a_reboot(self):
        setUpHost(self)
        HOST.crash()
        self.assertFalse(is_served(f"{URL}/health"))
        # The other line starts foster as well, every five minutes.
        HOST.boot()
        HOST.shell("grep @reboot ~/fastapi-host/supervisor/crontab | crontab -")
        HOST.crash()
        self.addCleanup(HOST.boot)
        self.addCleanup(HOST.crash)
        HOST.boot("cron", "-f")
        began = time.monotonic()
        wait_for("answer after the reboot", lambda: is_served(f"{URL}/health"), 90)
        print(f"\nserved {time.monotonic() - began:.1f} s after the start of cron", flush=True)
        self.assertIn("already running", HOST.shell(blocks("sh")[1], check=False).stdout)


class Rotation(unittest.TestCase):
    """Numbered lines at 50 MB/s, into the file of a program and into foster's own log."""

    FULL = os.environ.get("ROTATION") == "full"
    SIZE, KEEP, MEGABYTES = ("50M", 10, 500) if FULL else ("4M", 60, 150)

    def test_no_line_is_lost_or_torn_at_50_megabytes_a_second(self):
        program = self.write("{ file = '${HOME}/supervisor/logs/writer.log' }", self.MEGABYTES)
        # Its lines have a time and a name as well.
        own = self.write("'log'", int(self.MEGABYTES * 0.7))
        rows = [[what, program[what], own[what]] for what in program]
        if self.FULL:
            figures.table(README, "rotation", ["", "file of a program", "`foster.log`"], rows)

    def write(self, sink: str, size: int) -> dict[str, str]:
        shutil.copy(WRITER, HOST.home / "writer.py")
        config = HOST.home / "supervisor/foster.toml"
        before = config.read_text()
        self.addCleanup(config.write_text, before)
        limits = before.replace('log_max_size = "50M"', f'log_max_size = "{self.SIZE}"').replace("log_keep = 10", f"log_keep = {self.KEEP}")
        config.write_text(limits)
        sink = sink.replace("' }", f"', max_size = '{self.SIZE}', keep = {self.KEEP} }}")
        add_program(
            self,
            "writer",
            f"[program.writer]\ncommand = ['python3', '${{HOME}}/writer.py', '{size}', '50']\nrestart = 'never'\nmin_uptime = '1ms'\n"
            f"stdout = {sink}\nstderr = {{ file = '${{HOME}}/rate' }}\n",
        )
        for old in (HOST.home / "supervisor/logs").glob("*.log*"):
            old.unlink()
        (HOST.home / "rate").unlink(missing_ok=True)
        setUpHost(self)
        try:
            wait_for("end of the writer", lambda: row("writer")["state"] == "exited", 120)
        finally:
            shut_down()
        rate = float((HOST.home / "rate").read_text())
        log = HOST.home / "supervisor/logs" / ("foster.log" if sink == "'log'" else "writer.log")
        limit = int(self.SIZE[:-1]) * 1024 * 1024
        files = [path for number in range(self.KEEP, -1, -1) if (path := Path(f"{log}.{number}" if number else str(log))).exists()]
        expected, torn, lost = 0, 0, 0
        for path in files:
            self.assertLessEqual(path.stat().st_size, limit)
            with path.open("rb") as lines:
                for line in lines:
                    if found := re.search(rb"(\d{12}) x{86}\n$", line):
                        number = int(found[1])
                        lost += number != expected
                        expected = number + 1
                    else:
                        # A line of foster's own has no such text.
                        torn += b"xx" in line or not line.endswith(b"\n")
        lines = size * 10_000
        self.assertEqual((expected, lost, torn), (lines, 0, 0))
        self.assertGreater(len(files), 3)
        return {
            "lines of 100 bytes, written and found in order": f"{lines:,}",
            "lines lost or torn": str(lost + torn),
            "files": str(len(files)),
            "rate of the writer": f"{rate:.1f} MB/s",
        }


class Comparison(unittest.TestCase):
    """The same app under foster and under supervisord, one after the other, as the user."""

    def test_foster_is_smaller_and_loses_less_than_supervisord(self):
        HOST.shell("python3 -m venv ~/supervisord && ~/supervisord/bin/pip install --quiet supervisor==4.3.0", seconds=300)
        shutil.copy(Path(__file__).with_name("supervisord") / "host.conf", HOST.home / "supervisor" / "supervisord.conf")
        config = HOST.home / "supervisor"
        commands = {
            "foster": [HOST.home / "bin/foster", "run", "-c", config / "foster.toml"],
            "supervisord": [HOST.home / "supervisord/bin/supervisord", "-c", config / "supervisord.conf"],
        }
        measured = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                measured[name].append(self.measure(command))
        rows = []
        for what, words, today, form in (
            ("memory", "memory of the process manager", "", megabytes),
            ("start", "start to the first answer", "", seconds),
            ("process", "crash: the next process runs after", "about 2 s", seconds),
            ("again", "crash: the app answers again after", "", seconds),
            ("gap", "crash under load: longest time without an answer", "", seconds),
            ("refused", "crash under load: connections refused", "", str),
            ("stop", "stop", "", seconds),
        ):
            median = lambda name: statistics.median(each[what] for each in measured[name])
            rows.append([words, today, form(median("foster")), form(median("supervisord"))])
        figures.table(README, "comparison", ["", "today", "foster", "supervisord"], rows)
        least = lambda name, what: min(each[what] for each in measured[name])
        self.assertLess(least("foster", "memory"), least("supervisord", "memory"))
        self.assertEqual(max(each["refused"] for each in measured["foster"]), 0)
        self.assertGreater(least("supervisord", "refused"), 0)

    def measure(self, command: list) -> dict[str, float]:
        manager = Daemon(HOST.as_user(*command, PORT=PORT), HOST.folder)
        try:
            start = manager.served(f"{URL}/health")
            app = health()["pid"]
            chain = [manager.pid]
            # foster starts the app behind its bare init.
            while (children := children_of(chain[-1])) and app not in children:
                chain += children[:1]
            memory = memory_of(*chain)
            seen = set(self.below(manager.pid))
            with Load(f"{URL}/health") as load:
                began = time.monotonic()
                os.kill(app, signal.SIGKILL)
                wait_for("next process", lambda: set(self.below(manager.pid)) - seen, 30)
                process = time.monotonic() - began
                wait_for("answer of another", lambda: answering() not in (None, app), 30)
                again = time.monotonic() - began
            outcome = load.outcome
            stop = manager.stop()
        finally:
            manager.close()
        return {
            "memory": memory,
            "start": start,
            "process": process,
            "again": again,
            "gap": outcome.gap,
            "refused": outcome.refused,
            "stop": stop,
        }

    def below(self, pid: int) -> list[int]:
        try:
            children = children_of(pid)
        except OSError:
            return []
        return children + [further for child in children for further in self.below(child)]
