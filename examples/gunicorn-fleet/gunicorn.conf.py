"""Settings of gunicorn. foster passes the listening socket on, so `bind` holds only without foster."""

import os

# The folder itself, not the link `current`: all workers of a server are of one release, also those that it starts later.
chdir = os.getcwd()
bind = "127.0.0.1:8001"

cpus = int(os.environ.get("CPUS") or os.cpu_count() or 1)
workers = int(os.environ.get("WORKERS") or min(2 * cpus + 1, 4))
worker_class = "app.worker.Worker"

# A worker that blocks is killed after this time; the others serve.
timeout = int(os.environ.get("TIMEOUT") or 30)
graceful_timeout = 7
keepalive = 5
# Against leaks; the jitter keeps the workers from ending at the same time.
max_requests = int(os.environ.get("MAX_REQUESTS") or 10_000)
max_requests_jitter = max_requests // 10

accesslog = None
control_socket_disable = True

# gunicorn reports that it is ready before a worker has loaded the application. Here its workers report: app/worker.py.
if "NOTIFY_SOCKET" in os.environ:
    os.environ["WORKERS_NOTIFY_SOCKET"] = os.environ.pop("NOTIFY_SOCKET")


def post_fork(server, worker):
    if "WORKERS_NOTIFY_SOCKET" in os.environ:
        os.environ["NOTIFY_SOCKET"] = os.environ.pop("WORKERS_NOTIFY_SOCKET")
