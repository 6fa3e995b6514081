"""A real browser in front of the container: Debian's Chromium, driven by playwright-core."""

import os
import shutil
import unittest

from container import Container
from engine import CACHE, ROOT, client, install_missing, run


class Browser(unittest.TestCase):
    def test_a_user_registers_works_in_two_terminals_while_the_backend_is_killed_and_logs_out(self):
        install_missing({"chromium": "chromium", "npm": "npm"})
        folder = CACHE / "browser"
        source = ROOT / "examples" / "terminals" / "tests" / "browser"
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        run("npm", "ci", cwd=folder, seconds=300)
        with Container() as container:
            container.becomes_healthy()
            kill = f"{client()} exec {container.name} foster signal KILL backend"
            variables = os.environ | {"BASE_URL": container.url, "KILL_BACKEND": kill}
            print(run("node", "check.mjs", cwd=folder, env=variables, seconds=180).stdout)
