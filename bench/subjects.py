"""The subjects and their setup, as their documentation recommends it for the job.

The table lists a subject that is not installed as missing. Next: harness.py.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from harness import Failed


def first_line(command):
    """Returns the first line that a command prints to stdout or stderr."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else ""


def package_version(package):
    """Returns the version of an installed Debian package."""
    query = ["dpkg-query", "-W", "-f", "${Version}", package]
    try:
        return subprocess.run(query, capture_output=True, text=True).stdout.strip() or "unknown version"
    except OSError:
        return "unknown version"


def script(path, *lines):
    """Writes an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)


def joined(command):
    """Joins a command; its words need no quoting."""
    return " ".join(command)


def names(programs):
    """Returns the names of the programs: `p0000`, `p0001`…"""
    return [f"p{index:04}" for index in range(len(programs))]


class Subject:
    """A measured program."""

    name = ""
    binaries = ()
    needs = "nothing"
    stop_signal = signal.SIGTERM
    waits = True  # after a stop signal, for its programs to exit
    setup = ""

    def __init__(self, tools):
        self.tools = tools

    def find(self, binary):
        """Returns the path of one of its programs, or None."""
        return shutil.which(binary, path=os.environ["PATH"] + ":/usr/sbin:/sbin")

    @property
    def missing(self):
        """The first of its binaries that is not installed."""
        return next((binary for binary in self.binaries if not self.find(binary)), None)

    def version(self):
        """Returns the version that it prints, or that of its package."""
        return package_version(self.name)

    def size(self):
        """Returns the size of its binaries in bytes."""
        return sum(Path(self.find(binary)).resolve().stat().st_size for binary in self.binaries)

    def command(self, folder, programs, **options):
        """Writes its configuration for these programs; returns its command line."""
        raise NotImplementedError

    def status(self, folder, programs):
        """Returns the command line that prints the state of all programs, or None."""
        return None

    def environment(self, folder):
        """Returns the variables that it needs."""
        return {}


class Bare(Subject):
    """An init for one command."""

    flags = ()

    def command(self, folder, programs, **options):
        (program,) = programs
        return [self.find(self.binaries[0]), *self.flags, *program]


class Tini(Bare):
    name, binaries, flags = "tini", ("tini",), ("--",)
    setup = "`tini -- PROGRAM`"


class DumbInit(Bare):
    name, binaries = "dumb-init", ("dumb-init",)
    setup = "`dumb-init PROGRAM`"


class Catatonit(Bare):
    name, binaries, flags = "catatonit", ("catatonit",), ("--",)
    setup = "`catatonit -- PROGRAM`"


class FosterBare(Bare):
    name, flags = "foster --", ("--",)
    setup = "`foster -- PROGRAM`"

    def find(self, binary):
        return self.tools["foster"]

    @property
    def missing(self):
        done = subprocess.run([self.tools["foster"], "--", "true"], capture_output=True)
        return "the bare init" if done.returncode else None

    binaries = ("foster",)

    def version(self):
        return first_line([self.tools["foster"], "version"])


class Limit(Subject):
    """The straightforward C program for each job."""

    name, needs = "limit", "nothing"
    setup = "`bench/c/limit.c`: only the measured job"

    def version(self):
        return first_line(["cc", "--version"])

    def size(self):
        return Path(self.tools["limit"]).stat().st_size

    def command(self, folder, programs, job="many", form="text", **options):
        if job == "one":
            return [self.tools["limit"], "one", *programs[0]]
        listing = folder / "programs"
        listing.write_text("".join(joined(program) + "\n" for program in programs))
        if job == "capture":
            socket = [folder / "socket"] if options.get("asked") else []
            return [self.tools["limit"], "capture", form, listing, *socket]
        return [self.tools["limit"], "many", listing]

    def status(self, folder, programs):
        return [self.tools["limit"], "ask", folder / "socket"]


class Foster(Subject):
    name = "foster"
    binaries = ("foster",)
    setup = (
        "one `foster.toml`, a `[program.NAME]` with its `command` for each; `reset` of `backoff` is 1 s, so that a kill "
        "every two seconds is not a crash loop; defaults for everything else"
    )

    def find(self, binary):
        return self.tools["foster"]

    def version(self):
        return first_line([self.tools["foster"], "version"])

    def command(self, folder, programs, form="text", **options):
        lines = ['defaults = { backoff = { reset = "1s" } }', "[foster]", f'socket = "{folder}/foster.sock"']
        if form != "text":
            lines.append(f'log_format = "{form}"')
        for name, program in zip(names(programs), programs):
            arguments = ", ".join(f'"{argument}"' for argument in program)
            lines += ["", f"[program.{name}]", f"command = [{arguments}]"]
            if len(programs) <= 2:
                lines.append("priority = 10")
        (folder / "foster.toml").write_text("\n".join(lines) + "\n")
        return [self.tools["foster"], "run", "-c", folder / "foster.toml"]

    def status(self, folder, programs):
        return [self.tools["foster"], "--socket", folder / "foster.sock", "status"]


class S6(Subject):
    name = "s6"
    binaries = ("s6-svscan", "s6-supervise", "s6-svstat", "s6-log")
    setup = (
        "`s6-svscan` over a scan directory; `run` is a shell script that execs; `s6-log` (`p`refix, to stdout) "
        "as the `log` service where output is captured; stopped by `TERM`, with a `finish` script that exits; "
        "status: `s6-svstat` for each directory, in one shell loop"
    )

    def command(self, folder, programs, captured=False, **options):
        scan = folder / "scan"
        for name, program in zip(names(programs), programs):
            script(scan / name / "run", f"exec {joined(program)}")
            if captured:
                script(scan / name / "log" / "run", f"exec s6-log -b 'p{name} | ' 1")
        script(scan / ".s6-svscan" / "finish", "exit 0")
        return [self.find("s6-svscan"), "-c", str(max(500, 2 * len(programs) + 10)), scan]

    def status(self, folder, programs):
        return ["/bin/sh", "-c", f'for one in {folder}/scan/*; do s6-svstat "$one"; done']


class Runit(Subject):
    name = "runit"
    binaries = ("runsvdir", "runsv", "sv")
    stop_signal = signal.SIGHUP
    waits = False
    setup = (
        "`runsvdir -P` over a directory; `run` is a shell script that execs; stopped by `HUP`: it signals the "
        "programs and does not wait for them"
    )

    def command(self, folder, programs, **options):
        for name, program in zip(names(programs), programs):
            script(folder / "service" / name / "run", f"exec {joined(program)}")
        return [self.find("runsvdir"), "-P", folder / "service"]

    def status(self, folder, programs):
        return [self.find("sv"), "status", *(folder / "service" / name for name in names(programs))]


class Dinit(Subject):
    name = "dinit"
    binaries = ("dinit", "dinitctl")
    needs = "libstdc++"
    setup = (
        "`dinit --container`, a `boot` that waits for one service for each program, `restart = yes`, "
        "`smooth-recovery = yes`, no restart limit; it has no prefix, so a flood goes straight to its stdout: `logfile = /proc/1/fd/1`"
    )

    def version(self):
        return first_line([self.find("dinit"), "--version"])

    def command(self, folder, programs, captured=False, **options):
        services = folder / "services"
        services.mkdir()
        boot = ["type = internal"]
        for name, program in zip(names(programs), programs):
            boot.append(f"waits-for = {name}")
            service = ["type = process", f"command = {joined(program)}", "restart = yes"]
            service += ["smooth-recovery = yes", "restart-limit-count = 0"]
            if captured:
                service += ["log-type = file", "logfile = /proc/1/fd/1"]
            (services / name).write_text("\n".join(service) + "\n")
        (services / "boot").write_text("\n".join(boot) + "\n")
        socket = folder / "dinitctl"
        return [self.find("dinit"), "--container", "--quiet", "-d", services, "-p", socket, "boot"]

    def status(self, folder, programs):
        return [self.find("dinitctl"), "-p", folder / "dinitctl", "list"]


class Supervisor(Subject):
    name = "supervisord"
    binaries = ("supervisord", "supervisorctl")
    setup = (
        "`nodaemon=true`, `silent=true`, a Unix socket, a `[program:NAME]` for each with `autorestart=true` and, as "
        "for containers, `stdout_logfile=/dev/fd/1`, `stdout_logfile_maxbytes=0`; it has no prefix"
    )

    def find(self, binary):
        ours = self.tools.folder / "venv" / "bin" / binary
        return str(ours) if ours.exists() else super().find(binary)

    def version(self):
        return first_line([self.find("supervisord"), "--version"])

    @property
    def python(self):
        """The interpreter that it runs in."""
        first = Path(self.find("supervisord")).read_text().splitlines()[0]
        return first.removeprefix("#!").split()[0]

    def size(self):
        where = "import supervisor, os; print(os.path.dirname(supervisor.__file__))"
        return tree_size(first_line([self.python, "-c", where]))

    @property
    def needs(self):
        """Python and its size on this machine."""
        where = "import sysconfig; print(sysconfig.get_paths()['stdlib'])"
        library = tree_size(first_line([self.python, "-c", where]), without={"site-packages", "test", "__pycache__"})
        return f"Python and its library ({library / 1e6:.0f} MB without tests and caches)"

    def command(self, folder, programs, **options):
        lines = ["[supervisord]", "nodaemon=true", "silent=true", "user=root", "logfile=/dev/null"]
        lines += ["logfile_maxbytes=0", f"pidfile={folder}/supervisord.pid", "minfds=8192"]
        lines += ["[unix_http_server]", f"file={folder}/supervisor.sock", "[rpcinterface:supervisor]"]
        lines.append("supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface")
        lines += ["[supervisorctl]", f"serverurl=unix://{folder}/supervisor.sock"]
        for name, program in zip(names(programs), programs):
            lines += [f"[program:{name}]", f"command={joined(program)}", "autorestart=true"]
            lines += ["stdout_logfile=/dev/fd/1", "stdout_logfile_maxbytes=0", "redirect_stderr=true"]
        (folder / "supervisord.conf").write_text("\n".join(lines) + "\n")
        return [self.find("supervisord"), "-c", folder / "supervisord.conf"]

    def status(self, folder, programs):
        return [self.find("supervisorctl"), "-c", folder / "supervisord.conf", "status"]


class Horust(Subject):
    name = "horust"
    binaries = ("horust",)
    setup = "`horust --services-path`, a TOML file for each program, `restart` strategy `always`, no backoff"

    def find(self, binary):
        ours = self.tools.folder / "bin" / binary
        return str(ours) if ours.exists() else super().find(binary)

    def version(self):
        # It does not print one: what cargo has installed here (`bench/run --install`).
        listing = self.tools.folder / ".crates.toml"
        found = re.search(r'"horust ([0-9.]+)', listing.read_text()) if listing.exists() else None
        return found[1] if found else "unknown version"

    def command(self, folder, programs, **options):
        services = folder / "services"
        services.mkdir()
        for name, program in zip(names(programs), programs):
            lines = [f'command = "{joined(program)}"', "[restart]", 'strategy = "always"', 'backoff = "0s"']
            (services / f"{name}.toml").write_text("\n".join(lines) + "\n")
        return [self.find("horust"), "--services-path", services, "--uds-folder-path", folder]


def tree_size(folder, without=frozenset({"__pycache__"})):
    """Returns the bytes of all files below a folder."""
    total = 0
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in without]
        total += sum(os.lstat(os.path.join(path, name)).st_size for name in files)
    return total


SUBJECTS = [Foster, Limit, FosterBare, Tini, DumbInit, Catatonit, S6, Runit, Dinit, Supervisor, Horust]
BARE = {"limit", "foster --", "tini", "dumb-init", "catatonit"}


def select(tools, only):
    """Returns the subjects that are present, and the missing ones with the reason."""
    present, absent = [], {}
    for one in (kind(tools) for kind in SUBJECTS):
        if only and one.name not in only:
            continue
        missing = one.missing
        if missing:
            absent[one.name] = f"not installed: {missing}"
        else:
            present.append(one)
    unknown = set(only or ()) - {kind.name for kind in SUBJECTS}
    if unknown:
        known = ", ".join(f"`{kind.name}`" for kind in SUBJECTS)
        raise Failed(f"cannot measure {', '.join(f'`{name}`' for name in sorted(unknown))}: there are {known}")
    return present, absent


def install(tools):
    """Fetches supervisor and horust into the harness's own folder; the others come from packages."""
    venv = tools.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin" / "pip", "install", "-q", "supervisor"], check=True)
    subprocess.run(["cargo", "install", "--locked", "--root", tools.folder, "horust"], check=True)
