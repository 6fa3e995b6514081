"""Stand-ins for the official base images, with the same names, for a machine without access to an image registry.

Each has the files of the original that Dockerfile uses, under the same paths: Debian from debootstrap, Node from npm,
Rust from this machine. The stand-ins trust this machine's certificate bundle. An image that exists, pulled or built, is
used as it is.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

from engine import CACHE, ROOT, build, client, docker, run

DEBIAN = "debian:trixie-slim"
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")

_APT = "apt-get update && apt-get install --yes --no-install-recommends {} && rm -rf /var/lib/apt/lists/*"

_DOCKERFILES = {
    "python:3.13-slim-trixie": f"""
FROM {DEBIAN}
RUN {_APT.format("python3 python3-pip python3-venv")} \\
    && for part in python3 pip3; do ln -s /usr/bin/$part /usr/local/bin/; done && ln -s /usr/bin/pip3 /usr/local/bin/pip
COPY bundle.crt {BUNDLE}
RUN printf '[global]\\ncert = {BUNDLE}\\n' > /etc/pip.conf
""",
    "node:24-trixie-slim": f"""
FROM {DEBIAN}
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY bundle.crt {BUNDLE}
RUN for part in npm npx; do ln -s ../lib/node_modules/npm/bin/$part-cli.js /usr/local/bin/$part; done \\
    && mkdir -p /usr/local/etc && echo 'cafile={BUNDLE}' > /usr/local/etc/npmrc
""",
    "rust:1.95-slim-trixie": f"""
FROM {DEBIAN}
RUN {_APT.format("gcc libc6-dev")}
COPY toolchain /usr/local/toolchain
COPY bundle.crt {BUNDLE}
RUN mkdir /usr/local/cargo && printf '[http]\\ncainfo = "{BUNDLE}"\\n' > /usr/local/cargo/config.toml
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
""",
}


def build_missing() -> None:
    """Builds the images that Dockerfile names and the engine does not have."""
    named = [line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM ")]
    for image in sorted(set(named) - {"scratch"}):
        if image not in _DOCKERFILES:
            raise AssertionError(f"Dockerfile names {image}, and tests/docker/base_images.py has no stand-in for it")
        if not _exists(image):
            _build(image)


def _exists(image: str) -> bool:
    return run(client(), "image", "inspect", image, check=False).returncode == 0


def _build(image: str) -> None:
    if not _exists(DEBIAN):
        _debian()
    print(f"building a stand-in for {image}", flush=True)
    folder = CACHE / "stand-in"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(BUNDLE, folder / "bundle.crt")
    match image.split(":")[0]:
        case "node":
            _node(folder)
        case "rust":
            _rust(folder / "toolchain")
    (folder / "Dockerfile").write_text(_DOCKERFILES[image])
    build(image, folder)
    shutil.rmtree(folder)


def _debian() -> None:
    print(f"building a stand-in for {DEBIAN}", flush=True)
    folder = CACHE / "debian"
    shutil.rmtree(folder, ignore_errors=True)
    # An older debootstrap has no script for the release; the scripts of all recent releases are the same.
    release = DEBIAN.split(":")[1].split("-")[0]
    script = Path("/usr/share/debootstrap/scripts") / release
    words = [release, folder, "http://deb.debian.org/debian", *([] if script.exists() else [script.with_name("sid")])]
    run("nice", "debootstrap", "--variant=minbase", "--include=ca-certificates", *words, seconds=900)
    # As in the original: layers do not keep apt's caches.
    clean = 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";\nDPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\n'
    (folder / "etc/apt/apt.conf.d/docker-clean").write_text(clean)
    for leftover in [*folder.glob("var/lib/apt/lists/*_*"), *folder.glob("var/cache/apt/archives/*.deb")]:
        leftover.unlink()
    with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
        docker("import", "-", DEBIAN, stdin=tar.stdout, seconds=300)
    shutil.rmtree(folder)


def _node(folder: Path) -> None:
    """Fetches Node's binary and npm from their npm packages."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    packages = folder / "packages"
    package = f"node-linux-{machine}"
    run("npm", "install", "--prefix", packages, "--no-save", f"{package}@24", "npm@11", cwd=folder, seconds=600)
    (packages / "node_modules" / package / "bin" / "node").rename(folder / "node")
    (packages / "node_modules" / "npm").rename(folder / "npm")
    shutil.rmtree(packages)


def _rust(folder: Path) -> None:
    """Copies the compiler and its library, without documentation and other targets."""
    machine = f"{platform.machine()}-unknown-linux-gnu"
    toolchain = Path(run("rustc", "--print", "sysroot", stderr=subprocess.DEVNULL).stdout.strip())
    for part in "bin/rustc", "bin/cargo", f"lib/rustlib/{machine}":
        target = folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (toolchain / part).is_dir() else shutil.copy
        copy(toolchain / part, target)
    for library in toolchain.glob("lib/*.so*"):
        shutil.copy(library, folder / "lib")
