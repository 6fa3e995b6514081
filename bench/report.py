"""Turns samples into the table: medians, bounds, and the generated part of docs/benchmarks.md."""

import os
import platform
import statistics
from pathlib import Path

BEGIN = "<!-- bench/run writes from here … -->"
END = "<!-- … to here -->"
OURS = ("foster", "foster --")


class Bound:
    """A bound for a subject: `factor` times the figure of another one, or an absolute figure."""

    def __init__(self, factor, of=None, least=False, subject="foster"):
        self.factor, self.of, self.least, self.subject = factor, of, least, subject

    def text(self, unit):
        sign = "≥" if self.least else "≤"
        figure = f"{self.factor:g} × {self.of}" if self.of else f"{self.factor:g} {unit}".strip()
        return f"{self.subject} {sign} {figure}"

    def reached(self, taken):
        """Returns whether the bound is reached; None if a figure is missing."""
        ours = taken.get(self.subject)
        if not ours or (self.of and not taken.get(self.of)):
            return None
        # Two zeros, such as context switches, have no ratio.
        ratio = self.ratio(taken)
        value = ratio if ratio is not None else statistics.median(ours)
        bound = self.factor if ratio is not None or not self.of else 0
        return value >= bound if self.least else value <= bound

    def ratio(self, taken):
        """Returns the median of the ratios of all rounds, so that a change of the machine's speed affects both figures;
        the ratio of the medians if one has fewer rounds."""
        ours, other = taken.get(self.subject), taken.get(self.of)
        if not ours or not other or not all(other):
            return None
        if len(ours) == len(other):
            return statistics.median(mine / theirs for mine, theirs in zip(ours, other))
        return statistics.median(ours) / statistics.median(other)


class Row:
    """A row of the table."""

    def __init__(self, key, title, unit, *bounds, most=False):
        self.key, self.title, self.unit, self.bounds, self.most = key, title, unit, bounds, most


TABLE = [
    Row("first", "exec of PID 1 to `main()` of the first of two programs", "ms", Bound(1.7, "limit")),
    Row("first-bare", "the same, an init with its one command", "ms", Bound(1.2, "tini", subject="foster --")),
    Row("restart", "`kill -9` to the new `main()`", "ms", Bound(1.3, "limit")),
    Row("restart-flood", "the same, while another program floods its output", "ms", Bound(1.3, "limit")),
    Row("up", "1000 programs up", "ms", Bound(1.4, "limit")),
    Row("stop", "1000 programs stopped, TERM to exit", "ms", Bound(1.3, "limit")),
    Row("pss-1", "PSS of an init with its one command", "MiB", Bound(1.1, subject="foster --")),
    Row("pss-2", "PSS of PID 1, 2 programs", "MiB", Bound(0.9)),
    Row("pss-all-2", "PSS of PID 1 and its helpers, 2 programs", "MiB"),
    Row("pss-1000", "PSS of PID 1, 1000 programs", "MiB", Bound(3.5)),
    Row("pss-all-1000", "PSS of PID 1 and its helpers, 1000 programs", "MiB"),
    Row("idle-1", "context switches a minute, idle, an init with its one command", ""),
    Row("idle-2", "context switches a minute, idle, 2 programs", "", Bound(0)),
    Row("idle-100", "context switches a minute, idle, 100 programs", "", Bound(0)),
    Row("idle-all-100", "the same, PID 1 and its helpers", ""),
    Row("text", "captured lines behind a name", "MB/s", Bound(0.9, "limit", least=True), most=True),
    Row("text-cpu", "processor time for it", "s/GB"),
    Row("json", "captured lines as JSON", "MB/s", Bound(1, "limit", least=True), most=True),
    Row("json-cpu", "processor time for it", "s/GB"),
    Row("orphans", "20,000 orphans at once, all reaped", "ms",
        Bound(1, "tini"), Bound(1, "tini", subject="foster --")),
    Row("zombies", "most zombies at a time, 20,000 orphans as a stream", "",
        Bound(1, "tini"), Bound(1, "tini", subject="foster --")),
    Row("status", "`status` of 100 programs, the whole client process", "ms", Bound(1.2, "dinit")),
    Row("size", "size on disk", "kB"),
]


def medians(bench, row):
    """Returns the median of each subject in this row."""
    taken = bench.results.samples.get(row.key, {})
    return {name: statistics.median(values) for name, values in taken.items()}


def figure(value):
    """Formats a figure with three significant digits."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def best_peer(row, found):
    """Returns the best subject that is neither foster nor limit."""
    peers = [(value, name) for name, value in found.items() if name not in (*OURS, "limit") and " " not in name]
    return (max if row.most else min)(peers) if peers else None


def cells(bench, row):
    """Returns the cells of a row, or None if it was not measured."""
    found = medians(bench, row)
    if not found:
        return None
    best = best_peer(row, found)
    reached, ratios = [], []
    taken = bench.results.samples.get(row.key, {})
    for bound in row.bounds:
        verdict = bound.reached(taken)
        reached.append({True: "yes", False: "**no**", None: "–"}[verdict])
        ratio = bound.ratio(taken)
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


HEAD = ["", "limit", "foster / foster --", "best peer", "supervisord", "bound", "ratio", "reached"]


def grid(head, lines):
    """Formats a table that Markdown and a terminal can show."""
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    rule = ["-" * max(3, width) for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in [head, rule, *lines]
    )


def table(bench, absent):
    """Returns the table to print."""
    lines = [line for line in (cells(bench, row) for row in TABLE) if line]
    parts = [grid(HEAD, lines)]
    for key, failures in bench.results.failures.items():
        parts += [f"{key}: {name}: {reason}" for name, reason in failures.items()]
    parts += [f"{name}: {reason}" for name, reason in absent.items()]
    return "\n".join(parts)


def all_figures(bench):
    """Returns each subject's figure in each row, with its quartiles."""
    names = [one.name for one in bench.present] + ["static C that sleeps", "static Rust that sleeps"]
    lines = []
    for row in TABLE:
        taken = bench.results.samples.get(row.key, {})
        for name in names:
            values = taken.get(name, [])
            failed = bench.results.failed(row.key, name)
            if not values and not failed:
                continue
            cells_ = [figure(statistics.median(values)) if values else "–", "", str(len(values)), failed or ""]
            if len(values) > 1:
                low, _, high = statistics.quantiles(values, n=4, method="inclusive")
                cells_[1] = f"{figure(low)} to {figure(high)}"
            lines.append([f"{row.title}{', ' + row.unit if row.unit else ''}", name, *cells_])
    return grid(["", "subject", "median", "quartiles", "samples", ""], lines)


def machine():
    """Describes the machine."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Linux {platform.release().partition('-')[0]}"


def section(bench, absent, seconds):
    """Returns the generated part of the document."""
    lines = [line for line in (cells(bench, row) for row in TABLE) if line]
    subjects = []
    for one in bench.present:
        size = bench.results.samples.get("size", {}).get(one.name)
        subjects.append([one.name, one.version(), f"{size[0]:,.0f}" if size else "", one.needs, one.setup])
    parts = [
        BEGIN, "", f"Measured on {machine()}, in {seconds / 60:.0f} minutes; medians of up to "
        f"{bench.samples} rounds, interleaved.", "", grid(HEAD, lines), "", "## Subjects", "",
        grid(["subject", "version", "kB", "also needs", "setup"], subjects), "",
    ]
    parts += [f"- {name}: {reason}" for name, reason in absent.items()] + ([""] if absent else [])
    return "\n".join([*parts, "## Every figure", "", all_figures(bench), "", END])


def write(path, bench, absent, seconds):
    """Replaces the part between the markers and keeps the rest of the document."""
    old = path.read_text() if path.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    before, found, rest = old.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        before, after = old.rstrip() + "\n\n", "\n"
    path.write_text(before + section(bench, absent, seconds) + after)


def verdict(bench):
    """Returns 1 if a measurement of foster or limit failed; a missed bound is shown in the table only."""
    failed = {name for failures in bench.results.failures.values() for name in failures}
    return 1 if failed & {*OURS, "limit"} else 0
