"""The tests' engine is apart from any other engine of the machine: `network.py`."""

import os
import unittest
import urllib.request
from pathlib import Path

import network
from container import Container
from engine import docker


class Network(unittest.TestCase):
    def test_the_engine_runs_in_a_network_namespace_that_the_machine_does_not_use(self):
        engine = int((Path(os.environ["DOCKER_HOST"].removeprefix("unix://")).parent / "pid").read_text())
        # The parent process is the part of `run` outside of the namespaces.
        inside, outside = (os.readlink(f"/proc/{pid}/ns/net") for pid in (engine, os.getppid()))
        self.assertNotEqual(inside, outside)
        self.assertEqual(inside, os.readlink("/proc/self/ns/net"))

    def test_the_engine_shares_no_container_and_no_containerd_with_another_engine(self):
        self.assertEqual(docker("container", "ls", "--all", "--quiet"), "")
        self.assertFalse(Path("/run/containerd/containerd.sock").exists())

    def test_a_container_reaches_names_outside_and_the_host_reaches_its_port(self):
        with Container() as container:
            container.becomes_healthy()
            with urllib.request.urlopen(container.url, timeout=10) as answer:
                self.assertEqual(answer.status, 200)
            self.assertIn("deb.debian.org", container.run("getent", "hosts", "deb.debian.org"))
            self.assertTrue(network.is_inside())
