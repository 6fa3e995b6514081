"""examples/express-backup in its image: its README line by line, its page in a real browser, and PM2 beside it."""

import json
import os
import re
import ssl
import unittest
import urllib.request
from pathlib import Path

import comparison
import figures
from browser import check_page
from comparison import Subject
from container import Container
from engine import PREFIX, ROOT, build, docker, run, wait_for

HERE = Path(__file__).resolve().parent
EXAMPLE = ROOT / "examples" / "express-backup"
README = "examples/express-backup/README.md"
# The network is the tests' own, so the port of the README is free.
URL = "https://localhost:8443"


class Readme(unittest.TestCase):
    """The commands of README.md, in their order, with another name of the project and without a terminal."""

    def setUp(self):
        text = (ROOT / README).read_text()
        self.blocks = {title.splitlines()[0]: re.findall(r"```sh\n(.*?)```", title, re.DOTALL) for title in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]}
        self.addCleanup(self.shell, "docker compose down --volumes")

    def shell(self, script: str) -> str:
        script = script.replace("docker compose", f"docker-compose --project-name {PREFIX}stock").replace(" exec ", " exec -T ")
        return run("sh", "-e", "-c", script, cwd=EXAMPLE, seconds=1500).stdout

    def follow(self, title: str, number: int = 0) -> str:
        return self.shell(self.blocks[title][number])

    def ask(self, path: str, body: dict | None = None) -> object:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10, context=ssl._create_unverified_context()) as answer:
            return json.load(answer)

    def names(self) -> list[str]:
        return [item["name"] for item in self.ask("/api/items")["items"]]

    def container(self) -> Container:
        return Container.named(self.shell("docker compose ps --quiet stock").split()[-1])

    def test_its_lines_start_it_back_it_up_drill_it_and_restore_it(self):
        status = self.follow("Scheduled backups").rsplit("NAME ", 1)[1]
        self.assertRegex(status, r"(?m)^restore-drill +stopped")
        self.assertRegex(status, r"(?m)^backup +idle .* next run in ")
        stock = self.container()
        # Paused, so that the test has the same backups at any time of the day.
        stock.run("foster", "stop", "backup")
        wait_for("health of the engine's own check", lambda: stock.state["Health"]["Status"] == "healthy", 60)
        variables = {"BASE_URL": URL, "FOSTER": f"docker exec {stock.name} foster"}
        check_page("express-backup", **variables)

        self.ask("/api/items", {"name": "Before the backup", "quantity": 1})
        before = self.names()
        made = self.follow("Backups")
        (name,) = re.findall(r"made (stock-\S+\.json\.gz): \d+ items", made)
        self.assertIn(name, made.split("made ", 1)[1].splitlines()[-1], "the list of backups ends with the newest")
        self.assertIn(f"{name}, 0.0 h old, {len(before)} items", self.follow("The restore drill"))

        self.ask("/api/items", {"name": "After the backup", "quantity": 1})
        self.assertIn(f"the server is healthy with {len(before)} items", self.follow("Restore"))
        self.assertEqual(self.names(), before)

        stock.run("rm", "/app/data/stock.json")
        docker("restart", stock.name)
        stock.logs("is missing, and audit.log has revision", 60)
        self.follow("Restore", 1)
        self.container().becomes_healthy(60)
        self.assertEqual(self.names(), before)

        stock = self.container()
        self.assertEqual({process.command for process in stock.zombies()}, set())
        for process in stock.processes():
            status = Path(f"/proc/{process.pid}/status").read_text()
            self.assertIn("\nUid:\t10001\t", status, process)
            self.assertIn("\nCapBnd:\t0000000000000000\n", status, process)
        self.assertEqual(stock.stop()[1], 0)


class Comparison(unittest.TestCase):
    def test_foster_is_smaller_and_quicker_than_pm2_in_the_same_image(self):
        image = build(f"{PREFIX}stock", ROOT, "--file", EXAMPLE / "Dockerfile")
        other = build(f"{PREFIX}stock-pm2", HERE / "pm2", "--build-arg", f"APP={image}")
        ours, theirs = (Subject(each, "/health", "server.js") for each in (image, other))
        comparison.measure(ours, theirs)
        foster = int(docker("run", "--rm", "--name", f"{PREFIX}size", image, "stat", "-c", "%s", "/usr/local/bin/foster"))
        rows = [["added to the image", figures.megabytes(foster), figures.megabytes(theirs.size() - ours.size())]]
        rows += [comparison.row(what, ours, theirs) for what in ("memory", "start", "crash", "stop")]
        figures.table(README, "comparison", ["", "foster", "PM2"], rows)
        for what in "memory", "start", "stop":
            self.assertLess(ours.median(what), theirs.median(what), what)
        # The start of the server takes the same time for both.
        self.assertLess(ours.median("crash"), theirs.median("crash") + 0.5)
