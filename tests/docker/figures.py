"""The measured tables of the documents, between two markers. UPDATE_EXPECT=1 writes them; otherwise a test checks that
the document has the rows that were measured.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from engine import ROOT


def table(document: str, marker: str, head: list[str], rows: list[list[str]]) -> None:
    """Writes the table into the document, or compares the names of its rows."""
    lines = [head, ["---"] * len(head), *rows]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    print(f"\n{text}", flush=True)
    path: Path = ROOT / document
    begin, end = f"<!-- measured: {marker} -->\n", "<!-- end -->\n"
    before, rest = path.read_text().split(begin)
    current, after = rest.split(end, 1)
    if os.environ.get("UPDATE_EXPECT") == "1":
        path.write_text(before + begin + text + end + after)
    else:
        assert _names(current) == _names(text), f"{document} has other rows: UPDATE_EXPECT=1 {sys.argv[0]}"


def _names(text: str) -> list[str]:
    """Returns the first cell of each row, without its numbers."""
    return [re.sub(r"[\d.]+", "0", line.split("|")[1].strip()) for line in text.splitlines()]


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.1f} MB"
