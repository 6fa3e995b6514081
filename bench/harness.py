"""Runs a subject as PID 1 of a namespace and reads the records of its programs.

The programs in bench/c read the clock, not the harness, which sleeps while they run. Next: measurements.py.
"""

import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from array import array
from fcntl import ioctl
from pathlib import Path
from termios import FIONREAD

RECORD = struct.Struct("=Iiq")
MEASURING = {"mark", "flood", "orphans"}


class Failed(Exception):
    """A failure of a subject or of the harness, as a text for the table."""


class Record:
    """One record of a program: a letter, its pid in its namespace, and a value."""

    def __init__(self, kind, pid, value):
        self.kind, self.pid, self.value = chr(kind), pid, value


class Fifo:
    """The pipe of the programs' records. Holds both ends, so that no process waits in open()."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = str(path)
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def unread(self):
        """Returns the number of unread records."""
        size = array("i", [0])
        ioctl(self.fd, FIONREAD, size)
        return size[0] // RECORD.size

    def take(self, count, seconds, what):
        """Returns the next `count` records. Polls with growing pauses, so that the harness does not wake up for each."""
        end = time.monotonic() + seconds
        pause = 0.0005
        while self.unread() < count:
            if time.monotonic() > end:
                raise Failed(f"{self.unread()} of {count} {what} within {seconds:g} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        data = os.read(self.fd, count * RECORD.size)
        return [Record(*fields) for fields in RECORD.iter_unpack(data)]

    def close(self):
        os.close(self.fd)


class Process:
    """A process of the subject, with its pids outside and inside the namespace."""

    def __init__(self, pid, inside, name, state):
        self.pid, self.inside, self.name, self.state = pid, inside, name, state


def processes(namespace):
    """Every process of a PID namespace."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.readlink(f"/proc/{entry}/ns/pid") != namespace:
                continue
            fields = status(entry)
        except OSError:
            continue  # the process has exited
        inside = int(fields["NSpid"].split()[-1])
        found.append(Process(int(entry), inside, fields["Name"], fields["State"][0]))
    return found


def status(pid):
    """/proc/PID/status as a dictionary."""
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def switches(pid):
    """Counts the context switches of all threads of a process, voluntary or not."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        fields = status(f"{pid}/task/{thread}")
        total += int(fields["voluntary_ctxt_switches"]) + int(fields["nonvoluntary_ctxt_switches"])
    return total


def pss(pid):
    """The proportional set size of a process in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise Failed(f"no Pss in smaps_rollup of {pid}")


def cpu(pid):
    """The processor time of all threads of a process, in nanoseconds."""
    threads = os.listdir(f"/proc/{pid}/task")
    return sum(int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]) for thread in threads)


class Harness:
    """A running subject with its programs. Everything is removed on exit."""

    def __init__(self, tools, subject, programs, **options):
        self.tools, self.subject = tools, subject
        self.programs = programs
        self.options = options
        self.control = self.executed = self.pid = None
        self.launcher = None
        self.drain = None

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def start(self):
        """Starts the subject; returns once it has been executed."""
        self.fifo = Fifo(self.folder / "facts")
        programs = [program(self.tools, self.fifo.path) for program in self.programs]
        work = self.folder / "work"
        work.mkdir()
        command = self.subject.command(work, programs, **self.options)
        read, write = os.pipe()
        self.control, self.unread = read, b""
        self.log = open(self.folder / "log", "w+b")
        out, feed = subprocess.DEVNULL, None
        if self.options.get("drained") is not None:
            out, feed = self.open_drain(self.options["drained"])
        try:
            self.launcher = subprocess.Popen(
                [self.tools["launch"], str(write), *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=self.log, cwd=work, pass_fds=[write],
                env={"PATH": os.environ["PATH"], "HOME": "/root", **self.subject.environment(work)},
            )
        finally:
            os.close(write)
            if feed is not None:
                os.close(feed)
        while self.executed is None or self.pid is None:
            word, *rest = self.next_line(30)
            if word == "exec":
                self.executed = int(rest[0])
            elif word == "pid":
                self.pid = int(rest[0])
        self.namespace = os.readlink(f"/proc/{self.pid}/ns/pid")

    def open_drain(self, lines):
        """The reader of PID 1's stdout, and the write end of its pipe."""
        read, write = os.pipe()
        copy = [str(self.folder / "copy")] if self.options.get("copied") else []
        self.drain = subprocess.Popen(
            [self.tools["drain"], self.fifo.path, str(lines), *copy],
            stdin=read, stdout=subprocess.PIPE, text=True,
        )
        os.close(read)
        return write, write

    def next_line(self, seconds):
        """The launcher's next line."""
        while b"\n" not in self.unread:
            if not select.select([self.control], [], [], seconds)[0]:
                raise Failed(f"does not exit within {seconds:g} s")
            data = os.read(self.control, 4096)
            if not data:
                raise Failed(f"cannot start: {self.last_error()}")
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        word, *rest = line.decode().split()
        if word == "exit" and self.executed is None:
            raise Failed(f"cannot start: {self.last_error()}")
        return [word, *rest]

    def last_error(self):
        """Returns the last line of the subject's stderr."""
        self.log.flush()
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "its stderr is empty"

    def take(self, kind, count, what, seconds=60):
        """Returns `count` records, all of this kind."""
        try:
            records = self.fifo.take(count, seconds, what)
        except Failed as failed:
            raise Failed(f"{failed}; {self.last_error()}") from None
        wrong = [record.kind for record in records if record.kind != kind]
        if wrong:
            raise Failed(f"expected {what}, got {wrong[0]}")
        return records

    def outside(self, inside):
        """Returns the outside pid of a process of the namespace, searching from PID 1 downwards."""
        level = [str(self.pid)]
        while level:
            below = []
            for pid in level:
                try:
                    if int(status(pid)["NSpid"].split()[-1]) == inside:
                        return int(pid)
                    below += Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                except OSError:
                    continue  # the process has exited
            level = below
        raise Failed(f"no process {inside}")

    def own_processes(self):
        """Returns the pids of the subject's processes: PID 1 first, then its helpers."""
        found = [process for process in processes(self.namespace) if process.name not in MEASURING]
        return sorted((process.pid for process in found), key=lambda pid: pid != self.pid)

    def end(self, number, seconds=90):
        """Stops PID 1; returns the nanoseconds until its exit, and its exit status."""
        start = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        os.kill(self.pid, number)
        word, code, stamp = self.next_line(seconds)
        if word != "exit":
            raise Failed(f"unexpected line of the launcher: {word}")
        return int(stamp) - start, os.waitstatus_to_exitcode(int(code))

    def __exit__(self, *_):
        if self.launcher is not None:
            self.launcher.kill()
            self.launcher.wait()
        if self.drain is not None:
            self.drain.stdout.close()
            self.drain.kill()
            self.drain.wait()
        if self.control is not None:
            os.close(self.control)
            self.log.close()
        if hasattr(self, "fifo"):
            self.fifo.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def marks(count):
    """Programs that write a record when they are up, and sleep."""
    return [lambda tools, fifo: [tools["mark"], fifo]] * count


def flood(size):
    """A program that writes `size` bytes at USR1; with 0 until USR2."""
    return lambda tools, fifo: [tools["flood"], fifo, str(size)]


def orphans(kind, count):
    """A program that makes orphans at USR1."""
    return lambda tools, fifo: [tools["orphans"], fifo, kind, str(count)]


def kill(pid, number=signal.SIGKILL):
    """Sends a signal; returns the time of sending."""
    stamp = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise Failed("a program has exited") from None
    return stamp
