"""`docker compose up --build` of README.md, with Compose v1 and v2."""

import json
import os
import tempfile
import unittest
from datetime import datetime
from pathlib import Path

import base_images
from app_client import AppClient
from container import Container
from engine import PREFIX, ROOT, build, client, docker, free_port, run, wait_for


class Compose1(unittest.TestCase):
    """Compose v1, from the Debian of this machine."""

    command = ["docker-compose"]

    def setUp(self):
        self.port = free_port()
        self.addCleanup(self.compose, "down", "--volumes")

    def compose(self, *words: str) -> str:
        project = ["--project-name", f"{PREFIX}compose"]
        return run(*self.command, *project, *words, cwd=ROOT, env=os.environ | {"PORT": str(self.port)}, seconds=1500).stdout

    def up(self) -> Container:
        self.compose("up", "--build", "--detach")
        return Container.named(self.compose("ps", "--quiet").split()[-1])

    def test_up_is_healthy_within_fifteen_seconds_and_page_api_and_websocket_work(self):
        container = self.up()
        wait_for("healthy container", lambda: container.state["Health"]["Status"] == "healthy", 60)
        state = container.state
        check = next(check for check in state["Health"]["Log"] if check["ExitCode"] == 0)
        self.assertLess((_time(check["End"]) - _time(state["StartedAt"])).total_seconds(), 15)

        user = AppClient(f"http://127.0.0.1:{self.port}")
        status, page = user.ask("/")
        self.assertEqual(status, 200)
        self.assertIn('<div id="root">', page)
        self.assertEqual(user.ask("/an/address/within/the/page")[1], page)
        self.assertEqual(user.register().log_in().ask("/api/me")[0], 200)
        with user.connect() as connection:
            first, second = connection.terminal(), connection.terminal()
            for terminal, words in (first, "left"), (second, "right"):
                terminal.type(f"echo 'the' {words}")
                terminal.shows(f"the {words}")

    def test_users_and_sessions_survive_down_and_up(self):
        user = AppClient(f"http://127.0.0.1:{self.port}")
        self.up().becomes_healthy(60)
        user.register().log_in()
        self.compose("down")
        self.up().becomes_healthy(60)
        self.assertTrue(user.is_known())
        user.log_in()

    def test_the_engine_applies_the_limits_of_the_compose_file(self):
        host = json.loads(docker("inspect", "--format", "{{json .HostConfig}}", self.up().name))
        self.assertTrue(host["ReadonlyRootfs"])
        self.assertEqual(host["CapDrop"], ["ALL"])
        self.assertEqual(host["RestartPolicy"]["Name"], "unless-stopped")
        self.assertEqual(host["Memory"], 1 << 30)
        self.assertEqual(host["PidsLimit"], 2048)


class Compose2(Compose1):
    """Compose v2, from the images' Debian, in a container with the engine's socket."""

    @classmethod
    def setUpClass(cls):
        image = f"{PREFIX}compose-2"
        with tempfile.TemporaryDirectory() as folder:
            install = "apt-get update && apt-get install --yes --no-install-recommends docker-compose"
            (Path(folder) / "Dockerfile").write_text(f"FROM {base_images.DEBIAN}\nRUN {install}\n")
            build(image, Path(folder))
        engine = os.environ["DOCKER_HOST"].removeprefix("unix://")
        mounts = ["--volume", f"{engine}:/var/run/docker.sock", "--volume", f"{ROOT}:{ROOT}", "--workdir", ROOT]
        variables = ["--env", "PORT", "--env", "DOCKER_BUILDKIT"]
        cls.command = [client(), "run", "--rm", *mounts, *variables, image, "docker-compose"]

    def test_compose_reports_version_2(self):
        self.assertIn("version 2.", self.compose("version"))


def _time(text: str) -> datetime:
    """Parses the engine's time format, which has nanoseconds and a time zone."""
    day, rest = text.split("T")
    zone = "+00:00" if rest.endswith("Z") else rest[-6:]
    return datetime.fromisoformat(f"{day}T{rest[:8]}{zone}")
