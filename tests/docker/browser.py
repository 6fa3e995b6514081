"""Debian's Chromium in front of a container, driven by playwright-core: `tests/browser/check.mjs` of an example."""

import os

from engine import ROOT, install_missing, run


def check_page(example: str, **variables: str) -> None:
    """Runs the check of an example; a failed one names its step. `SCREENSHOTS` of the environment is a folder for pictures."""
    install_missing({"chromium": "chromium", "npm": "npm"})
    run("npm", "ci", "--silent", cwd=ROOT / "tests" / "browser", seconds=300)
    check = ROOT / "examples" / example / "tests" / "browser" / "check.mjs"
    print(run("node", check, env=os.environ | variables, seconds=180).stdout)
