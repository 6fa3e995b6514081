"""The same image with common options of `docker run`."""

import os
import signal
import time
import unittest
import urllib.error
import urllib.request
from contextlib import contextmanager

from app_client import AppClient
from container import APP, Container
from engine import CACHE, docker, wait_for

CAPABILITIES = ["--cap-drop", "ALL", "--cap-add=KILL", "--cap-add=SETGID", "--cap-add=SETUID"]


class Surroundings(unittest.TestCase):
    def works(self, *options: str, image: str = APP) -> None:
        """The container is healthy, reaps an orphan, restarts a killed backend, and stops."""
        with Container(*options, image=image) as container:
            container.becomes_healthy(20)
            user = AppClient(container.url).register().log_in()
            with user.connect() as connection:
                terminal = connection.terminal()
                terminal.type("(sleep 0.1 &); echo hel''lo")
                terminal.shows("hello")
                wait_for("exit of the orphan", lambda: "sleep 0.1" not in str(container.processes()), 5)
                container.has_no_zombie()
            container.process("uvicorn").kill()
            wait_for("second backend", lambda: container.status().get("backend", {}).get("restarts") == 1, 10)
            wait_for("health", container.is_healthy, 15)
            container.has_no_zombie()
            self.assertTrue(user.is_known())
            seconds, status = container.stop()
            self.assertEqual(status, 0, container.output())
            self.assertLess(seconds, 3, container.output())

    def test_it_works_under_dockers_init(self):
        self.works("--init")

    def test_it_works_as_a_user_that_is_not_in_passwd(self):
        self.works("--user", "12345")

    def test_it_works_on_a_read_only_root(self):
        self.works("--read-only", "--tmpfs", "/tmp")

    def test_it_works_with_three_capabilities(self):
        self.works(*CAPABILITIES)

    def test_it_works_as_a_user_without_any_capability_on_a_read_only_root(self):
        self.works("--user", "12345", "--cap-drop", "ALL", "--read-only", "--tmpfs", "/tmp")

    def test_as_root_without_capabilities_it_exits_with_the_error_of_nginx(self):
        with Container("--cap-drop", "ALL") as container:
            self.assertEqual(container.exits(), 1)
            _, summary = container.output().split("foster  | error: exit status 1: nginx")
            self.assertIn("Operation not permitted", summary)

    def test_it_works_with_no_new_privileges(self):
        self.works("--security-opt", "no-new-privileges")

    def test_it_works_in_the_pid_namespace_of_the_machine(self):
        self.works("--pid", "host")

    def test_it_works_in_the_pid_namespace_of_another_container(self):
        with Container(image="python:3.13-slim-trixie", command=("sleep", "1000"), publish=False) as other:
            self.works("--pid", f"container:{other.name}")
            self.assertTrue(other.state["Running"])

    def test_it_works_on_a_terminal(self):
        self.works("--tty")

    def test_it_works_with_a_log_driver_that_does_not_block(self):
        self.works("--log-driver", "json-file", "--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=1m")

    def test_a_program_killed_for_memory_is_reported_and_restarted(self):
        # The app, and a program that allocates a megabyte every 10 ms; its oom_score_adj makes it the kernel's victim.
        eater = "import time; taken = []\nwhile True: taken.append(bytearray(b'x' * 2**20)); time.sleep(0.01)"
        folder = CACHE / "eater"
        folder.mkdir(exist_ok=True)
        (folder / "foster.toml").write_text(
            f'include = ["/etc/foster/foster.toml"]\n[program.eater]\ncommand = ["python3", "-c", """{eater}"""]\n'
            'after = ["nginx"]\noom_score_adj = 1000\nbackoff = { initial = "5s" }\n'
        )
        mount = ["--volume", f"{folder}:/eater:ro", "--env", "FOSTER_CONFIG=/eater/foster.toml"]
        with Container("--memory", "128m", *mount) as container:
            line = container.logs("out of memory", 60)
            self.assertIn("eater", line)
            wait_for("second eater", lambda: container.status().get("eater", {}).get("restarts", 0) >= 1, 20)
            self.assertEqual(container.status()["backend"]["restarts"], 0)
            self.assertEqual(container.status()["nginx"]["restarts"], 0)

    def test_while_the_engine_does_not_read_the_log_a_crash_is_restarted_and_a_signal_obeyed(self):
        with Container("--log-driver", "json-file", "--log-opt", "mode=blocking") as container:
            container.becomes_healthy()
            url = f"http://{docker('inspect', '-f', '{{.NetworkSettings.IPAddress}}', container.name)}"
            backend, first = container.process("uvicorn"), container.process("foster")
            with _engine_stopped(url):
                backend.kill()
                second = wait_for("second backend", lambda: _children(first.pid, "uvicorn") - {backend.pid}, 10)
                self.assertEqual(len(second), 1)
            container.logs("backend: was killed by SIGKILL")
            container.becomes_healthy(60)
            with _engine_stopped(url):
                began = time.monotonic()
                os.kill(first.pid, signal.SIGTERM)
                wait_for("exit of foster", lambda: not _command(first.pid), 10)
                self.assertLess(time.monotonic() - began, 8)
            self.assertEqual(container.exits(), 0)


@contextmanager
def _engine_stopped(url: str):
    """Stops the engine with SIGSTOP and fills the pipe of the container's output."""
    engine = _pid_of_engine()
    os.kill(engine, signal.SIGSTOP)
    try:
        wait_for("full pipe", lambda: not _is_answered(f"{url}/api/none?{'x' * 4000}"), 60)
        yield
    finally:
        os.kill(engine, signal.SIGCONT)


def _pid_of_engine() -> int:
    host = os.environ["DOCKER_HOST"].removeprefix("unix://")
    with open(os.path.join(os.path.dirname(host), "pid")) as file:
        return int(file.read())


def _is_answered(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _children(parent: int, text: str) -> set[int]:
    """Lists the children of a process from /proc, because the engine is stopped."""
    with open(f"/proc/{parent}/task/{parent}/children") as file:
        pids = [int(pid) for pid in file.read().split()]
    return {pid for pid in pids if text in _command(pid)}


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read()
    except OSError:
        return ""
