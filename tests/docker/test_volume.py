"""The files on the volume, and the message if it is not writable."""

import os
import tempfile
import unittest

from app_client import AppClient
from container import Container
from engine import PREFIX, docker


class Volume(unittest.TestCase):
    def test_users_and_sessions_survive_the_container(self):
        name = f"{PREFIX}volume-{os.getpid()}"
        volume = ["--volume", f"{name}:/app/data"]
        try:
            with Container(*volume) as container:
                container.becomes_healthy()
                user = AppClient(container.url).register().log_in()
                container.stop()
            with Container(*volume) as container:
                container.becomes_healthy()
                user.url = container.url
                self.assertTrue(user.is_known())
                self.assertEqual(user.log_in().ask("/api/me")[0], 200)
        finally:
            docker("volume", "rm", "--force", name)

    def test_only_the_backend_may_read_the_secret(self):
        with Container() as container:
            container.becomes_healthy()
            self.assertEqual(container.run("stat", "-c", "%a %U", "/app/data/secret/jwt.key"), "600 app")
            self.assertEqual(container.run("stat", "-c", "%a %U", "/app/data/db/app.db"), "600 app")

    def test_a_volume_that_is_not_writable_ends_the_container_with_a_remedy(self):
        with tempfile.TemporaryDirectory() as folder:
            for options, text in (
                (["--volume", f"{folder}:/app/data"], "chown -R 10001:10001"),
                (["--volume", f"{folder}:/app/data:ro"], "read-only"),
            ):
                with self.subTest(options), Container(*options) as container:
                    self.assertEqual(container.exits(), 1)
                    self.assertIn(text, container.output())
                    self.assertIn("exit status 1: backend", container.output())
