"""The isolation of the shells: chosen once, at the start, from what the kernel permits.

The database and the secret are the backend's. A shell that ran as the backend's user, with nothing else, could read
both; so there are shells only behind a fence, unless the operator says otherwise. Next: `shell_entry.py`, which
puts each shell behind it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from .settings import Isolation, Settings
from .shell_entry import landlock_version

# capabilities(7): to signal processes of another user, and to become another user.
NEEDED = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}


@dataclass(frozen=True)
class Fence:
    """The choice: `kind` is never AUTO, and None means that no shell is started."""

    kind: Isolation | None
    words: str


def choose(settings: Settings) -> Fence:
    """The strongest isolation available, or the requested one, or none, with the reason."""
    missing = _missing_capabilities()
    abi = landlock_version()
    no_users = f"the backend may not change users: {', '.join(missing)} missing"
    no_landlock = "the kernel has no Landlock, or the container's seccomp profile refuses it"
    wanted = settings.isolation
    if wanted in (Isolation.AUTO, Isolation.USER) and not missing:
        return Fence(Isolation.USER, f"each account's shells have a separate user, from {settings.first_shell_uid}")
    if wanted in (Isolation.AUTO, Isolation.LANDLOCK) and abi > 0:
        why = f" ({no_users})" if wanted is Isolation.AUTO else ""
        signals = "" if abi >= 6 else "; this kernel lets them signal the backend (Landlock 6, Linux 6.12, would not)"
        return Fence(Isolation.LANDLOCK, f"the shells are the backend's user, behind Landlock{why}{signals}")
    if wanted is Isolation.NONE:
        return Fence(Isolation.NONE, "SHELL_ISOLATION=none: every shell can read the database and the secret")
    reasons = {Isolation.AUTO: f"{no_users}; {no_landlock}", Isolation.USER: no_users, Isolation.LANDLOCK: no_landlock}
    return Fence(
        None,
        f"no shell is started: {reasons[wanted]}. Give the container SETUID, SETGID and KILL, "
        "or accept shells that can read the database: SHELL_ISOLATION=none",
    )


def _missing_capabilities() -> list[str]:
    """The capabilities that an executed child lacks: children of root have those of root, others the ambient ones."""
    column = "CapEff" if os.geteuid() == 0 else "CapAmb"
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status if ":" in line)
    held = int(fields[column].strip(), 16)
    return [name for name, bit in NEEDED.items() if not held >> bit & 1]
