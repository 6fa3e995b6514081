"""The path of a newcomer, with the lines of README.md as they stand: an image with nginx and a FastAPI application gets a
first configuration, a check in its build, and foster as its first process.
"""

import json
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.request
from pathlib import Path

from container import Container
from engine import ROOT, docker, run, wait_for

SECTION = "## In your own image\n"


class Newcomer(unittest.TestCase):
    def setUp(self):
        section = (ROOT / "README.md").read_text().split(SECTION)[1].split("\n## ")[0]
        blocks = re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)
        self.build_foster, self.find, self.use = [text for kind, text in blocks if kind == "sh"]
        self.copy, self.rest = [text for kind, text in blocks if kind == "dockerfile"]
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())) / "application"
        shutil.copytree(Path(__file__).with_name("newcomer"), self.folder)
        self.shell(self.build_foster, ROOT)
        self.add(self.copy)
        self.shell(self.find)

    def shell(self, script: str, folder: Path | None = None, check: bool = True) -> subprocess.CompletedProcess:
        return run("sh", "-e", "-c", script, cwd=folder or self.folder, check=check, seconds=1500)

    def add(self, lines: str) -> None:
        with open(self.folder / "Dockerfile", "a") as file:
            file.write(lines)

    def change(self, before: str, after: str) -> None:
        config = self.folder / "foster.toml"
        self.assertIn(before, config.read_text())
        config.write_text(config.read_text().replace(before, after))

    def test_the_lines_of_the_readme_make_a_healthy_container_that_serves_through_nginx(self):
        # The one line that README.md's example has and `foster init` leaves to the reader.
        self.change('# user = "www-data"', 'user = "www-data"')
        self.add(self.rest)
        self.addCleanup(run, "docker", "rm", "--force", "app", check=False)
        self.assertIn("GET /api/health", self.shell(self.use).stdout.split("foster  | ", 1)[1])
        container = Container.named("app")
        health = lambda: json.loads(docker("inspect", "--format", "{{json .State.Health}}", "app"))
        wait_for("healthy container", lambda: health()["Status"] == "healthy", 60)
        # The network is the tests' own, so the port of README.md is free.
        with urllib.request.urlopen("http://127.0.0.1:8080/api/items", timeout=10) as answer:
            self.assertEqual(json.load(answer), ["one", "two"])
        self.assertEqual({name: row["state"] for name, row in container.status().items()}, {"backend": "running", "nginx": "running"})
        self.assertIn("Uid:\t33\t", Path(f"/proc/{container.process('uvicorn').pid}/status").read_text())
        self.assertEqual(container.stop()[1], 0)

    def test_a_mistake_in_the_configuration_fails_the_build_with_its_line(self):
        self.change('"uvicorn"', '"uvicornn"')
        self.add(self.rest)
        failed = self.shell("docker build -t app .", check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertRegex(failed.stdout, r"foster\.toml:\d+:\d+: error: `uvicornn` is not in PATH")
