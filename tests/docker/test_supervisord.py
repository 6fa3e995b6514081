"""The configuration that supervisord runs in the image of examples/terminals, under foster, without a change."""

import unittest
import urllib.request
from pathlib import Path

from container import Container
from engine import wait_for

HERE = Path(__file__).resolve().parent
LINK = "import os, sys; os.execv('/usr/local/bin/foster', ['supervisorctl', *sys.argv[1:]])"


class Supervisord(unittest.TestCase):
    def ask(self, container: Container, *words: str) -> str:
        """`supervisorctl`, as a link to foster would be."""
        return container.run("python3", "-c", LINK, *words, check=False)

    def answers(self, container: Container) -> bool:
        try:
            with urllib.request.urlopen(f"{container.url}/api/health", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def test_its_configuration_serves_the_app_and_its_client_controls_it(self):
        volume = f"{HERE / 'supervisord' / 'supervisord.conf'}:/etc/supervisord.conf:ro"
        with Container("--volume", volume, command=("foster", "run", "-c", "/etc/supervisord.conf")) as container:
            # supervisord knows nothing of readiness: what has been up for `startsecs` may not answer yet.
            wait_for("answer of the app", lambda: self.answers(container), 60)
            container.becomes_healthy(60)
            self.assertRegex(self.ask(container, "status"), r"(?s)backend +RUNNING +pid \d+, uptime 0:.*nginx +RUNNING")
            self.assertEqual(self.ask(container, "stop", "backend"), "backend: stopped")
            self.assertRegex(self.ask(container, "status"), r"backend +STOPPED +\w\w\w \d\d \d\d:\d\d [AP]M")
            self.assertEqual(self.ask(container, "start", "backend"), "backend: started")
            container.process("uvicorn app.main").kill()
            wait_for("another backend", lambda: container.status()["backend"]["restarts"] == 1, 20)
            wait_for("answer of the next backend", lambda: self.answers(container), 60)
            seconds, status = container.stop()
            self.assertEqual(status, 0, container.output())
            self.assertLess(seconds, 5)
            # Its output is the container's, as it was written.
            self.assertRegex(container.output(), r"(?m)^INFO: .*Application startup complete")
