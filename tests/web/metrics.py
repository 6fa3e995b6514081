"""Reads metrics with the parsers of prometheus_client, and checks what they say: `metrics.py text|openmetrics FILE`."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

kind, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    families = list({"text": text, "openmetrics": openmetrics}[kind](file.read()))

names = [family.name for family in families]
assert len(names) == len(set(names)), names
samples = {}
for family in families:
    assert family.documentation, family.name
    assert family.type != "unknown", family.name
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in samples, key
        samples[key] = sample.value


def value(name, program=None, index="0", kind="program", **labels):
    if program is not None:
        labels |= {"program": program, "index": index, "kind": kind}
    return samples[(name, tuple(sorted(labels.items())))]


for index in ("0", "1"):
    assert value("foster_program_state", "backend", index, state="running") == 1
    assert value("foster_program_state", "backend", index, state="fatal") == 0
    assert value("foster_program_ready", "backend", index) == 1
    assert value("foster_program_healthy", "backend", index) == 1
    assert value("foster_program_memory_bytes", "backend", index) > 100_000
    assert value("foster_program_uptime_seconds", "backend", index) > 0
    assert value("foster_program_cpu_seconds_total", "backend", index) >= 0
    assert value("foster_program_restarts_total", "backend", index) == 0
assert value("foster_program_state", "broken", state="fatal") == 1
assert value("foster_program_ready", "broken") == 0
assert value("foster_program_restarts_total", "broken") == 1
assert value("foster_program_last_exit_code", "broken") == 7
assert value("foster_program_last_exit_signal", "killed") == 9
assert value("foster_program_last_exit_oom", "killed") == 0
assert value("foster_program_dropped_lines_total", "full") == 3000
assert value("foster_program_dropped_lines_total", "backend") == 0
assert value("foster_program_state", "migrate", kind="task", state="succeeded") == 1
assert value("foster_program_state", "backup", kind="job", state="idle") == 1
assert any(name == "foster_build_info" and value == 1 for (name, _), value in samples.items())
assert value("foster_supervisor_memory_bytes") > 500_000
assert value("foster_supervisor_cpu_seconds_total") >= 0
assert value("foster_web_restarts_total") == 0
