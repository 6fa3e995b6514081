"""examples/express-cluster in its image, as its README starts it and deploys to it, and its pages in a real browser."""

import json
import os
import ssl
import unittest
import urllib.request

from browser import check_page
from container import Container
from engine import PREFIX, ROOT, free_port, run, wait_for

EXAMPLE = ROOT / "examples" / "express-cluster"


class ExpressCluster(unittest.TestCase):
    def setUp(self):
        self.http, self.https = free_port(), free_port()
        self.addCleanup(self.compose, "down", "--volumes")
        self.compose("up", "--build", "--detach")
        self.shop = Container.named(self.compose("ps", "--quiet").split()[-1])
        self.shop.becomes_healthy(60)

    def compose(self, *words: str) -> str:
        variables = os.environ | {"HTTP_PORT": str(self.http), "HTTPS_PORT": str(self.https)}
        project = ["--project-name", f"{PREFIX}shop"]
        return run("docker-compose", *project, *words, cwd=EXAMPLE, env=variables, seconds=900).stdout

    def page(self, path: str) -> tuple[str, str]:
        """Returns a page and its `X-Cache`."""
        context = ssl._create_unverified_context()
        with urllib.request.urlopen(f"https://127.0.0.1:{self.https}{path}", timeout=10, context=context) as answer:
            return answer.read().decode(), answer.headers["X-Cache"]

    def pids(self) -> set[int]:
        return {row["pid"] for row in json.loads(self.shop.run("foster", "status", "--json", "web"))}

    def test_its_pages_work_in_a_browser_also_while_the_app_is_stopped(self):
        check_page("express-cluster", BASE_URL=f"https://localhost:{self.https}", FOSTER=f"docker exec {self.shop.name} foster")

    def test_compose_starts_it_a_deployment_replaces_it_and_pages_outlive_a_stop(self):
        self.assertIn("Sextant", self.page("/")[0])

        before = self.pids()
        self.assertIn("serves", self.shop.run("/app/deploy.sh", "/source"))
        self.assertFalse(before & self.pids())

        self.page("/")
        self.shop.run("foster", "stop", "web")
        wait_for("stale page", lambda: self.page("/")[1] in ("UPDATING", "STALE"), 20)
        self.assertIn("Sextant", self.page("/")[0])
        self.assertEqual({process.command for process in self.shop.zombies()}, set())
        self.assertEqual(self.shop.stop()[1], 0)
