"""A separate network: the engine, its containers and the tests run in network and mount namespaces that no other
engine of the machine shares. Two engines in one network namespace would share `docker0`, its addresses and
the tables of iptables, and reach each other's containers.

The uplink is slirp4netns(1), a process outside that forwards the namespace's connections: it needs no IP forwarding, no
iptables and no address of the machine. Next: `engine.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path

from engine import Failed, wait_for

# Set for the process in the namespaces.
_INSIDE = "FOSTER_TEST_NETWORK"
_TAP = "tap0"
# slirp4netns answers DNS here with the machine's resolver, also if that listens on the machine's loopback.
_RESOLVER = "nameserver 10.0.2.3\n"
# Sockets of the system's containerd and engine, which the tests' engine would use.
_SHARED = ["/run/containerd", "/run/docker"]


def is_inside() -> bool:
    return os.environ.get(_INSIDE) == "own"


def run_inside(command: list[str]) -> int:
    """Runs a command in the namespaces and returns its exit status; SIGTERM stops it."""
    command_line = ["unshare", "--net", "--mount", "--propagation", "private", "setpriv", "--pdeathsig", "TERM", *command]
    process = subprocess.Popen(command_line, env=os.environ | {_INSIDE: "own"})
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        namespace = f"/proc/{process.pid}/ns/net"
        wait_for("network namespace", lambda: _differs(namespace) or process.poll() is not None, 10)
        with tempfile.TemporaryFile("w+") as log:
            uplink = _start_uplink(process.pid, log)
            try:
                return _wait(process, uplink, log)
            finally:
                uplink.terminate()
                uplink.wait(10)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def enter() -> None:
    """In the namespaces: waits for the uplink, sets the resolver and hides the sockets of another engine under /run."""
    wait_for("uplink of the network namespace", _has_route, 20)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    resolver = Path(tempfile.mkdtemp(prefix="foster-test-")) / "resolv.conf"
    resolver.write_text(_RESOLVER)
    # If /etc/resolv.conf is a link, the mount follows it.
    subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)
    resolver.unlink()
    resolver.parent.rmdir()
    for folder in _SHARED:
        if os.path.isdir(folder):
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)


def _differs(namespace: str) -> bool:
    try:
        return os.readlink(namespace) != os.readlink("/proc/self/ns/net")
    except OSError:
        return False


def _has_route() -> bool:
    with open("/proc/net/route") as file:
        return any(line.split()[:2] == [_TAP, "00000000"] for line in file)


def _start_uplink(pid: int, log) -> subprocess.Popen:
    # Without the loopback of the machine: its servers stay out of reach.
    command_line = ["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", str(pid), _TAP]
    return subprocess.Popen(command_line, stdout=log, stderr=log)


def _wait(process: subprocess.Popen, uplink: subprocess.Popen, log) -> int:
    """Returns the command's exit status; fails with the output of slirp4netns if that exits first."""
    while True:
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            if uplink.poll() is not None:
                log.seek(0)
                raise Failed(f"slirp4netns exited with {uplink.returncode}:\n{log.read()}") from None
        except KeyboardInterrupt:
            # The terminal sends SIGINT to the command too.
            continue
