"""deploy/node/foster-listen.cjs: which `listen` takes a socket of foster's, and the reason that the others print."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from engine import ROOT, free_port, wait_for
from harness import Foster, Load, get

PRELOAD = ROOT / "deploy" / "node" / "foster-listen.cjs"
SERVER = """
const http = require("node:http");
const server = http.createServer((request, answer) => answer.end(`${process.pid}`));
"""
# Says where it listens, also when foster's own socket is in the way.
UP = """
const up = (one = server) => () => console.log("at", JSON.stringify(one.address()));
server.on("error", (error) => console.log("cannot listen:", error.code));
"""


class Listen(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="foster-listen-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.port = free_port()

    def start(self, code: str, sockets: list[str], command: str = "", more: str = "") -> Foster:
        """Runs this code under foster, with the preload."""
        script = self.folder / "server.cjs"
        script.write_text(SERVER + UP + code.replace("PORT", str(self.port)))
        command = command or f"['node', '{script}']"
        addresses = [socket.replace("PORT", str(self.port)).replace("FOLDER", str(self.folder)) for socket in sockets]
        (self.folder / "foster.toml").write_text(
            f"[foster]\nsocket = '{self.folder}/foster.sock'\n[program.web]\ncommand = {command}\nsockets = {addresses}\n"
            f"environment = {{ NODE_OPTIONS = '--require {PRELOAD}', SCRIPT = '{script}' }}\n{more}\n"
        )
        foster = Foster(self.folder / "foster.toml", self.folder, {}, self.folder / "foster.sock")
        self.addCleanup(foster.close)
        return foster

    def says(self, foster: Foster, text: str) -> None:
        def said() -> bool:
            # First: what foster has printed before its end is all there is, and may have the text.
            has_ended = foster.process.poll() is not None
            if text in foster.text():
                return True
            assert not has_ended, foster.text()
            return False

        try:
            wait_for(text, said, 20)
        except AssertionError:
            self.fail(f"no `{text}` in:\n{foster.text()}")

    def at(self, code: str, sockets: list[str], expected: dict | str) -> None:
        with contextlib.closing(self.start(code, sockets)) as foster:
            self.says(foster, f"at {json.dumps(expected, separators=(',', ':'))}")
            self.assertNotIn("foster-listen:", foster.text())

    def test_a_listen_takes_the_socket_of_its_port(self):
        ipv4 = {"address": "127.0.0.1", "family": "IPv4", "port": self.port}
        every = ipv4 | {"address": "0.0.0.0"}
        for code, socket, expected in (
            ("server.listen(PORT, up());", "tcp://127.0.0.1:PORT", ipv4),
            ("server.listen('PORT', up());", "tcp://0.0.0.0:PORT", every),
            ("server.listen(PORT, '127.0.0.1', 511, up());", "tcp://127.0.0.1:PORT", ipv4),
            ("server.listen(PORT, 'localhost', up());", "tcp://127.0.0.1:PORT", ipv4),
            ("server.listen({ port: PORT, host: '::' }, up());", "tcp://0.0.0.0:PORT", every),
            ("server.listen({ port: PORT, host: '0:0::1' }, up());", "tcp://[::1]:PORT", {"address": "::1", "family": "IPv6", "port": self.port}),
            ("const net = require('node:net').createServer(); net.listen(PORT, up(net));", "tcp://127.0.0.1:PORT", ipv4),
        ):
            with self.subTest(code):
                self.at(code, ["unix:///FOLDER/other.sock", socket], expected)

    def test_a_listen_takes_the_socket_of_its_path(self):
        path = str(self.folder / "app.sock")
        self.at(f"server.listen('{path}', up());", ["tcp://127.0.0.1:PORT", "unix://FOLDER/app.sock"], path)
        self.at(f"server.listen({{ path: '{path}' }}, up());", ["unix://FOLDER/app.sock"], path)

    def test_two_servers_take_two_sockets(self):
        other = free_port()
        code = f"server.listen(PORT, up()); const second = http.createServer(); second.listen({other}, up(second));"
        foster = self.start(code, ["tcp://127.0.0.1:PORT", f"tcp://127.0.0.1:{other}"])
        for port in self.port, other:
            self.says(foster, f'at {{"address":"127.0.0.1","family":"IPv4","port":{port}}}')

    def test_a_listen_without_a_socket_says_why(self):
        other = free_port()
        text = f"foster passes 127.0.0.1:{self.port} (web)"
        for code, reason in (
            (f"server.listen({other}, up());", f"listen({other}) opens a new socket: {text}"),
            ("server.listen(PORT, '127.0.0.2', up());", f"listen(127.0.0.2:{self.port}) opens a new socket: {text}"),
            ("server.listen(PORT, '0.0.0.0', up());", f"listen(0.0.0.0:{self.port}) opens a new socket: {text}"),
            ("server.listen(PORT); http.createServer().on('error', () => {}).listen(PORT);", "every socket of foster's has a server"),
            (
                "new (require('node:worker_threads').Worker)(`require('node:http').createServer().on('error', () => {}).listen(PORT)`, { eval: true });",
                "it is called in a worker thread",
            ),
        ):
            with self.subTest(code):
                foster = self.start(code, ["tcp://127.0.0.1:PORT"], more="restart = 'on-failure'")
                self.says(foster, reason)
                foster.close()

    def test_a_process_that_is_not_fosters_own_says_so(self):
        command = '["sh", "-c", "node $SCRIPT; exit 1"]'
        foster = self.start("server.listen(PORT, up());", ["tcp://127.0.0.1:PORT"], command)
        self.says(foster, "let foster start node itself, not through npm or a shell")

    def test_the_primary_process_of_a_cluster_takes_the_socket_for_its_workers(self):
        code = """
        const cluster = require("node:cluster");
        if (cluster.isPrimary) { cluster.fork(); cluster.fork(); } else server.listen(PORT, up());
        """
        foster = self.start(code, ["tcp://127.0.0.1:PORT"])
        wait_for("both workers", lambda: foster.text().count("at {") == 2, 20)
        self.assertNotIn("foster-listen:", foster.text())
        self.assertNotEqual(int(get(f"http://127.0.0.1:{self.port}/")), foster.pid_of("web"))

    def test_without_sockets_and_with_wrong_variables_nothing_changes(self):
        script = self.folder / "server.cjs"
        script.write_text(SERVER + "server.listen(0, () => { console.log('up'); process.exit(); });")
        for count in None, "", "x", "-1", "0", "1e3", "99999999999999999999":
            with self.subTest(count):
                variables = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
                variables |= {} if count is None else {"LISTEN_FDS": count, "LISTEN_PID": "1"}
                node = ["node", "--require", str(PRELOAD), str(script)]
                finished = subprocess.run(node, env=variables, capture_output=True, text=True, timeout=20)
                self.assertEqual((finished.stdout, finished.stderr), ("up\n", ""))

    def test_sigterm_answers_what_was_accepted_and_ends_as_by_the_signal(self):
        code = """
        server.removeAllListeners("request");
        server.on("request", (request, answer) => setTimeout(() => answer.end("late"), 700));
        setInterval(() => {}, 1000);
        server.listen(PORT, up());
        """
        foster = self.start(code, ["tcp://127.0.0.1:PORT"])
        self.says(foster, "at {")
        with Load(f"http://127.0.0.1:{self.port}/", 4) as load:
            for _ in range(2):
                foster.verb("restart", "web")
                self.says(foster, "stopped by SIGTERM")
        self.assertEqual(load.outcome.failed, 0, load.outcome)

    def test_a_handler_of_the_application_for_sigterm_is_left_alone(self):
        code = "server.listen(PORT, up()); process.on('SIGTERM', () => { console.log('its own end'); process.exit(7); });"
        foster = self.start(code, ["tcp://127.0.0.1:PORT"])
        self.says(foster, "at {")
        foster.process.send_signal(signal.SIGTERM)
        foster.process.wait(20)
        self.assertIn("its own end", foster.text())
        self.assertIn("with status 7", foster.text())


if __name__ == "__main__":
    unittest.main()
