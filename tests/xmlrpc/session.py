"""Calls every method of supervisord's XML-RPC with its own client, and prints what comes back: types, values, faults.

What differs from run to run (process IDs, times, texts of errors) is replaced by its kind. The test compares the lines of
supervisord with those of foster.
"""
import re
import socket
import sys
import threading
import time
import xmlrpc.client

from supervisor.xmlrpc import SupervisorTransport

URL = sys.argv[1]
PATIENCE = 60
socket.setdefaulttimeout(PATIENCE)


def proxy():
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=SupervisorTransport("user", "123", URL))


def plain(name, value):
    if name in ("pid", "start", "stop", "now") and isinstance(value, int):
        return value > 0
    if name.endswith("logfile") or name in ("spawnerr", "supervisor_version", "uid", "serverurl", "directory"):
        return type(value).__name__
    if name == "description" and isinstance(value, str):
        value = re.sub(r"pid \d+, uptime \d:\d\d:\d\d", "pid N, uptime T", value)
        value = re.sub(r"^[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M$", "a date", value)
    if isinstance(value, dict):
        state = value.get("statename")
        pairs = {key: plain(key, value[key]) for key in sorted(value)}
        if state in ("FATAL", "BACKOFF"):
            pairs["description"] = "a reason"
        return pairs
    if isinstance(value, list):
        return [plain("", one) for one in value]
    return value


def statuses(value):
    """The members of a group come in the order of their ends there, and of their names here."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and "status" in one for one in value):
        return sorted(value, key=lambda one: (one["group"], one["name"]))
    return value


def called(server, method, *params):
    try:
        value = plain("", statuses(getattr(server, method)(*params)))
        if "AllProcesses" in method:
            # Without `wait` foster does not know yet that it cannot be started.
            value = [one for one in value if one["name"] != "gone"]
    except xmlrpc.client.Fault as fault:
        text = fault.faultString
        # The reason of a failed start is in each supervisor's own words.
        if fault.faultCode in (20, 21):
            text = text.split(":")[0]
        value = f"fault {fault.faultCode} {text}"
    except xmlrpc.client.ProtocolError as error:
        value = f"HTTP {error.errcode}"
    return value


def call(server, method, *params):
    value = called(server, method, *params)
    print(f"{method}{params!r} -> {value!r}", flush=True)
    return value


def until(server, name, state):
    deadline = time.monotonic() + PATIENCE
    while True:
        found = getattr(server, "supervisor.getProcessInfo")(name)["statename"]
        if found == state:
            return
        assert time.monotonic() < deadline, f"{name} is {found}, and not {state}"


def settled(server, method, *params):
    """The value once the output has arrived."""
    deadline = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < deadline, f"{method}{params!r} has nothing"
        value = getattr(server, method)(*params)
        if value and value != ["", 0, False]:
            return value


server = proxy()
for name in ("web", "worker:worker_00", "worker:worker_01"):
    until(server, name, "RUNNING")

for method in ("getAPIVersion", "getVersion", "getIdentification", "getState"):
    call(server, f"supervisor.{method}")
print(type(called(server, "supervisor.getSupervisorVersion")).__name__, called(server, "supervisor.getPID") > 0)
call(server, "supervisor.getAllProcessInfo")
for name in ("web", "worker:worker_01", "worker:*", "worker", "absent", "off", ""):
    call(server, "supervisor.getProcessInfo", name)

# Parameters and names that are none.
call(server, "supervisor.getProcessInfo")
call(server, "supervisor.getProcessInfo", "web", "web")
call(server, "supervisor.getState", 1)
for method in ("supervisor.nothing", "supervisor._update", "nothing", "system.nothing", "a.b.c", "supervisor.getState.__class__"):
    call(server, method)

# Output.
settled(server, "supervisor.readProcessStdoutLog", "web", 0, 0)
settled(server, "supervisor.readProcessStderrLog", "web", 0, 0)
for stream in ("Stdout", "Stderr"):
    for offset, length in ((0, 0), (0, 3), (5, 2), (-4, 0), (-400, 0), (-1, 1), (0, -1), (100, 10)):
        call(server, f"supervisor.readProcess{stream}Log", "web", offset, length)
    for offset, length in ((0, 100), (0, 4), (3, 8), (11, 5), (0, 0)):
        call(server, f"supervisor.tailProcess{stream}Log", "web", offset, length)
    call(server, f"supervisor.readProcess{stream}Log", "absent", 0, 0)
    call(server, f"supervisor.tailProcess{stream}Log", "worker:*", 0, 0)
call(server, "supervisor.readProcessLog", "web", 0, 4)
call(server, "supervisor.tailProcessLog", "web", 0, 4)
print("main log", type(called(server, "supervisor.readLog", -10, 0)).__name__)
print("main log", type(called(server, "supervisor.readMainLog", 0, 10)).__name__)
call(server, "supervisor.readLog", -1, 1)

# Orders.
call(server, "supervisor.startProcess", "web")
call(server, "supervisor.startProcess", "off")
call(server, "supervisor.startProcess", "off", False)
call(server, "supervisor.stopProcess", "off")
call(server, "supervisor.stopProcess", "off")
call(server, "supervisor.startProcess", "off", False)
until(server, "off", "RUNNING")
call(server, "supervisor.stopProcess", "off", False)
until(server, "off", "STOPPED")
call(server, "supervisor.getProcessInfo", "off")
call(server, "supervisor.startProcess", "gone")
call(server, "supervisor.startProcess", "early")
until(server, "early", "FATAL")
call(server, "supervisor.getProcessInfo", "early")
call(server, "supervisor.startProcess", "once")
until(server, "once", "EXITED")
call(server, "supervisor.getProcessInfo", "once")
call(server, "supervisor.stopProcess", "once")
for method in ("startProcess", "stopProcess", "startProcessGroup", "stopProcessGroup"):
    call(server, f"supervisor.{method}", "absent")
    call(server, f"supervisor.{method}", "absent:*")
call(server, "supervisor.stopProcess", "worker:*")
call(server, "supervisor.stopProcessGroup", "worker")
call(server, "supervisor.startProcessGroup", "worker")
call(server, "supervisor.startProcess", "worker:*")
call(server, "supervisor.stopProcess", "worker:worker_00")
call(server, "supervisor.startProcess", "worker:worker_00", True)

# Signals.
for name, signal in (("web", "CONT"), ("web", "SIGCONT"), ("web", "18"), ("web", "nothing"), ("off", "CONT"), ("absent", "CONT")):
    call(server, "supervisor.signalProcess", name, signal)
call(server, "supervisor.signalProcess", "worker:*", "CONT")
call(server, "supervisor.signalProcessGroup", "worker", "CONT")
call(server, "supervisor.signalProcessGroup", "worker", "nothing")
call(server, "supervisor.signalProcessGroup", "absent", "CONT")
call(server, "supervisor.signalAllProcesses", "CONT")

call(server, "supervisor.sendRemoteCommEvent", "type", "data")

# Standard input, and logs that are cleared.
call(server, "supervisor.sendProcessStdin", "web", "w\u00f6rd\n")
while "got" not in called(server, "supervisor.readProcessStdoutLog", "web", 0, 0):
    pass
call(server, "supervisor.readProcessStdoutLog", "web", 0, 0)
for name in ("off", "absent", "worker:*"):
    call(server, "supervisor.sendProcessStdin", name, "x")
call(server, "supervisor.sendProcessStdin", "web", 1)
call(server, "supervisor.clearProcessLogs", "web")
call(server, "supervisor.readProcessStdoutLog", "web", 0, 0)
call(server, "supervisor.clearProcessLog", "absent")
call(server, "supervisor.clearAllProcessLogs")

# Groups.
call(server, "supervisor.reloadConfig")
call(server, "supervisor.addProcessGroup", "web")
call(server, "supervisor.addProcessGroup", "absent")
call(server, "supervisor.removeProcessGroup", "web")
call(server, "supervisor.removeProcessGroup", "absent")
call(server, "supervisor.removeProcessGroup", "off")
call(server, "supervisor.getProcessInfo", "off")
call(server, "supervisor.reloadConfig")
call(server, "supervisor.addProcessGroup", "off")
call(server, "supervisor.getProcessInfo", "off")
config = called(server, "supervisor.getAllConfigInfo")
for row in config:
    print({key: type(value).__name__ if key in ("redirect_stderr", "serverurl", "command", "uid") else value for key, value in row.items()})

# The protocol itself.
methods = called(server, "system.listMethods")
print("methods", sorted(methods))
for method in methods:
    call(server, "system.methodSignature", method)
    print(type(called(server, "system.methodHelp", method)).__name__)
call(server, "system.methodSignature", "nothing")
call(server, "system.methodHelp", "nothing")
call(server, "system.multicall", [
    {"methodName": "supervisor.getAPIVersion", "params": []},
    {"methodName": "supervisor.getProcessInfo", "params": ["absent"]},
    {"methodName": "supervisor.stopProcess", "params": ["worker:worker_01"]},
    {"methodName": "supervisor.startProcess", "params": ["worker:worker_01"]},
    {"methodName": "system.multicall", "params": [[]]},
    {"methodName": "nothing"},
    {"params": []},
    {"methodName": "supervisor.getState"},
])
call(server, "system.multicall", [])

# Many at once: each sees the same, and some order while others look.
results = []


def one(number):
    own = proxy()
    found = [called(own, "supervisor.getAllProcessInfo")[-1]["name"], called(own, "supervisor.getAPIVersion")]
    if number % 10 == 0:
        found.append(called(own, "supervisor.signalProcess", "web", "CONT"))
    found.append(called(own, "supervisor.startProcess", "web"))
    results.append(found)


threads = [threading.Thread(target=one, args=(number,)) for number in range(50)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("at once", sorted(map(repr, results)))

call(server, "supervisor.stopAllProcesses")
# supervisord may see the end of `early` within the call, or after it.
started = called(server, "supervisor.startAllProcesses", False)
print("started", [row for row in started if row["name"] != "early"])
for name in ("web", "worker:worker_00", "worker:worker_01"):
    until(server, name, "RUNNING")
call(server, "supervisor.stopAllProcesses", True)

# Bodies that are no calls.
for body in (b"<a/>", b"<methodCall></methodCall>", b"<methodCall><methodName/></methodCall>"):
    try:
        server("transport").request("127.0.0.1", "/RPC2", body)
        print(body, "answered")
    except xmlrpc.client.ProtocolError as error:
        print(body, error.errcode)
wrong = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=SupervisorTransport("user", "wrong", URL))
call(wrong, "supervisor.getState")

call(server, "supervisor.shutdown")
