"""The manifests of deploy/kubernetes: valid for a current Kubernetes, and consistent with foster and the image."""

import re
import tempfile
import unittest
from pathlib import Path

from container import Container
from engine import CACHE, ROOT, run

MANIFESTS = ROOT / "deploy" / "kubernetes"
VERSION = "1.34"
# `docker run` with the settings of the Deployment.
AS_A_POD = ["--user", "10001:10001", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]


class Kubernetes(unittest.TestCase):
    def test_the_manifests_are_valid_for_a_current_kubernetes(self):
        tool = CACHE / "kubernetes-validate"
        if not (tool / "bin" / "kubernetes-validate").exists():
            run("python3", "-m", "venv", tool)
            run(tool / "bin" / "pip", "install", "--quiet", "kubernetes-validate", "setuptools", seconds=300)
        pods = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "cookbook.md").read_text(), re.DOTALL)
        with tempfile.TemporaryDirectory() as folder:
            recipes = [Path(folder) / f"{number}.yaml" for number in range(len(pods))]
            for path, text in zip(recipes, pods, strict=True):
                path.write_text(text)
            names = [MANIFESTS / name for name in _resources()]
            self.assertTrue(names and recipes)
            run(tool / "bin" / "kubernetes-validate", "--strict", "--version", VERSION, *names, *recipes)

    def test_the_kustomization_names_every_manifest(self):
        manifests = sorted(path.name for path in MANIFESTS.glob("*.yaml") if path.name != "kustomization.yaml")
        self.assertEqual(sorted(_resources()), manifests)

    def test_the_grace_period_is_longer_than_the_shutdown_timeout(self):
        deployment = (MANIFESTS / "deployment.yaml").read_text()
        grace = int(re.search(r"terminationGracePeriodSeconds: (\d+)", deployment)[1])
        foster = (ROOT / "examples" / "terminals" / "foster.toml").read_text()
        self.assertGreater(grace, int(re.search(r'shutdown_timeout = "(\d+)s"', foster)[1]))

    def test_the_container_works_with_the_settings_of_the_deployment(self):
        with Container(*AS_A_POD, "--security-opt", "no-new-privileges") as container:
            container.becomes_healthy()
            self.assertEqual({int(_user(process.pid)) for process in container.processes()}, {10001})
            self.assertEqual(container.stop()[1], 0)


def _resources() -> list[str]:
    kustomization = (MANIFESTS / "kustomization.yaml").read_text()
    return re.findall(r"^  - (\S+\.yaml)$", kustomization, re.MULTILINE)


def _user(pid: int) -> str:
    with open(f"/proc/{pid}/status") as file:
        return re.search(r"Uid:\t(\d+)", file.read())[1]
