"""A server on descriptor 3 that ends after TERM as it should: it answers what it has accepted, and accepts no more. Its argument is
the time in seconds that it needs to start; 0 without one."""

import signal
import socket
import sys
import threading
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())


def serve(connection):
    with connection:
        request = b""
        while b"\r\n\r\n" not in request:
            more = connection.recv(4096)
            if not more:
                return
            request += more
        connection.sendall(ANSWER)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
listener = socket.socket(fileno=3)
listener.settimeout(0.05)
threads = []
print("ready", flush=True)
while not stopping.is_set():
    try:
        connection, _ = listener.accept()
    except (TimeoutError, BlockingIOError):
        continue
    connection.settimeout(10)
    thread = threading.Thread(target=serve, args=(connection,))
    thread.start()
    threads = [*(one for one in threads if one.is_alive()), thread]
for thread in threads:
    thread.join()
