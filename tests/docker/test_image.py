"""The content and the size of the images."""

import json
import platform
import re
import tempfile
import unittest
from pathlib import Path

import base_images
import figures
from container import APP, Container
from engine import PREFIX, ROOT, Failed, build, client, docker, run

LARGEST = 3_000_000
# The content of each layer, by a text of its instruction in Dockerfile.
LAYERS = {
    "nginx-light": "nginx, from Debian",
    "/app/venv": "the backend's Python packages",
    "/usr/share/nginx/html": "the page",
    "examples/terminals/backend/app": "the backend",
    "/usr/local/bin/foster": "**foster**",
}


class Image(unittest.TestCase):
    def test_the_layer_of_foster_is_at_most_3_000_000_bytes(self):
        lines = docker("history", "--no-trunc", "--human=false", "--format", "{{json .}}", APP).splitlines()
        sizes = [(layer["CreatedBy"], int(layer["Size"])) for layer in map(json.loads, lines)]
        rows = []
        for text, what in LAYERS.items():
            (size,) = [size for instruction, size in sizes if text in instruction and "ENV" not in instruction]
            rows.append([what, figures.megabytes(size)])
            if text.endswith("foster"):
                self.assertLessEqual(size, LARGEST)
        figures.table("docs/dockerfile.md", "layers", ["layer", "size"], rows)

    def test_the_target_foster_is_the_binary_alone(self):
        foster = build("foster", ROOT, "--target", "foster")
        self.assertEqual(int(docker("image", "inspect", "--format", "{{len .RootFS.Layers}}", foster)), 1)
        self.assertLessEqual(int(docker("image", "inspect", "--format", "{{.Size}}", foster)), LARGEST)
        self.assertIn("foster", docker("run", "--rm", "--name", f"{PREFIX}version", foster, "/foster", "version"))

    def test_the_dockerfile_of_the_documents_builds_a_working_image(self):
        build("foster", ROOT, "--target", "foster")
        document = (ROOT / "docs" / "dockerfile.md").read_text()
        blocks = dict(re.findall(r"```(dockerfile|toml)\n(.*?)```", document, re.DOTALL)[::-1])
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "Dockerfile").write_text(blocks["dockerfile"])
            (Path(folder) / "foster.toml").write_text(blocks["toml"])
            own = build(f"{PREFIX}own", Path(folder))
        with Container(image=own) as container:
            container.becomes_healthy()
            self.assertEqual(container.stop()[1], 0)

    def test_the_example_with_foster_as_a_stage_runs_without_root_on_a_read_only_file_system(self):
        example = build(f"{PREFIX}nginx-backend", ROOT, "--file", ROOT / "examples/nginx-backend/Dockerfile")
        with Container("--read-only", "--tmpfs", "/tmp", image=example, publish=False) as container:
            container.becomes_healthy()
            self.assertEqual(container.stop()[1], 0)

    def test_a_release_of_the_documents_is_one_static_file_and_a_changed_one_fails_its_checksum(self):
        document = (ROOT / "docs" / "install.md").read_text()
        scripts = re.findall(r"```sh\n(.*?)```", document.split("## A release\n")[1], re.DOTALL)
        build_binary, checksums = scripts[0], next(text for text in scripts if "sha256sum" in text)
        (verify,) = [text for text in re.findall(r"```dockerfile\n(.*?)```", document, re.DOTALL) if "SHA256SUMS" in text]
        with tempfile.TemporaryDirectory() as folder:
            dist = Path(folder) / "dist"
            for script in build_binary, checksums:
                run("sh", "-e", "-c", re.sub(r"\bdist\b", str(dist), script), cwd=ROOT, seconds=1500)
            name = f"foster-linux-{platform.machine()}"
            self.assertEqual(sorted(path.name for path in dist.iterdir()), ["SHA256SUMS", name])
            self.assertRegex(run("file", dist / name).stdout, "statically linked|static-pie linked")
            lines = verify.replace("foster-linux-x86_64", name)
            (Path(folder) / "Dockerfile").write_text(f"FROM {base_images.DEBIAN}\n{lines}RUN foster version\n")
            build(f"{PREFIX}verified", Path(folder))
            with open(dist / name, "ab") as binary:
                binary.write(b"changed")
            with self.assertRaisesRegex(Failed, "did NOT match"):
                build(f"{PREFIX}verified", Path(folder))

    def test_the_image_has_no_compiler_and_no_package_manager_of_a_build(self):
        with Container() as container:
            container.becomes_healthy()
            for tool in "cc", "gcc", "cargo", "rustc", "node", "npm":
                found = run(client(), "exec", container.name, "sh", "-c", f"command -v {tool}", check=False)
                self.assertNotEqual(found.returncode, 0, tool)

    def test_a_changed_source_does_not_rebuild_the_dependencies(self):
        dockerfile = (ROOT / "Dockerfile").read_text()
        for first, then in (
            ("package-lock.json", "examples/terminals/frontend ."),
            ("requirements.txt", "examples/terminals/backend/app"),
            ("Cargo.lock", "COPY src"),
        ):
            self.assertLess(dockerfile.index(first), dockerfile.index(then), first)

    def test_the_dockerfile_names_no_architecture(self):
        dockerfile = (ROOT / "Dockerfile").read_text()
        self.assertNotRegex(dockerfile, "x86_64|aarch64|amd64|arm64")
        for line in dockerfile.splitlines():
            if line.startswith("FROM ") and "scratch" not in line:
                self.assertRegex(line, r"^FROM \w+:[\d.]+[\w.-]+( AS \w+)?$")
