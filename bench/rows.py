"""The rows of the table: how one sample of each is taken and checked, round robin over the contestants.

A sample counts only if its outcome is right: every program up, every line there, every orphan reaped. What
goes wrong is said in the table in the place of the figure. Next: report.py.
"""

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

from contestants import BARE, Contestant
from scene import Failed, Scene, cpu, flood, kill, marks, orphans, pss, switches

ROUND = 16384 * 100  # bytes after which the flood's numbers begin again
MILLI = 1e6  # nanoseconds
SLOW = {"supervisord", "horust", "s6", "runit", "catatonit", "dumb-init"}


class Results:
    """Samples by row and contestant; a failure instead of them where there was one."""

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
    """The contestants, how many samples, how large a job."""

    def __init__(self, tools, present, samples, quick):
        self.tools, self.present, self.samples, self.quick = tools, present, samples, quick
        self.results = Results()

    def supervisors(self):
        return [one for one in self.present if one.name not in BARE or one.name == "limit"]

    def inits(self):
        return [one for one in self.present if one.name in BARE]

    def scene(self, contestant, programs, **options):
        return Scene(self.tools, contestant, programs, **options)

    def rounds(self, row, contestants, sample, times=None, slow=3):
        """Takes one sample of each contestant, and again; who fails is left out from then on."""
        for number in range(times or self.samples):
            for one in contestants:
                if self.results.failed(row, one.name) or (one.name in SLOW and number >= slow):
                    continue
                try:
                    sample(one)
                except Failed as failed:
                    self.results.fail(row, one.name, failed)

    def together(self, row, contestants, programs, stack, **options):
        """Starts all of them side by side; those that came up, with their first records."""
        scenes = {}
        for one in contestants:
            try:
                scene = stack.enter_context(self.scene(one, programs, **options))
                scene.first = scene.fifo.take(len(programs), 60, "programs up")
                scenes[one] = scene
            except Failed as failed:
                self.results.fail(row, one.name, failed)
        return scenes


def first(bench):
    """From exec of PID 1 to main() of the first program."""

    def configured(one):
        with bench.scene(one, marks(2)) as scene:
            up = scene.take("M", 2, "programs up")
            bench.results.add("first", one.name, (min(mark.value for mark in up) - scene.executed) / MILLI)

    def bare(one):
        with bench.scene(one, marks(1), job="one") as scene:
            (up,) = scene.take("M", 1, "programs up")
            bench.results.add("first-bare", one.name, (up.value - scene.executed) / MILLI)

    bench.rounds("first", bench.supervisors(), configured, 3 * bench.samples, slow=5)
    bench.rounds("first-bare", bench.inits(), bare, 5 * bench.samples, slow=1000)


def two(bench):
    """Two programs: memory, idleness, and a restart after kill -9."""
    with ExitStack() as stack:
        scenes = bench.together("restart", bench.supervisors(), marks(2), stack)
        watch(bench, scenes, "2")
        victims = {one: scene.first[0].pid for one, scene in scenes.items()}

        def strike(one):
            scene = scenes[one]
            bench.results.add("restart", one.name, restart(scene, victims, one))

        strikes(bench, "restart", scenes, strike)
    with ExitStack() as stack:
        programs = marks(1)
        scenes = bench.together("pss-1", bench.inits(), programs, stack, job="one")
        watch(bench, scenes, "1")
    sleepers(bench)


def restart(scene, victims, one):
    """Kills a program; the time until its successor's main()."""
    outside = scene.outside(victims[one])
    struck = kill(outside)
    (up,) = scene.take("M", 1, "programs back", 20)
    victims[one] = up.pid
    return (up.value - struck) / MILLI


def strikes(bench, row, scenes, strike):
    """Rounds of kills, with more than two seconds between two of one program."""
    for _ in range(bench.samples):
        time.sleep(2.2)
        bench.rounds(row, list(scenes), strike, 1)


def watch(bench, scenes, count):
    """Memory and context switches of PID 1 and of its helpers, with nothing happening."""
    time.sleep(3)
    seconds = 2 if bench.quick else 12
    before, staff = {}, {one: scene.staff() for one, scene in scenes.items()}
    for one, scene in scenes.items():
        bench.results.add(f"pss-{count}", one.name, pss(scene.pid) / 2**20)
        bench.results.add(f"pss-all-{count}", one.name, sum(map(pss, staff[one])) / 2**20)
    for one in scenes:
        before[one] = {pid: switches(pid) for pid in staff[one]}
    time.sleep(seconds)
    for one, scene in scenes.items():
        after = {pid: switches(pid) - was for pid, was in before[one].items()}
        bench.results.add(f"idle-{count}", one.name, after[scene.pid] * 60 / seconds)
        bench.results.add(f"idle-all-{count}", one.name, sum(after.values()) * 60 / seconds)


class Sleeper(Contestant):
    """A program that does nothing, for what a process costs at all."""

    def __init__(self, tools, name):
        super().__init__(tools)
        self.name = name

    def command(self, folder, programs, **options):
        return [self.tools[self.name]]


def sleepers(bench):
    for name, binary in (("static C that sleeps", "sleep"), ("static Rust that sleeps", "sleep-rust")):
        if binary not in bench.tools.paths:
            continue
        with bench.scene(Sleeper(bench.tools, binary), []) as scene:
            time.sleep(0.3)
            bench.results.add("pss-1", name, pss(scene.pid) / 2**20)


def flooded(bench):
    """A restart after kill -9 while another program floods its output."""
    with ExitStack() as stack:
        programs = marks(1) + [flood(0)]
        options = {"job": "capture", "captured": True, "drained": 0}
        scenes = bench.together("restart-flood", bench.supervisors(), programs, stack, **options)
        victims, flooders = {}, {}
        for one, scene in scenes.items():
            victims[one] = next(record.pid for record in scene.first if record.kind == "M")
            flooders[one] = scene.outside(next(record.pid for record in scene.first if record.kind == "F"))
            kill(flooders[one], signal.SIGUSR1)
            scene.take("S", 1, "floods")
            kill(flooders[one], signal.SIGUSR2)

        def strike(one):
            kill(flooders[one], signal.SIGUSR1)
            time.sleep(0.15)
            try:
                bench.results.add("restart-flood", one.name, restart(scenes[one], victims, one))
            finally:
                kill(flooders[one], signal.SIGUSR2)

        strikes(bench, "restart-flood", scenes, strike)


def thousand(bench):
    """A thousand programs up, their memory, and all of them stopped."""
    count = 50 if bench.quick else 1000

    def sample(one):
        with bench.scene(one, marks(count)) as scene:
            up = scene.take("M", count, "programs up", 120)
            if len({mark.pid for mark in up}) != count:
                raise Failed("programs started more than once")
            bench.results.add("up", one.name, (max(mark.value for mark in up) - scene.executed) / MILLI)
            time.sleep(1.5)
            bench.results.add("pss-1000", one.name, pss(scene.pid) / 2**20)
            bench.results.add("pss-all-1000", one.name, sum(map(pss, scene.staff())) / 2**20)
            took, code = scene.end(one.stop_signal)
            told = scene.fifo.waiting()
            if told != count:
                bench.results.fail("stop", one.name, f"only {told} of {count} programs ended by themselves")
            elif code != 0 and one.waits:
                bench.results.fail("stop", one.name, f"exit status {code}: {scene.words()}")
            else:
                bench.results.add("stop", one.name, took / MILLI)

    bench.rounds("up", bench.supervisors(), sample, slow=2)


def hundred(bench):
    """A hundred programs: idleness, and what their status costs."""
    with ExitStack() as stack:
        contestants = bench.supervisors()
        programs = marks(100)
        scenes = {}
        for one in contestants:
            options = {"job": "capture", "asked": True} if one.name == "limit" else {}
            scenes |= bench.together("status", [one], programs, stack, **options)
        watch(bench, scenes, "100")

        def ask(one):
            scene = scenes[one]
            command = one.status(scene.folder / "work", programs)
            if command is None:
                raise Failed("has no such verb")
            said = scene.folder / "said"
            timed = [bench.tools["timed"], "3", said, *command]
            done = subprocess.run(list(map(str, timed)), capture_output=True, text=True, timeout=60)
            runs = [line.split() for line in done.stdout.splitlines()]
            if len(runs) != 3 or any(code != "0" for _, code in runs):
                raise Failed(f"status fails: {done.stderr.strip()[:200]}")
            lines = [line for line in said.read_text().splitlines() if "p00" in line or "up (pid" in line]
            if len(lines) != 100:
                raise Failed(f"{len(lines)} lines of status for 100 programs")
            for took, _ in runs:
                bench.results.add("status", one.name, int(took) / MILLI)

        bench.rounds("status", list(scenes), ask, 2 * bench.samples)


def lines(bench):
    """Captured lines: bytes a second, and processor time for them."""
    size = (10 if bench.quick else 640) * ROUND
    contenders = [one for one in bench.supervisors() if one.name in {"foster", "limit", "s6", "supervisord"}]
    for row, form in (("text", "text"), ("json", "json")):
        writers = [one for one in contenders if form == "text" or one.name in {"foster", "limit"}]

        def sample(one, row=row, form=form):
            options = {"job": "capture", "form": form, "captured": True, "drained": size // 100}
            with bench.scene(one, [flood(size)], **options) as scene:
                flooder = ready(scene)
                before = {pid: cpu(pid) for pid in scene.staff()}
                kill(flooder, signal.SIGUSR1)
                facts = {record.kind: record.value for record in scene.fifo.take(3, 120, "words of the flood")}
                spent = sum(cpu(pid) - was for pid, was in before.items())
                check_count(scene, size // 100)
                bench.results.add(row, one.name, size / 1e6 / ((facts["D"] - facts["S"]) / 1e9))
                bench.results.add(f"{row}-cpu", one.name, spent / 1e9 / (size / 1e9))

        for one in writers:
            try:
                every_byte(bench, one, form)
            except Failed as failed:
                bench.results.fail(row, one.name, failed)
        bench.rounds(row, writers, sample, slow=2)


def ready(scene, seconds=60):
    """The one program of a scene, from outside, when it waits for its signal."""
    (record,) = scene.take("F", 1, "programs ready", seconds)
    return scene.outside(record.pid)


def check_count(scene, wanted):
    """Stops the contestant; whether its reader got as many lines as were written, all equally long."""
    scene.end(scene.contestant.stop_signal)
    bytes_, lines_ = map(int, scene.drain.communicate(timeout=30)[0].split())
    if lines_ != wanted or bytes_ % lines_ != 0:
        raise Failed(f"{lines_} lines and {bytes_} bytes arrived of {wanted} lines")


def every_byte(bench, one, form):
    """Reads what arrives, once and not in a hurry: every line, whole, in order."""
    size = 4 * ROUND
    options = {"job": "capture", "form": form, "captured": True, "drained": size // 100, "copied": True}
    with bench.scene(one, [flood(size)], **options) as scene:
        kill(ready(scene), signal.SIGUSR1)
        scene.fifo.take(3, 60, "words of the flood")
        scene.end(one.stop_signal)
        scene.drain.communicate(timeout=30)
        arrived = (scene.folder / "copy").read_text().splitlines()
    if len(arrived) != size // 100:
        raise Failed(f"{len(arrived)} of {size // 100} lines arrived")
    for number, line in enumerate(arrived):
        said = json.loads(line)["msg"] if form == "json" else line
        number %= 16384
        wanted = f"{number:05} " + "".join(chr(97 + (number + at) % 26) for at in range(6, 99))
        if not said.endswith(wanted) or (form == "json" and said != wanted):
            raise Failed(f"line {number} arrived as `{line[:150]}`")


def reaped(bench):
    """Orphans: all at once, and as a stream."""
    count = 500 if bench.quick else 20_000

    def at_once(one):
        with bench.scene(one, [orphans("at-once", count)], job="one") as scene:
            kill(ready(scene, 90), signal.SIGUSR1)
            (done,) = scene.take("R", 1, "times that all were reaped", 30)
            bench.results.add("orphans", one.name, done.value / MILLI)

    def stream(one):
        with bench.scene(one, [orphans("stream", count)], job="one") as scene:
            maker = ready(scene)
            watcher = [bench.tools["zombies"], str(scene.pid)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            late = None
            with subprocess.Popen(watcher, **pipes, text=True) as looking:
                try:
                    kill(maker, signal.SIGUSR1)
                    scene.take("R", 1, "times that all were reaped", 30)
                except Failed as failed:
                    late = failed
                said = looking.communicate()[0].split()
            if len(said) != 2 or int(said[1]) < 1:
                raise Failed("the watcher saw nothing")
            bench.results.add("zombies", one.name, int(said[0]))
            if late:
                raise late

    bench.rounds("orphans", bench.present, at_once, min(5, bench.samples), slow=1)
    bench.rounds("zombies", bench.present, stream, min(3, bench.samples), slow=1)


def sizes(bench):
    """Bytes on the disk."""
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
