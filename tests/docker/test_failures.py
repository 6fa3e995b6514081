"""Failures in the container, and the length of the outage."""

import re
import time
import unittest

import figures
from app_client import AppClient
from container import Container, Downtime
from engine import wait_for

ROWS: list[list[str]] = []


class Failures(unittest.TestCase):
    def setUp(self):
        self.container = self.enterContext(Container())
        self.container.becomes_healthy()

    def measure_outage(self, what: str, text: str, program: str, restarts: int, most: float) -> None:
        """Kills the first process whose command line contains the text; the page is served again within `most` seconds beside the
        program's own start-up, which depends on the machine."""
        target = next(process for process in self.container.processes() if text in process.command)
        with Downtime(f"{self.container.url}/api/health") as downtime:
            target.kill()
            has_exited = lambda: target.pid not in {process.pid for process in self.container.processes()}
            wait_for(f"exit of {target}", has_exited, 5)
            wait_for("health", self.container.is_healthy, 15)
        self.container.has_no_zombie()
        self.assertEqual(self.container.status()[program]["restarts"], restarts)
        start_up = self.longest_start(program) if restarts else 0
        self.assertLess(downtime.seconds, start_up + most)
        ROWS.append([what, figures.seconds(downtime.seconds), "none"])

    def longest_start(self, program: str) -> float:
        """Returns the longest time from a start to readiness that foster has logged, in seconds."""
        found = re.findall(rf"\b{program}: ready after ([0-9.]+)(ms|s) ", self.container.output())
        return max(float(number) / (1000 if unit == "ms" else 1) for number, unit in found)

    def test_a_killed_backend_serves_again_within_a_second_beside_its_start(self):
        self.measure_outage("`kill -9` of uvicorn", "uvicorn", "backend", restarts=1, most=1)

    def test_a_killed_nginx_worker_is_replaced_by_nginx(self):
        self.measure_outage("`kill -9` of an nginx worker", "worker process", "nginx", restarts=0, most=1)

    def test_a_killed_nginx_master_and_its_workers_are_replaced_within_a_second_beside_its_start(self):
        self.measure_outage("`kill -9` of the nginx master", "master process", "nginx", restarts=1, most=1)

    def test_five_hundred_orphans_of_a_terminal_are_reaped_without_an_outage(self):
        with AppClient(self.container.url).register().log_in().connect() as connection:
            terminal = connection.terminal()
            terminal.type("echo re''ady")
            terminal.shows("ready")
            with Downtime(f"{self.container.url}/api/health") as downtime:
                terminal.type("for i in $(seq 500); do (sleep 0.$((RANDOM % 9 + 1)) &); done; echo fork''ed")
                terminal.shows("forked", seconds=20)
                is_asleep = lambda: any(it.command.startswith("sleep") for it in self.container.processes())
                wait_for("exit of the last orphan", lambda: not is_asleep(), 10)
                self.container.has_no_zombie()
            self.assertEqual(self.container.status()["backend"]["restarts"], 0)
            self.assertLess(downtime.seconds, 1)
        ROWS.append(["500 orphans of a terminal", figures.seconds(downtime.seconds), "none"])


class Mistakes(unittest.TestCase):
    def test_a_backend_that_fails_at_its_import_stops_the_container_with_its_reason_and_status(self):
        with Container("--env", "TERMINALS_PER_USER=many") as container:
            self.assertEqual(container.exits(), 1)
            after = figures.seconds(time.monotonic() - container.began)
            ROWS.append(["an exception at the backend's import", f"the container ends with 1 after {after}", "none"])
            _, summary = container.output().split("foster  | error: exit status 1: backend")
            self.assertIn("cannot use TERMINALS_PER_USER=`many`", summary)

    def test_a_configuration_error_ends_the_container_with_2_before_a_program_starts(self):
        with Container("--env", "FOSTER_CONFIG=/etc/foster/missing.toml") as container:
            self.assertEqual(container.exits(), 2)
            self.assertIn("/etc/foster/missing.toml", container.output())


class Table(unittest.TestCase):
    """Runs last: unittest sorts classes by name."""

    def test_the_document_has_the_measured_rows(self):
        head = ["what happened", "out of service", "zombies a second later"]
        figures.table("docs/dockerfile.md", "failures", head, ROWS)
