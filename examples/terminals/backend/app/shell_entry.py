"""Runs between the backend and a shell: gives up every right, opens the terminal, becomes the shell.

A separate program, started with `python -I -S`, because an event loop with threads is no place to fork and change
users in. It needs the standard library alone. The order is that of rights: it becomes the user *before* it opens
the terminal, so that the terminal is that user's and no process needs the right to give it away. The terminal's other
end goes back through the socket that it was given. Its only argument is JSON.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import struct
import sys
import tempfile
import termios

_libc = ctypes.CDLL(None, use_errno=True)

# prctl(2), capabilities(7), landlock(7). The numbers of the Landlock calls are the same on every architecture.
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
FIRST_RIGHTS = (1 << 13) - 1  # those of version 1
SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/proc", "/sys/fs/cgroup")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


def main() -> None:
    """Becomes the shell, or reports an error to the backend."""
    told = json.loads(sys.argv[1])
    backend = socket.socket(fileno=told["socket"])
    try:
        if told["uid"] is not None:
            _become(told["uid"])
        _give_up_rights()
        home = _home(told["home"])
        ours, terminal = os.openpty()
        _resize(terminal, told["columns"], told["rows"])
        if told["landlock"]:
            _enter_landlock(home, [told["startup"], os.ttyname(terminal)])
        os.chdir(home)
    except OSError as error:
        backend.send(f"!{error}".encode()[:1000])
        sys.exit(1)
    socket.send_fds(backend, [b"+"], [ours])
    os.close(ours)
    backend.close()
    _become_shell(terminal, home, told)


def landlock_version() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    return max(0, _libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), CREATE_RULESET_VERSION))


def _become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _give_up_rights() -> None:
    """From one ordinary user to another the kernel takes no capability away: setuid(2) does so from root alone."""
    _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, bytes(24)))


def _home(wanted: str) -> str:
    """This account's folder, or a new one where another user has created a folder of that name: /tmp is shared."""
    try:
        os.mkdir(wanted, 0o700)
    except FileExistsError:
        there = os.lstat(wanted)
        if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.geteuid() or there.st_mode & 0o077:
            wanted = tempfile.mkdtemp(prefix="home-", dir=os.path.dirname(wanted))
    os.makedirs(f"{wanted}/tmp", 0o700, exist_ok=True)
    return wanted


def _resize(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _enter_landlock(home: str, files: list[str]) -> None:
    """Restricts the process: the system to read and run, the home to write, this terminal, no other process."""
    abi = landlock_version()
    rights = FIRST_RIGHTS
    rights |= REFER if abi >= 2 else 0
    rights |= TRUNCATE if abi >= 3 else 0
    rights |= IOCTL_DEV if abi >= 5 else 0
    scoped = SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0
    attributes = struct.pack("=QQQ", rights, 0, scoped)[: 24 if abi >= 6 else 8]
    rules = _checked(_libc.syscall(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    of_files = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
    wanted = [(path, EXECUTE | READ_FILE | READ_DIR) for path in SYSTEM]
    wanted += [("/dev", READ_DIR), (home, rights)]
    wanted += [(path, of_files & ~EXECUTE) for path in (*DEVICES, *files)]
    for path, allowed in wanted:
        try:
            beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        rule = struct.pack("=Qi", allowed & rights, beneath)
        _checked(_libc.syscall(LANDLOCK_ADD_RULE, rules, RULE_PATH_BENEATH, rule, 0))
        os.close(beneath)
    _checked(_libc.syscall(LANDLOCK_RESTRICT_SELF, rules, 0))
    os.close(rules)


def _become_shell(terminal: int, home: str, told: dict) -> None:
    for descriptor in (0, 1, 2):
        os.dup2(terminal, descriptor)
    os.closerange(3, 65536)
    # The backend started this process as the leader of a new session: only the terminal is missing.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    try:
        _limit(resource.RLIMIT_NPROC, told["processes"])
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_NOFILE, 1024)
        os.umask(0o077)
        shell = told["shell"]
        arguments = ["--noprofile", "--rcfile", told["startup"]] if os.path.basename(shell) == "bash" else []
        environment = {
            "HOME": home,
            "TMPDIR": f"{home}/tmp",
            "USER": told["name"],
            "LOGNAME": told["name"],
            "SHELL": shell,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "PS1": f"{told['name']}$ ",
        }
        os.execve(shell, [shell, *arguments], environment)
    except OSError as error:
        print(f"cannot start `{told['shell']}`: {error.strerror}", flush=True)
        sys.exit(126)


def _limit(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (most, most))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    main()
