"""From samples to the table: medians, bounds, and docs/benchmarks.md between its markers."""

import os
import platform
import statistics
from pathlib import Path

BEGIN = "<!-- bench/run writes from here … -->"
END = "<!-- … to here -->"
OURS = ("foster", "foster --")


class Bound:
    """What a contestant must reach: `factor` times another's figure, or a figure of its own."""

    def __init__(self, factor, of=None, least=False, who="foster"):
        self.factor, self.of, self.least, self.who = factor, of, least, who

    def text(self, unit):
        sign = "≥" if self.least else "≤"
        figure = f"{self.factor:g} × {self.of}" if self.of else f"{self.factor:g} {unit}".strip()
        return f"{self.who} {sign} {figure}"

    def reached(self, medians):
        """Yes or no; None where a figure is missing."""
        ours = medians.get(self.who)
        against = medians.get(self.of) if self.of else 1
        if ours is None or against is None:
            return None
        return ours >= self.factor * against if self.least else ours <= self.factor * against

    def ratio(self, medians):
        """How often the other's figure, or None."""
        ours, other = medians.get(self.who), medians.get(self.of)
        return ours / other if ours is not None and other else None


class Row:
    """A line of the table."""

    def __init__(self, key, title, unit, *bounds, most=False):
        self.key, self.title, self.unit, self.bounds, self.most = key, title, unit, bounds, most


TABLE = [
    Row("first", "exec of PID 1 to `main()` of the first of two programs", "ms", Bound(2, "limit")),
    Row("first-bare", "the same, an init with its one command", "ms", Bound(1.2, "tini", who="foster --")),
    Row("restart", "`kill -9` to the new `main()`", "ms", Bound(1.4, "limit")),
    Row("restart-flood", "the same, while another program floods its output", "ms", Bound(1.4, "limit")),
    Row("up", "1000 programs up", "ms", Bound(1.6, "limit")),
    Row("stop", "1000 programs stopped, TERM to exit", "ms", Bound(1.2, "limit")),
    Row("pss-1", "PSS of an init with its one command", "MiB"),
    Row("pss-2", "PSS of PID 1, 2 programs", "MiB", Bound(1.5)),
    Row("pss-all-2", "PSS of PID 1 and its helpers, 2 programs", "MiB"),
    Row("pss-1000", "PSS of PID 1, 1000 programs", "MiB", Bound(3.5)),
    Row("pss-all-1000", "PSS of PID 1 and its helpers, 1000 programs", "MiB"),
    Row("idle-1", "context switches a minute, idle, an init with its one command", ""),
    Row("idle-2", "context switches a minute, idle, 2 programs", "", Bound(0)),
    Row("idle-100", "context switches a minute, idle, 100 programs", "", Bound(0)),
    Row("idle-all-100", "the same, PID 1 and its helpers", ""),
    Row("text", "captured lines behind a name", "MB/s", Bound(0.7, "limit", least=True), most=True),
    Row("text-cpu", "processor time for it", "s/GB"),
    Row("json", "captured lines as JSON", "MB/s", Bound(0.4, "limit", least=True), most=True),
    Row("json-cpu", "processor time for it", "s/GB"),
    Row("orphans", "20,000 orphans end at once, all reaped", "ms",
        Bound(1.1, "tini"), Bound(1.1, "tini", who="foster --")),
    Row("zombies", "most zombies standing, 20,000 orphans as a stream", "",
        Bound(1, "tini"), Bound(1, "tini", who="foster --")),
    Row("status", "`status` of 100 programs, the whole client process", "ms", Bound(2.5)),
    Row("size", "on the disk", "kB"),
]


def medians(bench, row):
    """The median of each contestant in this row."""
    taken = bench.results.samples.get(row.key, {})
    return {name: statistics.median(values) for name, values in taken.items()}


def figure(value):
    """Three digits are as many as such a measurement has."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def best_peer(row, found):
    """The best of those who are neither foster nor the limit."""
    peers = [(value, name) for name, value in found.items() if name not in (*OURS, "limit") and " " not in name]
    return (max if row.most else min)(peers) if peers else None


def cells(bench, row):
    """One line of the table, or None where nothing was measured."""
    found = medians(bench, row)
    if not found:
        return None
    best = best_peer(row, found)
    reached, ratios = [], []
    for bound in row.bounds:
        verdict = bound.reached(found)
        reached.append({True: "yes", False: "**no**", None: "–"}[verdict])
        ratio = bound.ratio(found)
        if ratio is not None:
            ratios.append(f"{ratio:.2f}")
    return [
        f"{row.title}{', ' + row.unit if row.unit else ''}",
        figure(found.get("limit")),
        " / ".join(figure(found[name]) for name in OURS if name in found) or "–",
        f"{best[1]} {figure(best[0])}" if best else "–",
        figure(found.get("supervisord")),
        " / ".join(bound.text(row.unit) for bound in row.bounds),
        " / ".join(ratios),
        " / ".join(reached),
    ]


HEAD = ["", "limit", "foster / foster --", "best peer", "supervisord", "must reach", "ratio", "reached"]


def grid(head, lines):
    """A table that reads well both as Markdown and on a terminal."""
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    rule = ["-" * max(3, width) for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in [head, rule, *lines]
    )


def table(bench, absent):
    """What is printed."""
    lines = [line for line in (cells(bench, row) for row in TABLE) if line]
    parts = [grid(HEAD, lines)]
    for key, failures in bench.results.failures.items():
        parts += [f"{key}: {name}: {reason}" for name, reason in failures.items()]
    parts += [f"{name}: {reason}" for name, reason in absent.items()]
    return "\n".join(parts)


def everyone(bench):
    """Each contestant's figure in each row, with its quartiles."""
    names = [one.name for one in bench.present] + ["static C that sleeps", "static Rust that sleeps"]
    lines = []
    for row in TABLE:
        taken = bench.results.samples.get(row.key, {})
        for name in names:
            values = taken.get(name, [])
            failed = bench.results.failed(row.key, name)
            if not values and not failed:
                continue
            said = [figure(statistics.median(values)) if values else "–", "", str(len(values)), failed or ""]
            if len(values) > 1:
                low, _, high = statistics.quantiles(values, n=4, method="inclusive")
                said[1] = f"{figure(low)} to {figure(high)}"
            lines.append([f"{row.title}{', ' + row.unit if row.unit else ''}", name, *said])
    return grid(["", "who", "median", "quartiles", "samples", ""], lines)


def machine():
    """What it ran on."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Linux {platform.release().partition('-')[0]}"


def section(bench, absent, seconds):
    """The generated part of the document."""
    lines = [line for line in (cells(bench, row) for row in TABLE) if line]
    who = []
    for one in bench.present:
        size = bench.results.samples.get("size", {}).get(one.name)
        who.append([one.name, one.version(), f"{size[0]:,.0f}" if size else "", one.beside, one.setup])
    parts = [
        BEGIN, "", f"Measured on {machine()}, in {seconds / 60:.0f} minutes; medians of up to "
        f"{bench.samples} rounds, interleaved.", "", grid(HEAD, lines), "", "## Who took part", "",
        grid(["who", "version", "kB", "needs beside", "set up"], who), "",
    ]
    parts += [f"- {name}: {reason}" for name, reason in absent.items()] + ([""] if absent else [])
    return "\n".join([*parts, "## Every figure", "", everyone(bench), "", END])


def write(path, bench, absent, seconds):
    """Replaces what is between the markers; what people have written around it stays."""
    old = path.read_text() if path.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    before, found, rest = old.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        before, after = old.rstrip() + "\n\n", "\n"
    path.write_text(before + section(bench, absent, seconds) + after)


def verdict(bench):
    """1 when foster or the limit failed at anything; a bound that is missed is for the reader to judge."""
    failed = {name for failures in bench.results.failures.values() for name in failures}
    return 1 if failed & {*OURS, "limit"} else 0
