"""examples/gunicorn-fleet: deployments under load, what goes wrong, and supervisord beside it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

import figures
from engine import ROOT, free_port, run, wait_for
from harness import (
    FOSTER,
    Daemon,
    Foster,
    Load,
    Wrk,
    children_of,
    get,
    megabytes,
    memory_of,
    python_packages,
    seconds,
)

EXAMPLE = ROOT / "examples" / "gunicorn-fleet"
README = "examples/gunicorn-fleet/README.md"
ROUNDS = 3 if os.environ.get("UPDATE_EXPECT") == "1" else 1

# A release with another table; one of which a test fails; one of which the migration fails after its first step; one that
# does not come up, which no test of it sees.
GOOD = {
    "migrations/versions/0002_tags.py": """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "0002", "0001"
def upgrade():
    op.create_table("tags", sa.Column("id", sa.Integer, primary_key=True))
def downgrade():
    op.drop_table("tags")
"""
}
FAILING_TEST = {"tests/test_wrong.py": "def test_wrong():\n    assert False\n"}
FAILING_MIGRATION = {
    # Not below the folder that the tests of the release look at: they use a database without rows.
    "migrations/versions/0003_wrong.py": """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "0003", "0001"
def upgrade():
    op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))
    assert not op.get_bind().execute(sa.text("SELECT count(*) FROM notes")).scalar(), "there are notes"
def downgrade():
    op.drop_table("half")
"""
}
NOT_COMING_UP = {"gunicorn.conf.py": "raise RuntimeError('this release does not come up')\n"}


class Site:
    """A folder with the example deployed in it by deploy.sh, and the repository that it is deployed from."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="foster-fleet-"))
        self.origin, self.path = self.folder / "origin", self.folder / "site"
        shutil.copytree(EXAMPLE, self.origin, ignore=shutil.ignore_patterns("__pycache__", "venv"))
        self.git("init", "--quiet", "--initial-branch=main")
        self.first = self.commit({})
        self.path.mkdir()
        run("git", "clone", "--quiet", "--bare", self.origin, self.path / "source")

    def git(self, *words: str) -> str:
        author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        return run("git", *author, *words, cwd=self.origin).stdout.strip()

    def commit(self, files: dict[str, str]) -> str:
        """Commits these files on top of the first commit; returns the commit."""
        if files:
            self.git("checkout", "--quiet", "-B", "main", self.first)
        for name, text in files.items():
            (self.origin / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A release")
        return self.git("rev-parse", "HEAD")

    def deploy(self, commit: str) -> subprocess.CompletedProcess:
        path = f"{FOSTER.parent}:{os.environ['PATH']}"
        # The program's environment is that of foster, deploy.sh has its own.
        variables = os.environ | {"SITE": str(self.path), "PATH": path}
        return run(EXAMPLE / "deploy.sh", commit, check=False, env=variables, seconds=300)

    def current(self) -> str:
        return (self.path / "current").resolve().name

    def tables(self) -> set[str]:
        with sqlite3.connect(self.path / "data" / "fleet.db") as database:
            return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


class Server(Foster):
    """foster with the site's configuration, up."""

    def __init__(self, site: Site, **settings: object):
        self.site, self.port = site, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {"SITE": site.path, "PORT": self.port} | settings
        super().__init__(site.path / "current" / "foster.toml", site.path, environment, site.path / "foster.sock")

    def release(self) -> dict:
        return json.loads(get(f"{self.url}/release"))

    def workers(self) -> set[int]:
        return set(children_of(self.pid_of("web")))

    def order(self, path: str) -> None:
        """Orders a fault; it may answer or not."""

        def send() -> None:
            try:
                urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", method="POST"), timeout=60)
            except OSError:
                pass

        threading.Thread(target=send, daemon=True).start()

    def restarted(self, before: int) -> None:
        def other() -> bool:
            row = self.row("web")
            return row["state"] == "running" and row["pid"] != before

        wait_for("other server", other, 60)


SITE: Site


def setUpModule() -> None:
    global SITE
    SITE = Site()
    unittest.addModuleCleanup(shutil.rmtree, SITE.folder)
    first = SITE.deploy(SITE.first)
    assert first.returncode == 0 and "foster is not running" in first.stdout, first.stdout


class Fleet(unittest.TestCase):
    def serve(self, **settings: object) -> Server:
        (SITE.path / "current").unlink()
        (SITE.path / "current").symlink_to(f"releases/{SITE.first}")
        for left in (SITE.path / "data").iterdir():
            left.unlink()
        server = Server(SITE, **settings)
        self.addCleanup(server.close)
        server.up()
        return server


class Deployment(Fleet):
    def test_a_deployment_under_load_loses_no_request(self):
        server = self.serve()
        commit = SITE.commit(GOOD)
        with Wrk(f"{server.url}/notes") as load:
            deployed = SITE.deploy(commit)
        self.assertEqual(deployed.returncode, 0, deployed.stdout)
        self.assertEqual(load.failures, "")
        self.assertEqual(server.release()["release"], commit)
        self.assertIn("tags", SITE.tables())

    def test_a_failing_test_changes_nothing(self):
        self.changes_nothing(FAILING_TEST, "1 failed")
        self.assertEqual(len(list((SITE.path / "releases").glob("*.new"))), 0)

    def test_a_failing_migration_changes_nothing(self):
        self.changes_nothing(FAILING_MIGRATION, "there are notes")

    def test_a_release_that_does_not_come_up_is_taken_back(self):
        self.changes_nothing(NOT_COMING_UP, "this release does not come up")

    def changes_nothing(self, files: dict[str, str], reason: str) -> None:
        server = self.serve()
        note = urllib.request.Request(f"{server.url}/notes", b'{"text": "a"}', {"Content-Type": "application/json"})
        urllib.request.urlopen(note, timeout=10).close()
        commit = SITE.commit(files)
        before = SITE.current(), SITE.tables(), server.pid_of("web")
        with Wrk(f"{server.url}/notes") as load:
            deployed = SITE.deploy(commit)
        self.assertNotEqual(deployed.returncode, 0, deployed.stdout)
        self.assertIn(reason, deployed.stdout)
        self.assertEqual((SITE.current(), SITE.tables(), server.pid_of("web")), before)
        self.assertEqual(load.failures, "")
        self.assertEqual(server.release()["release"], SITE.first)
        self.assertTrue(server.is_up())

    def test_reloads_under_load_lose_no_request_on_connections_that_are_kept_open(self):
        server = self.serve()
        for keep_alive in False, True:
            with self.subTest(keep_alive=keep_alive), Wrk(f"{server.url}/release", keep_alive) as load:
                for _ in range(2):
                    server.verb("reload", "web")
            self.assertEqual(load.failures, "")

    def test_hup_under_load_loses_no_request(self):
        server = self.serve()
        with Wrk(f"{server.url}/release", keep_alive=True) as load:
            for _ in range(3):
                before = server.workers()
                server.verb("signal", "HUP", "web")
                wait_for("other workers", lambda: len(now := server.workers()) == 4 and not now & before, 60)
        self.assertEqual(load.failures, "")

    def test_workers_that_end_after_max_requests_lose_no_request(self):
        server = self.serve(MAX_REQUESTS=500)
        before = server.workers()
        with Wrk(f"{server.url}/release", keep_alive=True) as load:
            wait_for("other workers", lambda: len(now := server.workers()) == 4 and not now & before, 60)
        self.assertEqual(load.failures, "")

    def test_the_number_of_workers_follows_the_cpus_and_workers_overrides_it(self):
        cpus = len(os.sched_getaffinity(0))
        server = self.serve()
        wait_for("workers", lambda: len(server.workers()) == min(2 * cpus + 1, 4), 30)
        server.close()
        server = self.serve(WORKERS=2)
        wait_for("workers", lambda: len(server.workers()) == 2, 30)


class WhatGoesWrong(Fleet):
    """Each row of the table in README.md, measured against the time that the server itself needs to start."""

    def test_every_fault_costs_little_more_than_a_start(self):
        own = [self.own_start() for _ in range(ROUNDS)]
        rows, gaps = [], {}
        for name, today, fault in (
            ("an exception ends the server", "2 s", self.exception),
            ("out of memory", "2 s", self.memory),
            ("the server is killed by hand", "2 s", self.killed),
            ("one worker hangs, for the others", "0 s", self.hung),
            ("the health check fails", "5 s", self.unhealthy),
        ):
            outcome = fault()
            rows.append([name, today, f"{seconds(outcome.gap)}, {outcome.refused} refused"])
            self.assertEqual(outcome.refused, 0, name)
            if fault == self.hung:
                self.assertLess(outcome.gap, 2, name)
            gaps[name] = outcome.gap
        began = time.monotonic()
        server = self.serve()
        server.served(f"{server.url}/notes")
        cold = time.monotonic() - began
        rows.append(["the machine starts: foster, the migration, the server", "30 s", seconds(cold)])
        own += [self.own_start() for _ in range(ROUNDS)]
        rows.insert(0, ["the server's own start, without foster", "", seconds(statistics.median(own))])
        # Another server is ready before the former one stops.
        self.assertLess(max(gaps[name] for name in ("out of memory", "the server is killed by hand")), min(own))
        # Generously: a busy machine starts the one sooner than the other.
        self.assertLess(max(gaps.values()), 3 * max(own) + 2)
        self.assertLess(cold, 5 * max(own) + 2)
        figures.table(README, "faults", ["what happens", "out of service today", "with foster"], rows)

    def own_start(self) -> float:
        """The seconds from the start of gunicorn, without foster, to its first answer."""
        port = free_port()
        command = [SITE.path / "current/venv/bin/gunicorn", "--config", "gunicorn.conf.py", "--bind", f"127.0.0.1:{port}"]
        server = Daemon(
            [*command, "tests.drill:app"],
            SITE.path / "current",
            {"DATABASE": SITE.path / "data" / "fleet.db", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        try:
            return server.served(f"http://127.0.0.1:{port}/release")
        finally:
            server.close()

    def during(self, server: Server, fault, is_over=None):
        before = server.pid_of("web")
        with Load(f"{server.url}/release") as load:
            fault()
            is_over() if is_over else server.restarted(before)
        server.close()
        return load.outcome

    def drill(self, **settings: object) -> Server:
        """A server of which all workers serve."""
        server = self.serve(APP="tests.drill:app", **settings)
        wait_for("workers", lambda: server.text().count("Application startup complete") == len(server.workers()), 60)
        return server

    def exception(self):
        server = self.drill()
        outcome = self.during(server, lambda: server.order("/drill/exception"))
        self.assertIn("a drill: an exception", server.text())
        return outcome

    def memory(self):
        server = self.drill(MEMORY_MAX="700M")
        # One that has worked for `backoff.reset` is replaced; before that it would be a failed start.
        wait_for("a server that has worked", lambda: server.row("web")["uptime_ms"] >= 10_000, 30)
        outcome = self.during(server, lambda: server.order("/drill/memory?megabytes=600"))
        self.assertIn("memory_max", server.text())
        return outcome

    def killed(self):
        server = self.drill()
        return self.during(server, lambda: os.kill(server.pid_of("web"), signal.SIGKILL))

    def hung(self):
        server = self.drill(TIMEOUT=2)
        before = server.workers()
        replaced = lambda: wait_for("other worker", lambda: len(now := server.workers()) == 4 and now != before, 60)
        return self.during(server, lambda: server.order("/drill/hang?seconds=600"), replaced)

    def unhealthy(self):
        server = self.drill(HEALTH_INTERVAL="250ms")
        return self.during(server, lambda: server.order("/drill/unhealthy"))


class Comparison(Fleet):
    """The same release under foster and under supervisord, one after the other."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.supervisord = python_packages("supervisord", "supervisor==4.3.0") / "bin" / "supervisord"

    def test_foster_is_smaller_and_loses_less_than_supervisord(self):
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(self.measure(self.under_foster()))
            theirs.append(self.measure(self.under_supervisord()))
        rows = []
        for what, words, form in (
            ("memory", "memory of the process manager", megabytes),
            ("start", "start to the first answer", seconds),
            ("gap", "`kill -9` of the server under load: longest time without an answer", seconds),
            ("refused", "connections refused meanwhile", str),
            ("broken", "requests without an answer meanwhile", str),
            ("stop", "stop", seconds),
        ):
            median = lambda measured: statistics.median(each[what] for each in measured)
            rows.append([words, form(median(ours)), form(median(theirs))])
        figures.table(README, "comparison", ["", "foster", "supervisord"], rows)
        least = lambda measured, what: min(each[what] for each in measured)
        self.assertLess(least(ours, "memory"), least(theirs, "memory"))
        self.assertEqual(max(each["refused"] for each in ours), 0)
        self.assertGreater(least(theirs, "refused"), 0)

    def under_foster(self) -> tuple[Daemon, str, float]:
        began = time.monotonic()
        server = self.serve()
        server.served(f"{server.url}/release")
        return server, server.url, time.monotonic() - began

    def under_supervisord(self) -> tuple[Daemon, str, float]:
        port = free_port()
        shutil.copy(Path(__file__).with_name("supervisord") / "fleet.conf", SITE.path / "supervisord.conf")
        command = [self.supervisord, "-c", SITE.path / "supervisord.conf"]
        server = Daemon(command, SITE.path, {"SITE": SITE.path, "PORT": port})
        self.addCleanup(server.close)
        url = f"http://127.0.0.1:{port}"
        return server, url, server.served(f"{url}/release")

    def measure(self, running: tuple[Daemon, str, float]) -> dict[str, float]:
        manager, url, start = running
        memory = memory_of(manager.pid)
        (gunicorn,) = children_of(manager.pid)
        with Load(f"{url}/release") as load:
            os.kill(gunicorn, signal.SIGKILL)
            serves = lambda: children_of(manager.pid) not in ([], [gunicorn]) and self.is_of_another(url, gunicorn)
            wait_for("other server", serves, 60)
        outcome = load.outcome
        return {
            "memory": memory,
            "start": start,
            "gap": outcome.gap,
            "refused": outcome.refused,
            "broken": outcome.broken,
            "stop": manager.stop(),
        }

    def is_of_another(self, url: str, server: int) -> bool:
        try:
            return json.loads(get(f"{url}/release"))["server"] not in (server, 1)
        except OSError:
            return False
