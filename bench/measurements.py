"""The measurements: takes and checks the samples of each, round robin over the subjects.

A sample counts only if its outcome is right: every program up, every line complete, every orphan reaped. A failure
replaces the figure in the table. Next: report.py.
"""

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

from subjects import BARE, Subject
from harness import Failed, Harness, cpu, flood, kill, marks, orphans, pss, switches

ROUND = 16384 * 100  # bytes after which the flood's numbers start again
MILLI = 1e6  # nanoseconds
SLOW = {"supervisord", "horust", "s6", "runit", "catatonit", "dumb-init"}


class Results:
    """The samples of each row and subject, or the failure."""

    def __init__(self):
        self.samples, self.failures = {}, {}

    def add(self, row, name, value):
        self.samples.setdefault(row, {}).setdefault(name, []).append(value)

    def fail(self, row, name, reason):
        self.failures.setdefault(row, {})[name] = str(reason)
        print(f"    {row}: {name}: {reason}", file=sys.stderr, flush=True)

    def failed(self, row, name):
        return self.failures.get(row, {}).get(name)


class Bench:
    """The subjects, the number of samples, the size of the jobs."""

    def __init__(self, tools, present, samples, quick):
        self.tools, self.present, self.samples, self.quick = tools, present, samples, quick
        self.results = Results()

    def supervisors(self):
        return [one for one in self.present if one.name not in BARE or one.name == "limit"]

    def inits(self):
        return [one for one in self.present if one.name in BARE]

    def harness(self, subject, programs, **options):
        return Harness(self.tools, subject, programs, **options)

    def rounds(self, row, subjects, sample, times=None, slow=3):
        """Takes one sample of each subject in turn, several times; a subject that fails is left out afterwards."""
        for number in range(times or self.samples):
            for one in subjects:
                if self.results.failed(row, one.name) or (one.name in SLOW and number >= slow):
                    continue
                try:
                    sample(one)
                except Failed as failed:
                    self.results.fail(row, one.name, failed)

    def together(self, row, subjects, programs, stack, **options):
        """Starts all subjects side by side; returns those that started, with their first records."""
        harnesses = {}
        for one in subjects:
            try:
                harness = stack.enter_context(self.harness(one, programs, **options))
                harness.first = harness.fifo.take(len(programs), 60, "programs up")
                harnesses[one] = harness
            except Failed as failed:
                self.results.fail(row, one.name, failed)
        return harnesses


def first(bench):
    """From exec of PID 1 to main() of the first program."""

    def configured(one):
        with bench.harness(one, marks(2)) as harness:
            up = harness.take("M", 2, "programs up")
            bench.results.add("first", one.name, (min(mark.value for mark in up) - harness.executed) / MILLI)

    def bare(one):
        with bench.harness(one, marks(1), job="one") as harness:
            (up,) = harness.take("M", 1, "programs up")
            bench.results.add("first-bare", one.name, (up.value - harness.executed) / MILLI)

    bench.rounds("first", bench.supervisors(), configured, 3 * bench.samples, slow=5)
    bench.rounds("first-bare", bench.inits(), bare, 5 * bench.samples, slow=1000)


def two(bench):
    """Measures two programs: memory, context switches, and a restart after kill -9."""
    with ExitStack() as stack:
        harnesses = bench.together("restart", bench.supervisors(), marks(2), stack)
        watch(bench, harnesses, "2")
        targets = {one: harness.first[0].pid for one, harness in harnesses.items()}

        def kill_one(one):
            harness = harnesses[one]
            bench.results.add("restart", one.name, restart(harness, targets, one))

        kill_in_rounds(bench, "restart", harnesses, kill_one)
    with ExitStack() as stack:
        programs = marks(1)
        harnesses = bench.together("pss-1", bench.inits(), programs, stack, job="one")
        watch(bench, harnesses, "1")
    measure_sleepers(bench)


def restart(harness, targets, one):
    """Kills a program; returns the time until main() of its new process."""
    outside = harness.outside(targets[one])
    killed = kill(outside)
    (up,) = harness.take("M", 1, "programs back", 20)
    targets[one] = up.pid
    return (up.value - killed) / MILLI


def kill_in_rounds(bench, row, harnesses, kill_one):
    """Kills in rounds, with more than two seconds between two kills of one program."""
    for _ in range(2 * bench.samples):
        time.sleep(2.2)
        bench.rounds(row, list(harnesses), kill_one, 1)


def watch(bench, harnesses, count):
    """Measures memory and context switches of PID 1 and its helpers while idle."""
    time.sleep(3)
    seconds = 2 if bench.quick else 12
    before, own_processes = {}, {one: harness.own_processes() for one, harness in harnesses.items()}
    for one, harness in harnesses.items():
        bench.results.add(f"pss-{count}", one.name, pss(harness.pid) / 2**20)
        bench.results.add(f"pss-all-{count}", one.name, sum(map(pss, own_processes[one])) / 2**20)
    for one in harnesses:
        before[one] = {pid: switches(pid) for pid in own_processes[one]}
    time.sleep(seconds)
    for one, harness in harnesses.items():
        after = {pid: switches(pid) - was for pid, was in before[one].items()}
        bench.results.add(f"idle-{count}", one.name, after[harness.pid] * 60 / seconds)
        bench.results.add(f"idle-all-{count}", one.name, sum(after.values()) * 60 / seconds)


class Sleeper(Subject):
    """A program that only sleeps: the least memory of a process."""

    def __init__(self, tools, name):
        super().__init__(tools)
        self.name = name

    def command(self, folder, programs, **options):
        return [self.tools[self.name]]


def measure_sleepers(bench):
    for name, binary in (("static C that sleeps", "sleep"), ("static Rust that sleeps", "sleep-rust")):
        if binary not in bench.tools.paths:
            continue
        with bench.harness(Sleeper(bench.tools, binary), []) as harness:
            time.sleep(0.3)
            bench.results.add("pss-1", name, pss(harness.pid) / 2**20)


def flooded(bench):
    """A restart after kill -9 while another program floods its output."""
    with ExitStack() as stack:
        programs = marks(1) + [flood(0)]
        options = {"job": "capture", "captured": True, "drained": 0}
        harnesses = bench.together("restart-flood", bench.supervisors(), programs, stack, **options)
        targets, flooders = {}, {}
        for one, harness in harnesses.items():
            targets[one] = next(record.pid for record in harness.first if record.kind == "M")
            flooders[one] = harness.outside(next(record.pid for record in harness.first if record.kind == "F"))
            kill(flooders[one], signal.SIGUSR1)
            harness.take("S", 1, "floods")
            kill(flooders[one], signal.SIGUSR2)

        def kill_one(one):
            kill(flooders[one], signal.SIGUSR1)
            time.sleep(0.15)
            try:
                bench.results.add("restart-flood", one.name, restart(harnesses[one], targets, one))
            finally:
                kill(flooders[one], signal.SIGUSR2)

        kill_in_rounds(bench, "restart-flood", harnesses, kill_one)


def thousand(bench):
    """A thousand programs up, their memory, and all of them stopped."""
    count = 50 if bench.quick else 1000

    def sample(one):
        with bench.harness(one, marks(count)) as harness:
            up = harness.take("M", count, "programs up", 120)
            if len({mark.pid for mark in up}) != count:
                raise Failed("programs started more than once")
            bench.results.add("up", one.name, (max(mark.value for mark in up) - harness.executed) / MILLI)
            time.sleep(1.5)
            bench.results.add("pss-1000", one.name, pss(harness.pid) / 2**20)
            bench.results.add("pss-all-1000", one.name, sum(map(pss, harness.own_processes())) / 2**20)
            took, code = harness.end(one.stop_signal)
            stopped = harness.fifo.unread()
            if stopped != count:
                bench.results.fail("stop", one.name, f"only {stopped} of {count} programs received the stop signal")
            elif code != 0 and one.waits:
                bench.results.fail("stop", one.name, f"exit status {code}: {harness.last_error()}")
            else:
                bench.results.add("stop", one.name, took / MILLI)

    bench.rounds("up", bench.supervisors(), sample, max(bench.samples, 1 if bench.quick else 9), slow=2)


def hundred(bench):
    """A hundred programs: context switches, and the time of `status`."""
    with ExitStack() as stack:
        subjects = bench.supervisors()
        programs = marks(100)
        harnesses = {}
        for one in subjects:
            options = {"job": "capture", "asked": True} if one.name == "limit" else {}
            harnesses |= bench.together("status", [one], programs, stack, **options)
        watch(bench, harnesses, "100")

        def ask(one):
            harness = harnesses[one]
            command = one.status(harness.folder / "work", programs)
            if command is None:
                raise Failed("has no status command")
            printed = harness.folder / "status"
            timed = [bench.tools["timed"], "3", printed, *command]
            done = subprocess.run(list(map(str, timed)), capture_output=True, text=True, timeout=60)
            runs = [line.split() for line in done.stdout.splitlines()]
            if len(runs) != 3 or any(code != "0" for _, code in runs):
                raise Failed(f"status fails: {done.stderr.strip()[:200]}")
            lines = [line for line in printed.read_text().splitlines() if "p00" in line or "up (pid" in line]
            if len(lines) != 100:
                raise Failed(f"{len(lines)} lines of status for 100 programs")
            for took, _ in runs:
                bench.results.add("status", one.name, int(took) / MILLI)

        bench.rounds("status", list(harnesses), ask, 2 * bench.samples)


def lines(bench):
    """Captured lines: bytes a second, and processor time for them."""
    size = (10 if bench.quick else 640) * ROUND
    candidates = [one for one in bench.supervisors() if one.name in {"foster", "limit", "s6", "supervisord"}]
    for row, form in (("text", "text"), ("json", "json")):
        writers = [one for one in candidates if form == "text" or one.name in {"foster", "limit"}]

        def sample(one, row=row, form=form):
            options = {"job": "capture", "form": form, "captured": True, "drained": size // 100}
            with bench.harness(one, [flood(size)], **options) as harness:
                flooder = ready(harness)
                before = {pid: cpu(pid) for pid in harness.own_processes()}
                kill(flooder, signal.SIGUSR1)
                facts = {record.kind: record.value for record in harness.fifo.take(3, 120, "records of the flood")}
                spent = sum(cpu(pid) - was for pid, was in before.items())
                check_count(harness, size // 100)
                bench.results.add(row, one.name, size / 1e6 / ((facts["D"] - facts["S"]) / 1e9))
                bench.results.add(f"{row}-cpu", one.name, spent / 1e9 / (size / 1e9))

        for one in writers:
            try:
                check_lines(bench, one, form)
            except Failed as failed:
                bench.results.fail(row, one.name, failed)
        bench.rounds(row, writers, sample, slow=2)


def ready(harness, seconds=60):
    """Waits until the only program is ready for its signal; returns its outside pid."""
    (record,) = harness.take("F", 1, "programs ready", seconds)
    return harness.outside(record.pid)


def check_count(harness, wanted):
    """Stops the subject and checks that the reader got every line, all of the same length."""
    harness.end(harness.subject.stop_signal)
    bytes_, lines_ = map(int, harness.drain.communicate(timeout=30)[0].split())
    if lines_ != wanted or bytes_ % lines_ != 0:
        raise Failed(f"{lines_} lines and {bytes_} bytes arrived of {wanted} lines")


def check_lines(bench, one, form):
    """Checks every line of a smaller run: complete and in order."""
    size = 4 * ROUND
    options = {"job": "capture", "form": form, "captured": True, "drained": size // 100, "copied": True}
    with bench.harness(one, [flood(size)], **options) as harness:
        kill(ready(harness), signal.SIGUSR1)
        harness.fifo.take(3, 60, "records of the flood")
        harness.end(one.stop_signal)
        harness.drain.communicate(timeout=30)
        arrived = (harness.folder / "copy").read_text().splitlines()
    if len(arrived) != size // 100:
        raise Failed(f"{len(arrived)} of {size // 100} lines arrived")
    for number, line in enumerate(arrived):
        arrived_line = json.loads(line)["msg"] if form == "json" else line
        number %= 16384
        wanted = f"{number:05} " + "".join(chr(97 + (number + at) % 26) for at in range(6, 99))
        if not arrived_line.endswith(wanted) or (form == "json" and arrived_line != wanted):
            raise Failed(f"line {number} arrived as `{line[:150]}`")


def reaped(bench):
    """Orphans: all at once, and as a stream."""
    count = 500 if bench.quick else 20_000

    def at_once(one):
        with bench.harness(one, [orphans("at-once", count)], job="one") as harness:
            kill(ready(harness, 90), signal.SIGUSR1)
            (done,) = harness.take("R", 1, "reports that all were reaped", 30)
            bench.results.add("orphans", one.name, done.value / MILLI)

    def stream(one):
        with bench.harness(one, [orphans("stream", count)], job="one") as harness:
            maker = ready(harness)
            watcher = [bench.tools["zombies"], str(harness.pid)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            late = None
            with subprocess.Popen(watcher, **pipes, text=True) as looking:
                try:
                    kill(maker, signal.SIGUSR1)
                    harness.take("R", 1, "reports that all were reaped", 30)
                except Failed as failed:
                    late = failed
                counts = looking.communicate()[0].split()
            if len(counts) != 2 or int(counts[1]) < 1:
                raise Failed("`zombies` took no sample")
            bench.results.add("zombies", one.name, int(counts[0]))
            if late:
                raise late

    bench.rounds("orphans", bench.present, at_once, bench.samples, slow=1)
    bench.rounds("zombies", bench.present, stream, bench.samples, slow=1)


def sizes(bench):
    """Measures the bytes on disk."""
    for one in bench.present:
        if one.name != "foster --":
            bench.results.add("size", one.name, one.size() / 1000)


ROWS = {
    "size": sizes,
    "first": first,
    "restart": two,
    "flood": flooded,
    "thousand": thousand,
    "hundred": hundred,
    "lines": lines,
    "orphans": reaped,
}
