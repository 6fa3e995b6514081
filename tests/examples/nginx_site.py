"""An example with nginx in front, as its image has it in /app, in a folder and on ports of the test. Next: `harness.py`."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import ssl
import tempfile
from pathlib import Path

from engine import ROOT, free_port, run
from harness import Foster

CERTIFICATE = ROOT / "deploy" / "nginx" / "self-signed-certificate"


def version() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"nginx/([\d.]+)", run("nginx", "-v").stdout)[0].split("."))


class NginxSite:
    """`root` has the example's `nginx.conf`, `foster.toml` and certificate, `run` what may be lost; the application is to come."""

    def __init__(self, example: Path, port: int):
        self.folder = Path(tempfile.mkdtemp(prefix=f"foster-{example.name}-"))
        self.root, self.run = self.folder / "app", self.folder / "run"
        for folder in self.root, self.run:
            folder.mkdir()
        shutil.copy(CERTIFICATE, self.root / "certificate")
        self.port, self.http, self.https = free_port(), free_port(), free_port()
        # The image's files, with the folders and ports of the test, and without a change of user.
        nginx = (example / "nginx.conf").read_text()
        for text, here in (
            ("/tmp/", f"{self.run}/"),
            ("/app/", f"{self.root}/"),
            (f"127.0.0.1:{port}", f"127.0.0.1:{self.port}"),
            ("listen 80 ", f"listen 127.0.0.1:{self.http} "),
            ("listen 443 ", f"listen 127.0.0.1:{self.https} "),
        ):
            assert text in nginx
            nginx = nginx.replace(text, here)
        # Debian 12 has nginx 1.22.
        if "http2 on;" in nginx and version() < (1, 25, 1):
            nginx = nginx.replace("http2 on;", "").replace(" ssl default_server;", " ssl http2 default_server;")
        (self.root / "nginx.conf").write_text(nginx)
        config = (example / "foster.toml").read_text()
        # Started by root, nginx would change to a user that may not write here.
        config = config.replace("daemon off;", "daemon off; user root;" if os.geteuid() == 0 else "daemon off;")
        self.config = self.root / "foster.toml"
        self.config.write_text(re.sub(r"^user = .*\n", "", config, flags=re.MULTILINE))
        self.environment = {"ROOT": self.root, "RUN": self.run, "PORT": self.port, "HTTP_PORT": self.http}
        self.url = f"https://127.0.0.1:{self.https}"

    def start(self) -> Foster:
        return Foster(self.config, self.run, self.environment, self.run / "foster.sock")

    def ask(
        self, path: str, method: str = "GET", body: object = None, source: str = "127.0.0.1", **headers: str
    ) -> http.client.HTTPResponse:
        """Asks nginx over TLS; the answer's `text` is its body. A body is sent as JSON."""
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", self.https, timeout=15, context=context, source_address=(source, 0))
        return self._answer(connection, path, method, body, headers)

    def ask_without_tls(self, path: str, **headers: str) -> http.client.HTTPResponse:
        return self._answer(http.client.HTTPConnection("127.0.0.1", self.http, timeout=15), path, "GET", None, headers)

    def _answer(self, connection, path: str, method: str, body: object, headers: dict) -> http.client.HTTPResponse:
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, ({} if data is None else {"Content-Type": "application/json"}) | headers)
            answer = connection.getresponse()
            answer.text = answer.read()
        finally:
            connection.close()
        return answer
