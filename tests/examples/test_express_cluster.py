"""examples/express-cluster: pages and their cache, deployments and faults under load, and PM2 beside it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import figures
from engine import ROOT, free_port, run, wait_for
from harness import (
    FOSTER,
    MADE,
    Foster,
    Load,
    Outcome,
    Wrk,
    children_of,
    is_served,
    megabytes,
    memory_of,
    seconds,
)
from nginx_site import NginxSite

EXAMPLE = ROOT / "examples" / "express-cluster"
README = "examples/express-cluster/README.md"
PRELOAD = ROOT / "deploy" / "node" / "foster-listen.cjs"
ROUNDS = 3 if os.environ.get("UPDATE_EXPECT") == "1" else 1


class Site(NginxSite):
    """The folder of a deployment, with the first release in it."""

    def __init__(self):
        super().__init__(EXAMPLE, 3000)
        self.source = self.folder / "source"
        shutil.copytree(EXAMPLE / "app", self.source, ignore=shutil.ignore_patterns("node_modules", "dist"))
        self.environment |= {"FOSTER_LISTEN": PRELOAD}

    def deploy(self, files: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        """Deploys the example's application with these files changed."""
        source = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copytree(self.source, source, dirs_exist_ok=True)
        for name, text in (files or {}).items():
            (source / name).write_text(text)
        variables = os.environ | {"ROOT": str(self.root), "RUN": str(self.run)}
        variables["PATH"] = f"{FOSTER.parent}:{variables['PATH']}"
        return run(EXAMPLE / "deploy.sh", source, check=False, env=variables, seconds=300)


SITE: Site


def setUpModule() -> None:
    global SITE
    SITE = Site()
    unittest.addModuleCleanup(shutil.rmtree, SITE.folder)
    first = SITE.deploy()
    assert first.returncode == 0 and "foster is not running" in first.stdout, first.stdout


class Shop(unittest.TestCase):
    """foster with the site's configuration, up, once for all tests of a class."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.shop = SITE.start()
        cls.addClassCleanup(cls.shop.close)
        cls.shop.up()
        cls.app = f"http://127.0.0.1:{SITE.port}"
        cls.url = SITE.url

    def pids(self) -> list[int]:
        return [self.shop.pid_of(f"web.{number}") for number in (0, 1)]

    def replaced(self, before: list[int]) -> None:
        def others() -> bool:
            rows = [self.shop.row(f"web.{number}") for number in (0, 1)]
            return all(row["state"] == "running" and row["pid"] not in before for row in rows)

        wait_for("other instances", others, 30)


class Pages(Shop):
    def test_http_is_sent_to_https(self):
        answer = SITE.ask_without_tls("/products/orrery", Host="shop.example")
        self.assertEqual((answer.status, answer.headers["Location"]), (308, "https://shop.example/products/orrery"))

    def test_pages_are_cached_compressed_and_have_the_headers(self):
        self.assertEqual(SITE.ask("/products/sextant").status, 200)
        page = SITE.ask("/products/sextant", **{"Accept-Encoding": "gzip"})
        self.assertEqual(page.headers["X-Cache"], "HIT")
        self.assertEqual(page.headers["Content-Encoding"], "gzip") if len(page.text) > 512 else None
        home = SITE.ask("/", **{"Accept-Encoding": "gzip"})
        self.assertEqual(home.headers["Content-Encoding"], "gzip")
        for name in "Strict-Transport-Security", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy":
            self.assertIn(name, home.headers)
        self.assertNotIn("X-Powered-By", home.headers)

    def test_assets_hold_for_a_year_and_the_status_page_is_never_cached(self):
        (style,) = re.findall(r"/assets/[\w.]+", SITE.ask("/").text.decode())
        self.assertIn("max-age=31536000", SITE.ask(style).headers["Cache-Control"])
        for _ in range(2):
            self.assertNotIn(SITE.ask("/status").headers["X-Cache"], ("HIT", "STALE", "UPDATING"))
        self.assertEqual(SITE.ask("/nothing").status, 404)

    def test_an_address_that_asks_too_much_is_limited(self):
        statuses = [SITE.ask("/", source="127.0.0.2").status for _ in range(200)]
        self.assertIn(429, statuses)
        self.assertEqual(SITE.ask("/").status, 200)


class Status(Shop):
    def test_status_and_its_watch_have_the_columns_that_the_readme_names(self):
        (named,) = re.findall(r"^\| `pm2 status` \| `foster status`: (.+) \|$", (ROOT / README).read_text(), re.MULTILINE)
        columns = {column.upper() for column in named.split(", ")}
        self.assertLessEqual({"CPU", "MEMORY"}, columns)
        with self.shop.watch("web") as lines:
            for _ in range(2):
                heading, *rows = ([cell.strip() for cell in re.split(r" {2,}", next(lines).strip())] for _ in range(3))
                self.assertLessEqual(columns, set(heading))
                for number, cells in enumerate(rows):
                    row = dict(zip(heading, cells))
                    self.assertEqual((row["NAME"], row["STATE"]), (f"web.{number}", "running"))
                    self.assertRegex(row["CPU"], r"^\d+(\.\d)?%$")
                    self.assertRegex(row["MEMORY"], r"^\d+(\.\d)?M$")


class Deployment(Shop):
    def test_rolling_reloads_under_load_fail_no_request(self):
        for url, keep_alive in (
            (f"{self.app}/products/orrery", False),
            (f"{self.app}/products/orrery", True),
            (f"{self.url}/status", False),
        ):
            with self.subTest(url=url, keep_alive=keep_alive):
                before = self.pids()
                with Wrk(url, keep_alive) as load:
                    for _ in range(2):
                        self.shop.verb("reload", "web")
                self.assertEqual(load.failures, "")
                self.assertFalse(set(before) & set(self.pids()))

    def test_a_deployment_under_load_fails_no_request_and_shows_the_new_pages_at_once(self):
        home = (SITE.source / "views" / "home.ejs").read_text()
        SITE.ask("/")
        with Wrk(f"{self.url}/") as load, Wrk(f"{self.url}/status") as other:
            deployed = SITE.deploy({"views/home.ejs": home.replace("finding your way", "losing your way")})
            self.assertEqual(deployed.returncode, 0, deployed.stdout)
            self.assertIn(b"losing your way", SITE.ask("/").text)
        self.assertEqual((load.failures, other.failures), ("", ""))

    def test_a_deployment_that_fails_changes_nothing(self):
        server = (SITE.source / "server.js").read_text()
        for reason, files in (
            ("not ok", {"views/home.ejs": "<%= nothing %>"}),
            ("does not come up", {"server.js": "throw new Error('this release is wrong');\n" + server}),
        ):
            with self.subTest(reason):
                before = (SITE.root / "current").resolve(), self.pids()
                with Wrk(f"{self.url}/status") as load:
                    deployed = SITE.deploy(files)
                self.assertNotEqual(deployed.returncode, 0, deployed.stdout)
                self.assertIn(reason, deployed.stdout)
                self.assertEqual(load.failures, "")
                self.assertEqual((SITE.root / "current").resolve(), before[0])
                self.assertTrue(self.shop.is_up())


class Faults(Shop):
    def load(self, url: str, fault, is_over) -> Outcome:
        with Load(url) as load:
            fault()
            is_over()
        return load.outcome

    def kill(self, pids: list[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def test_a_killed_instance_refuses_no_connection(self):
        before = self.pids()

        def over() -> None:
            wait_for("new instance", lambda: self.shop.row("web.0")["state"] == "running" and self.pids() != before, 30)

        outcome = self.load(f"{self.app}/products/orrery", lambda: self.kill(before[:1]), over)
        self.assertEqual((outcome.refused, outcome.status), (0, {}))
        # Those that it had begun to answer.
        self.assertLessEqual(outcome.broken, 8)

    def test_pages_are_served_from_the_cache_while_both_instances_are_killed(self):
        SITE.ask("/")
        before = self.pids()
        outcome = self.load(f"{self.url}/", lambda: self.kill(before), lambda: self.replaced(before))
        self.assertEqual(outcome.failed, 0, outcome)

    def test_pages_are_served_from_the_cache_while_the_app_is_stopped(self):
        fresh = SITE.ask("/").text

        def stop() -> None:
            self.shop.verb("stop", "web")
            # Beyond its two seconds the page is a stale one.
            wait_for("stale page", lambda: SITE.ask("/").headers["X-Cache"] in ("UPDATING", "STALE"), 20)
            self.assertEqual(SITE.ask("/").text.split(b"Rendered")[0], fresh.split(b"Rendered")[0])

        outcome = self.load(f"{self.url}/", stop, lambda: self.shop.verb("start", "web"))
        self.assertEqual(outcome.failed, 0, outcome)
        self.assertGreater(outcome.cache.get("updating", 0) + outcome.cache.get("stale", 0), 0, outcome)
        wait_for("fresh page", lambda: SITE.ask("/").headers["X-Cache"] in ("HIT", "EXPIRED", "MISS"), 20)


class Pm2:
    """PM2 in cluster mode, with a separate home and the release that is current."""

    def __init__(self, home: Path):
        folder = MADE / "pm2"
        self.pm2 = folder / "node_modules" / ".bin" / "pm2"
        if not self.pm2.exists():
            folder.mkdir(parents=True, exist_ok=True)
            run("npm", "install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", "pm2@7.0.4", seconds=300)
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def call(self, *words: str) -> str:
        variables = os.environ | {"PM2_HOME": str(self.home), "PORT": str(self.port), "NODE_ENV": "production"}
        return run(self.pm2, *words, cwd=SITE.root / "current", env=variables).stdout

    def start(self) -> float:
        began = time.monotonic()
        self.call("start", "server.js", "--name", "web", "-i", "2", "--max-memory-restart", "500M", "--max-restarts", "10")
        wait_for("answer", lambda: is_served(f"{self.url}/health"), 60)
        return time.monotonic() - began

    @property
    def pid(self) -> int:
        return int((self.home / "pm2.pid").read_text())

    def pids(self) -> list[int]:
        return children_of(self.pid)

    def reload(self) -> None:
        self.call("reload", "web")

    def stop(self) -> float:
        began = time.monotonic()
        self.call("kill")
        return time.monotonic() - began


class Bare:
    """foster with the program `web` alone, as PM2 runs it."""

    def __init__(self, home: Path):
        self.home = home
        config = (SITE.root / "foster.toml").read_text()
        (home / "foster.toml").write_text(re.sub(r"\n# A self-made.*?(?=\n\[program\.web\])|\n\[program\.nginx\].*", "\n", config, flags=re.DOTALL))
        self.environment = SITE.environment | {"RUN": home, "PORT": free_port()}
        self.url = f"http://127.0.0.1:{self.environment['PORT']}"

    def start(self) -> float:
        self.foster = Foster(self.home / "foster.toml", self.home, self.environment, self.home / "foster.sock")
        return self.foster.served(f"{self.url}/health")

    @property
    def pid(self) -> int:
        return self.foster.pid

    def pids(self) -> list[int]:
        rows = [self.foster.row(f"web.{number}") for number in (0, 1)]
        return [row["pid"] for row in rows if row["state"] == "running"]

    def reload(self) -> None:
        self.foster.verb("reload", "web")

    def stop(self) -> float:
        return self.foster.stop()


class Comparison(unittest.TestCase):
    """The same release under foster and under PM2, one after the other, without nginx in front."""

    def test_foster_fails_no_request_where_pm2_does(self):
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(self.measure(Bare))
            theirs.append(self.measure(Pm2))
        rows = []
        for what, words, form in (
            ("memory", "memory of the process manager", megabytes),
            ("start", "start to the first answer", seconds),
            ("stop", "stop", seconds),
            ("reload", "reload under load", failures),
            ("one", "`kill -9` of one worker under load", failures),
            ("both", "`kill -9` of both workers under load", failures),
        ):
            cell = lambda measured: form(statistics.median(each[what] for each in measured) if form is not failures else [each[what] for each in measured])
            rows.append([words, cell(ours), cell(theirs)])
        figures.table(README, "comparison", ["", "foster", "PM2"], rows)
        for each in ours:
            self.assertEqual(each["reload"].failed, 0)
            self.assertEqual((each["one"].refused, each["both"].refused), (0, 0))
        self.assertLess(min(each["memory"] for each in ours), min(each["memory"] for each in theirs))
        self.assertGreater(sum(each["both"].refused for each in theirs), 0)

    def measure(self, kind) -> dict:
        home = Path(tempfile.mkdtemp(dir=SITE.folder))
        manager = kind(home)
        start = manager.start()
        measured: dict = {"start": start}
        try:
            wait_for("both workers", lambda: len(manager.pids()) == 2, 30)
            measured["memory"] = memory_of(manager.pid)
            measured["reload"] = self.load(manager, manager.reload)
            measured["one"] = self.load(manager, lambda: self.kill(manager, 1))
            measured["both"] = self.load(manager, lambda: self.kill(manager, 2))
        finally:
            measured["stop"] = manager.stop()
        return measured

    def load(self, manager, fault) -> Outcome:
        with Load(f"{manager.url}/products/orrery", limit=10) as load:
            fault()
        return load.outcome

    def kill(self, manager, number: int) -> None:
        before = manager.pids()
        for pid in before[:number]:
            os.kill(pid, signal.SIGKILL)
        wait_for("other workers", lambda: len(now := manager.pids()) == 2 and len(set(now) - set(before)) == number, 60)


def failures(outcomes: list[Outcome]) -> str:
    """The failed requests of all rounds together, among all of them."""
    refused, broken = (sum(getattr(each, name) for each in outcomes) for name in ("refused", "broken"))
    total = sum(each.ok for each in outcomes) + refused + broken
    return f"{refused} refused, {broken} without an answer, of {total}"
