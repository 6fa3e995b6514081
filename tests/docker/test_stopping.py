"""`docker stop` and `docker kill` of the container, and its data afterwards."""

import unittest

from app_client import AppClient
from container import Container
from engine import docker, wait_for


class Stopping(unittest.TestCase):
    def test_docker_stop_with_two_busy_terminals_takes_less_than_two_seconds_and_exits_with_0(self):
        with Container() as container:
            container.becomes_healthy()
            with AppClient(container.url).register().log_in().connect() as connection:
                for terminal in connection.terminal(), connection.terminal():
                    terminal.type("sleep 1000")
                wait_for("two sleeps", lambda: sum("sleep 1000" == it.command for it in container.processes()) == 2, 10)
                seconds, status = container.stop()
            self.assertEqual(status, 0, container.output())
            self.assertLess(seconds, 2, container.output())
            self.assertIn("exit status 0: got SIGTERM", container.output().splitlines()[-1])

    def test_docker_kill_with_hup_reads_the_configuration_again_and_the_container_keeps_running(self):
        with Container() as container:
            container.becomes_healthy()
            before = {process.pid for process in container.processes()}
            docker("kill", "--signal", "HUP", container.name)
            container.logs("updated from `/etc/foster/foster.toml`: 2 unchanged")
            self.assertTrue(container.is_healthy())
            self.assertEqual({process.pid for process in container.processes()}, before)

    def test_the_data_survives_docker_kill_and_start(self):
        with Container() as container:
            container.becomes_healthy()
            user = AppClient(container.url).register().log_in()
            docker("kill", "--signal", "KILL", container.name)
            self.assertEqual(container.state["ExitCode"], 137)
            docker("start", container.name)
            container.becomes_healthy(60)
            user.url = container.url
            self.assertTrue(user.is_known())
            user.log_in()

    def test_foster_shutdown_under_unless_stopped_starts_the_container_again_and_docker_stop_does_not(self):
        with Container("--restart", "unless-stopped") as container:
            container.becomes_healthy()
            container.run("foster", "shutdown")
            wait_for("a restart by the engine", lambda: docker("inspect", "-f", "{{.RestartCount}}", container.name) == "1", 30)
            container.becomes_healthy(60)
            container.stop()
            self.assertEqual(container.state["Status"], "exited")
