"""A shared host for tests: an ordinary user with a home folder, cron, and a boot, in namespaces of processes and mounts.

Everything in it ends with it, also what has left its session. Its network is the machine's. Next: `test_fastapi_host.py`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from engine import Failed, run, wait_for
from harness import FOSTER, children_of

USER = "site"

# In the namespaces, as root: only the test's user, crontab and cron, and a /run that is empty after each boot.
_BOOT = """
set -eu
for file in passwd group crontab; do mount --bind $FOLDER/$file /etc/$file; done
mount -t tmpfs none /etc/cron.d
mount -t tmpfs none /run
mount --bind $FOLDER/spool /var/spool/cron/crontabs
touch $FOLDER/booted
exec "$@"
"""


class Host:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="foster-host-"))
        self.folder.chmod(0o755)
        # No file of the machine belongs to it, and no other run of these tests has it.
        self.uid = 200_000 + os.getpid()
        self.home = self.folder / "home"
        self.home.mkdir()
        os.chown(self.home, self.uid, self.uid)
        account = f"{USER}:*:{self.uid}:{self.uid}::{self.home}:/bin/bash\n"
        (self.folder / "passwd").write_text(Path("/etc/passwd").read_text() + account)
        (self.folder / "group").write_text(Path("/etc/group").read_text() + f"{USER}:x:{self.uid}:\n")
        (self.folder / "crontab").touch()
        spool = self.folder / "spool"
        spool.mkdir()
        shutil.chown(spool, group="crontab")
        spool.chmod(0o1730)
        self.process: subprocess.Popen | None = None

    def boot(self, *services: object) -> None:
        """Starts the host, with this service or none."""
        booted = self.folder / "booted"
        booted.unlink(missing_ok=True)
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        # Its first process reaps what is left to it.
        command += [FOSTER, "--", "sh", "-c", _BOOT, "boot", *(services or ["sleep", "infinity"])]
        with (self.folder / "console").open("a") as console:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                env=os.environ | {"FOLDER": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )

        def is_up() -> bool:
            if self.process.poll() is not None:
                raise Failed(f"no host: {(self.folder / 'console').read_text()}")
            return booted.exists()

        wait_for("host", is_up, 20)

    def crash(self) -> None:
        """Ends every process of the host at once."""
        if self.process:
            # The kernel ends the namespace with its first process.
            for first in children_of(self.process.pid):
                os.kill(first, signal.SIGKILL)
            self.process.wait(20)
            self.process = None

    def close(self) -> None:
        self.crash()
        shutil.rmtree(self.folder)

    def enter(self, *command: object) -> list[str]:
        """The command as root in the host."""
        (first,) = children_of(self.process.pid)
        return [str(word) for word in ("nsenter", "--target", first, "--mount", "--pid", *command)]

    def as_user(self, *command: object, **variables: object) -> list[str]:
        """The command as the user, without the variables of the test, outside the namespaces."""
        own = {"HOME": self.home, "LOGNAME": USER, "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"} | variables
        become = ["setpriv", "--reuid", self.uid, "--regid", self.uid, "--clear-groups", "env", "-i"]
        return [str(word) for word in (*become, *(f"{name}={value}" for name, value in own.items()), *command)]

    def logged_in(self, script: str) -> list[str]:
        """The script in a login of the user."""
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
        return self.enter(*self.as_user("bash", "-euo", "pipefail", "-c", f"umask 022; cd; {script}", **pip))

    def shell(self, script: str, check: bool = True, seconds: float = 120) -> subprocess.CompletedProcess:
        return run(*self.logged_in(script), check=check, seconds=seconds, stdin=subprocess.DEVNULL)

    def by_cron(self, script: str, check: bool = True) -> subprocess.CompletedProcess:
        """The script with cron's variables and nothing else."""
        return run(*self.enter(*self.as_user("sh", "-c", f"cd; {script}")), check=check, stdin=subprocess.DEVNULL)
