"""The image of examples/terminals with foster and with supervisord.

`bench/run` publishes foster's memory in docs/benchmarks.md; this test only compares it with supervisord's."""

import unittest
from pathlib import Path

import comparison
import figures
from comparison import Subject
from container import APP
from engine import PREFIX, build, docker

HERE = Path(__file__).resolve().parent


class Comparison(unittest.TestCase):
    def test_foster_is_smaller_and_quicker_than_supervisord_in_the_same_image(self):
        other = build(f"{PREFIX}supervisord", HERE / "supervisord", "--build-arg", f"APP={APP}")
        ours, theirs = (Subject(image, "/api/health", "uvicorn app.main") for image in (APP, other))
        comparison.measure(ours, theirs)
        supervisord = theirs.size() - ours.size()
        foster = int(docker("run", "--rm", "--name", f"{PREFIX}size", APP, "stat", "-c", "%s", "/usr/local/bin/foster"))
        rows = [["added to the image", figures.megabytes(foster), figures.megabytes(supervisord)]]
        rows += [comparison.row(what, ours, theirs) for what in ("start", "crash", "stop")]
        figures.table("docs/dockerfile.md", "comparison", ["", "foster", "supervisord"], rows)
        self.assertLess(foster, supervisord)
        for what in "start", "memory", "stop":
            self.assertLess(ours.median(what), theirs.median(what), what)
        # Both restart at once; the start of the backend takes the same time for both.
        self.assertLess(ours.median("crash"), theirs.median("crash") + 0.5)
