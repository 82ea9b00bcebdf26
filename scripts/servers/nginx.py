"""
nginx, in front of several processes that are one service, without stickiness: requests go to each in turn.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from servers.ports import LOOPBACK, free_port, listens
from servers.process import Process
from servers.server import Server

SECONDS = 1.0

CONFIGURATION = """\
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/log warn;

events {{
    worker_connections 4096;
}}

http {{
    log_format offsets '$msec $request_time $request_method $uri $status '
        '$http_upload_offset $sent_http_upload_offset $upstream_addr';
    access_log {folder}/requests offsets;
    client_body_temp_path {folder}/content;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;

    upstream holdfast {{
        # No server is left out after a failure: one that takes no connection costs a moment, and another gets the request.
{upstreams}
    }}

    server {{
        listen {host}:{port};
{site}
{locations}
    }}
}}
"""

# What is passed on, and how; the server says where to.
SITE = """\
        client_max_body_size 0;

        location / {{
            proxy_pass http://holdfast;
            proxy_http_version 1.1;
            # Content goes on as it comes: what came before a connection broke has arrived, and the next request finds it.
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_connect_timeout 1s;
            proxy_read_timeout {patience}ms;
            proxy_send_timeout {patience}ms;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
"""


class Nginx(Server):
    """
    One nginx that passes what comes to *port* on to each of the *upstreams* (ports of this machine) in turn.

    If one of them takes no connection, the next one gets its request.  One that does nothing for *patience* seconds is given up:
    its client gets a 504.
    """

    def __init__(
        self,
        folder: Path,
        upstreams: Sequence[int],
        port: int = 0,
        *,
        patience: float = 60 * SECONDS,
        site: str = "",
        locations: str = "",
    ) -> None:
        """*locations* are added to the one that is passed on; *site* stands instead of it, and passes on to
        ``http://holdfast``."""
        self.port = port or free_port()
        self.requests = folder / "requests"
        """
        A line for each request when it has ended: that time, the seconds that it took, method, path and status, the offset that
        the client sent and the one that it got (``-`` for none), and the server that answered.
        """
        self._locations = locations
        self._site = site or SITE.format(patience=int(patience * 1000))
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._write(upstreams)
        command = [program(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "log")]
        super().__init__(Process("nginx", command, ready=lambda: listens(self.port), log=folder / "log"))

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def reload(self, upstreams: Sequence[int]) -> None:
        """Have new requests go to other *upstreams*; those that run are not disturbed."""
        self._write(upstreams)
        self.processes["nginx"].process.send_signal(signal.SIGHUP)

    def _write(self, upstreams: Sequence[int]) -> None:
        lines = [f"        server {LOOPBACK}:{port} max_fails=0;" for port in upstreams]
        text = CONFIGURATION.format(
            folder=self._folder,
            # By default an nginx that root starts gives its workers another user, who may not enter a folder of root.
            user="user root;" if os.geteuid() == 0 else "",
            host=LOOPBACK,
            port=self.port,
            site=self._site,
            locations=self._locations,
            upstreams="\n".join(lines),
        )
        (self._folder / "nginx.conf").write_text(text)


def program() -> str:
    """Return where nginx is: in a folder that only root's PATH has."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or "nginx"
