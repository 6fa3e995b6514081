"""examples/express-backup: the page and its API, backups on time, restores, and 50 crashes in the middle of writes."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import unittest
from datetime import datetime, timedelta

from engine import ROOT, run, wait_for
from harness import FOSTER, Foster, is_served
from nginx_site import NginxSite

EXAMPLE = ROOT / "examples" / "express-backup"
CRASHES = 50
WRITERS = 8
KEEP = 3


class Site(NginxSite):
    """The deployment of the image: the server with its packages, the page as it is built, and folders for data."""

    def __init__(self):
        super().__init__(EXAMPLE, 8080)
        without_made = shutil.ignore_patterns("node_modules", "dist")
        self.server, page = self.root / "server", self.folder / "web"
        shutil.copytree(EXAMPLE / "server", self.server, ignore=without_made)
        run("npm", "ci", "--silent", cwd=self.server, seconds=300)
        shutil.copytree(EXAMPLE / "web", page, ignore=without_made)
        run("npm", "ci", "--silent", cwd=page, seconds=300)
        run("npm", "run", "--silent", "build", cwd=page, seconds=300)
        (page / "dist").rename(self.root / "web")
        self.data, self.backups, self.logs = (self.root / name for name in ("data", "backups", "logs"))
        self.empty()
        self.environment |= {"BACKUP_KEEP": KEEP}

    def empty(self) -> None:
        for folder in self.data, self.backups, self.logs:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def node(self, script: str, *words: str) -> subprocess.CompletedProcess:
        """Runs a script of the server as `docker compose exec` does: with foster in PATH, and the environment of the programs."""
        folders = {"DATA_DIR": self.data, "BACKUP_DIR": self.backups, "FOSTER_SOCKET": self.run / "foster.sock", "PORT": self.port}
        variables = os.environ | {name: str(value) for name, value in folders.items()}
        variables["PATH"] = f"{FOSTER.parent}:{variables['PATH']}"
        return run("node", script, *words, cwd=self.server, check=False, env=variables)

    def audit(self) -> list[dict]:
        return [json.loads(line) for line in (self.data / "audit.log").read_text().splitlines()]


SITE: Site


def setUpModule() -> None:
    global SITE
    SITE = Site()
    unittest.addModuleCleanup(shutil.rmtree, SITE.folder)


class Stock(unittest.TestCase):
    """foster with the site's configuration, up, once for all tests of a class, with empty folders."""

    foster: Foster

    @classmethod
    def setUpClass(cls) -> None:
        SITE.empty()
        cls.foster = SITE.start()
        cls.addClassCleanup(cls.foster.close)
        cls.foster.up()
        # Paused, so that the tests have the same backups at any time of the day.
        cls.foster.verb("stop", "backup")

    def add(self, name: str, quantity: int = 1) -> dict:
        answer = SITE.ask("/api/items", "POST", {"name": name, "quantity": quantity})
        self.assertEqual(answer.status, 201, answer.text)
        return json.loads(answer.text)

    def names(self) -> list[str]:
        return [item["name"] for item in json.loads(SITE.ask("/api/items").text)["items"]]

    def backups(self) -> list[str]:
        return [backup["name"] for backup in json.loads(SITE.ask("/api/backups").text)]


class Server(unittest.TestCase):
    def test_the_tests_of_the_server_pass(self):
        run("npm", "test", "--silent", cwd=SITE.server)


class Serving(Stock):
    def test_http_is_sent_to_https_and_health_is_served_by_both(self):
        sent = SITE.ask_without_tls("/", Host="stock.example")
        self.assertEqual((sent.status, sent.headers["Location"]), (308, "https://stock.example/"))
        for answer in SITE.ask_without_tls("/health"), SITE.ask("/health"):
            self.assertEqual((answer.status, json.loads(answer.text)["status"]), (200, "ok"))

    def test_the_page_is_looked_at_each_time_and_its_assets_hold_for_a_year(self):
        page = SITE.ask("/")
        self.assertEqual((page.status, page.headers["Cache-Control"]), (200, "no-cache"))
        assets = re.findall(r'"(/assets/[^"]+)"', page.text.decode())
        self.assertEqual(len(assets), 2, page.text)
        for asset in assets:
            answer = SITE.ask(asset, **{"Accept-Encoding": "gzip"})
            self.assertIn("max-age=31536000", answer.headers["Cache-Control"])
            self.assertEqual(answer.headers["Content-Encoding"], "gzip")

    def test_answers_are_compressed_and_have_the_headers(self):
        for number in range(20):
            self.add(f"item of the list {number}")
        answer = SITE.ask("/api/items", **{"Accept-Encoding": "gzip"})
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertGreaterEqual(len(json.loads(gzip.decompress(answer.text))["items"]), 20)
        for path in "/api/items", "/api/missing", "/missing":
            headers = SITE.ask(path).headers
            for name in "Strict-Transport-Security", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy":
                self.assertIn(name, headers, path)
            self.assertNotIn("X-Powered-By", headers)

    def test_an_address_that_asks_too_much_is_limited(self):
        answers = [SITE.ask("/api/items", source="127.0.0.2") for _ in range(200)]
        limited = [answer for answer in answers if answer.status == 429]
        self.assertTrue(limited)
        self.assertEqual(json.loads(limited[0].text)["error"], "too many requests: try again in a moment")
        self.assertEqual(limited[0].headers["Retry-After"], "2")
        self.assertIn("Content-Security-Policy", limited[0].headers)
        self.assertEqual(SITE.ask("/api/items").status, 200)

    def test_a_change_is_logged_with_the_address_of_the_client_whatever_it_says_of_itself(self):
        item = self.add("Audited", 5)
        forged = {"X-Forwarded-For": "203.0.113.9"}
        self.assertEqual(SITE.ask(f"/api/items/{item['id']}", "PATCH", {"add": -2}, "127.0.0.3", **forged).status, 200)
        self.assertEqual(SITE.ask(f"/api/items/{item['id']}", "DELETE", source="127.0.0.4").status, 200)
        logged = [(entry["action"], entry["item"]["quantity"], entry["by"]) for entry in SITE.audit()[-3:]]
        self.assertEqual(logged, [("add", 5, "127.0.0.1"), ("count", 3, "127.0.0.3"), ("remove", 3, "127.0.0.4")])
        self.assertEqual([entry["action"] for entry in json.loads(SITE.ask("/api/audit").text)[:3]], ["remove", "count", "add"])

    def test_a_form_of_another_site_changes_nothing(self):
        before = SITE.audit() if (SITE.data / "audit.log").exists() else []
        answer = SITE.ask("/api/items", "POST", {"name": "forged", "quantity": 1}, **{"Content-Type": "text/plain"})
        self.assertEqual(answer.status, 415, answer.text)
        self.assertEqual(SITE.audit(), before)

    def test_while_the_server_is_down_the_api_says_when_to_try_again(self):
        self.foster.verb("stop", "api")
        answer = SITE.ask("/api/items")
        self.foster.verb("start", "api")
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "2"))
        self.assertIn("try again", json.loads(answer.text)["error"])
        self.assertEqual(SITE.ask("/api/items").status, 200)

    def test_a_second_server_does_not_touch_the_data(self):
        before = SITE.audit(), self.foster.pid_of("api")
        second = SITE.node("server.js")
        self.assertEqual(second.returncode, 1)
        self.assertIn("cannot start: listen EADDRINUSE", second.stdout)
        self.assertEqual((SITE.audit(), self.foster.pid_of("api")), before)

    def test_each_request_is_a_line_of_the_access_log(self):
        SITE.ask("/api/items?access")
        log = SITE.logs / "access.log"
        wait_for("line of the access log", lambda: '"GET /api/items?access HTTP/1.1" 200' in log.read_text(), 10)


class Backups(Stock):
    def test_check_prints_that_the_backup_is_due_every_six_hours(self):
        checked = self.foster.verb("check", "-c", SITE.config).stdout
        (line,) = [line for line in checked.splitlines() if "backup" in line and "; due " in line]
        due = [datetime.strptime(found, "%Y-%m-%d %H:%M %z") for found in re.findall(r"20\d\d-\d\d-\d\d [\d:]+ [+-][\d:]+", line)]
        self.assertEqual(len(due), 3, checked)
        self.assertTrue(all(time.hour % 6 == 0 and time.minute == 0 for time in due), line)
        self.assertEqual([after - before for before, after in zip(due, due[1:])], [timedelta(hours=6)] * 2)

    def test_run_job_makes_a_backup_and_the_newest_ones_stay(self):
        made = []
        for number in range(KEEP + 2):
            self.add(f"kept {number}")
            self.foster.verb("run-job", "backup")
            made.insert(0, self.backups()[0])
        self.assertEqual(len(set(made)), KEEP + 2)
        self.assertEqual(self.backups(), made[:KEEP])
        newest = json.loads(gzip.decompress((SITE.backups / made[0]).read_bytes()))
        self.assertEqual([item["name"] for item in newest["items"]], self.names())

    def test_a_backup_is_made_when_it_is_due(self):
        config = SITE.config.read_text()
        before = self.backups()
        SITE.config.write_text(config.replace('schedule = "0 */6 * * *"', 'schedule = "every 1s"'))
        try:
            self.assertNotEqual(SITE.config.read_text(), config)
            self.foster.verb("update")
            self.foster.verb("start", "backup")
            wait_for("backup", lambda: self.backups()[:1] != before[:1], 20)
        finally:
            SITE.config.write_text(config)
            self.foster.verb("update")
            self.foster.verb("stop", "backup")

    def test_the_drill_passes_and_one_that_fails_leaves_the_rest_alone(self):
        self.add("Drilled", 4)
        self.foster.verb("run-job", "backup")
        before = self.names(), self.foster.pid_of("api")
        self.foster.verb("start", "restore-drill")
        self.assertIn("restore drill passed in", self.foster.verb("logs", "-n", "50", "restore-drill").stdout)
        for backup in SITE.backups.glob("*.gz"):
            backup.write_bytes(backup.read_bytes()[:-8])
        failed = self.foster.verb("start", "restore-drill", check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("restore drill failed:", self.foster.verb("logs", "-n", "50", "restore-drill").stdout)
        self.assertEqual((self.names(), self.foster.pid_of("api")), before)
        self.assertTrue(self.foster.is_up())
        for backup in SITE.backups.glob("*.gz"):
            backup.unlink()


class Restores(Stock):
    def test_the_newest_backup_is_restored_and_the_server_is_healthy(self):
        self.add("Before", 4)
        self.foster.verb("run-job", "backup")
        before = self.names()
        self.add("After")
        restored = SITE.node("restore.js")
        self.assertEqual(restored.returncode, 0, restored.stdout)
        self.assertIn(f"restore: the server is healthy with {len(before)} items", restored.stdout)
        self.assertEqual(self.names(), before)
        self.assertEqual(SITE.audit()[-1]["action"], "restore")
        self.assertIn("After", (SITE.data / "stock.json.before").read_text())
        self.assertTrue(self.foster.is_up())

    def test_a_damaged_backup_is_refused_before_anything_is_stopped(self):
        self.foster.verb("run-job", "backup")
        newest = SITE.backups / self.backups()[0]
        newest.write_bytes(newest.read_bytes()[:-9])
        before = self.names(), self.foster.pid_of("api")
        refused = SITE.node("restore.js")
        newest.unlink()
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stdout, r"^cannot restore: `.*` is damaged")
        self.assertEqual((self.names(), self.foster.pid_of("api")), before)

    def test_lost_data_end_the_container_with_the_reason_and_a_restore_brings_them_back(self):
        self.add("Lost and found")
        self.foster.verb("run-job", "backup")
        before = self.names()
        self.foster.stop()
        (SITE.data / "stock.json").unlink()
        broken = SITE.start()
        self.addCleanup(broken.close)
        self.assertEqual(broken.process.wait(30), 1)
        self.assertRegex(broken.text().splitlines()[-1], r"stock.json` is missing, and audit.log has revision \d+: restore a backup")
        restored = SITE.node("restore.js")
        self.assertEqual(restored.returncode, 0, restored.stdout)
        type(self).foster = SITE.start()
        self.addClassCleanup(self.foster.close)
        self.foster.up()
        self.assertEqual(self.names(), before)


class Writer(threading.Thread):
    """Adds items, counts and removes them; `expected` is what was answered, and only that: the name and the quantity."""

    def __init__(self, number: int):
        super().__init__(daemon=True)
        self.number, self.is_over = number, False
        self.expected: dict[str, int | None] = {}
        self.answered = self.unanswered = 0

    def run(self) -> None:
        kept: list[tuple[str, str]] = []
        step = 0
        while not self.is_over:
            step += 1
            name = f"writer {self.number} item {step}"
            if item := self.ask(name, "POST", "/api/items", {"name": name, "quantity": step}):
                if item := self.ask(name, "PATCH", f"/api/items/{item['id']}", {"add": 1}):
                    kept.append((name, item["id"]))
            if len(kept) > 50:
                name, number = kept.pop(0)
                self.ask(name, "DELETE", f"/api/items/{number}", None)

    def ask(self, name: str, method: str, path: str, body: object) -> dict | None:
        """Returns the item of the answer. Without an answer it is not known what became of the change."""
        try:
            answer = SITE.ask(path, method, body)
        except (OSError, http.client.HTTPException):
            answer = None
        if answer is None or answer.status >= 500:
            self.expected.pop(name, None)
            self.unanswered += 1
            wait_for("server", self.is_over_or_served, 60)
            return None
        item = json.loads(answer.text)
        assert answer.status in (200, 201), (answer.status, item)
        self.expected[name] = None if method == "DELETE" else item["quantity"]
        self.answered += 1
        return item

    def is_over_or_served(self) -> bool:
        return self.is_over or is_served(f"http://127.0.0.1:{SITE.http}/health")


class Crashes(unittest.TestCase):
    def test_fifty_crashes_in_the_middle_of_writes_lose_nothing_that_was_answered(self):
        SITE.empty()
        config = SITE.config.read_text()
        # Fifty crashes in a row are more than a real server may have: each run here counts as a good one.
        SITE.config.write_text(config.replace('backoff = { reset = "2s" }', 'min_uptime = "0s"\nbackoff = { reset = "100ms" }'))
        self.assertNotEqual(SITE.config.read_text(), config)
        self.addCleanup(SITE.config.write_text, config)
        foster = SITE.start()
        self.addCleanup(foster.close)
        foster.up()
        writers = [Writer(number) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        try:
            for number in range(CRASHES):
                pid = foster.pid_of("api")
                before = sum(writer.answered for writer in writers)
                # A different number of changes each time, so that it is a different moment.
                wait_for("answers", lambda: sum(writer.answered for writer in writers) >= before + 5 + number, 60)
                os.kill(pid, signal.SIGKILL)
                wait_for("new server", lambda: (row := foster.row("api"))["state"] == "running" and row["pid"] != pid, 60)
        finally:
            for writer in writers:
                writer.is_over = True
            for writer in writers:
                writer.join(60)
        self.assertTrue(all(not writer.is_alive() and writer.answered for writer in writers))
        quantities = {item["name"]: item["quantity"] for item in json.loads(SITE.ask("/api/items").text)["items"]}
        wrong = {name for writer in writers for name, quantity in writer.expected.items() if quantities.get(name) != quantity}
        self.assertEqual(wrong, set())
        self.assertEqual(self.replay(), quantities)
        answered, unanswered = (sum(getattr(writer, name) for writer in writers) for name in ("answered", "unanswered"))
        self.assertGreater(unanswered, 0)
        discarded = sum(entry["action"] == "discard" for entry in SITE.audit())
        print(f"\n{CRASHES} crashes, {answered} changes answered, {unanswered} not, {discarded} writes discarded", flush=True)

    def replay(self) -> dict[str, int]:
        """Returns the items as the audit log has them."""
        kept: list[dict] = []
        for entry in SITE.audit():
            if entry["action"] == "discard":
                while kept and kept[-1]["revision"] > entry["revision"]:
                    kept.pop()
            else:
                kept.append(entry)
        items = {}
        for entry in kept:
            name, quantity = entry["item"]["name"], entry["item"]["quantity"]
            if entry["action"] == "remove":
                del items[name]
            else:
                items[name] = quantity
        return items
