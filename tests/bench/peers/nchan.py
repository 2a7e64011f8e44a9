"""Nchan: nginx with its module, two of them that share Redis."""

import urllib.request
from collections.abc import Sequence

from deploy.local import Process, free_port
from tests.bench.child import Child
from tests.bench.load import Browser
from tests.bench.peers.system import NODES, System

MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"
SETTINGS = """\
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    upstream redis {{ nchan_redis_server redis://127.0.0.1:{redis}; }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = /sub {{
            nchan_subscriber websocket;
            nchan_channel_id $arg_id;
            nchan_subscriber_first_message newest;
            nchan_redis_pass redis;
        }}
        location = /pub {{
            nchan_publisher;
            nchan_channel_id $arg_id;
            nchan_message_buffer_length 100;
            nchan_message_timeout 5m;
            nchan_redis_pass redis;
        }}
    }}
}}
"""


class Nchan(System):
    """A channel for each sid; publishers talk to the first of the two."""

    name = "Nchan + Redis"
    form = "as documented"
    burst = 6_000

    def start(self) -> None:
        self._ports = [free_port() for _ in range(NODES)]
        self._nginx = []
        for port in self._ports:
            folder = self.stage.folder / f"nchan-{port}"
            folder.mkdir()
            folder.chmod(0o755)
            settings = SETTINGS.format(
                module=MODULE, folder=folder, redis=self.stage.redis.port, port=port
            )
            (folder / "nginx.conf").write_text(settings)
            argv = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
            env = {"PATH": "/usr/sbin:/usr/bin:/bin"}
            process = Process(argv, log=folder / "nginx.log", env=env, stop_s=2)
            self._nginx.append(process)
            self.stage.start(process)
            process.wait_until(
                lambda port=port: _takes(port),  # type: ignore[misc]
                timeout_s=10,
                what="the start of nginx, and its way to Redis",
            )

    @property
    def nodes(self) -> Sequence[int]:
        return [process.pid for process in self._nginx]

    @property
    def brokers(self) -> Sequence[int]:
        return [self.stage.redis.pid]

    def browser(self, number: int, sid: str) -> Browser:
        return Browser(self._ports[number % NODES], number, f"/sub?id={sid}", ready_after=0)

    def busy_publisher(self) -> Child:
        return self.many_publishers(1)

    def many_publishers(self, count: int) -> Child:
        return self.publishing("http", self._ports[0], self.stage.sids_file, count)


def _takes(port: int) -> bool:
    """Whether it takes a message: it refuses all until it has found Redis."""
    try:
        url = f"http://127.0.0.1:{port}/pub?id=begin"
        with urllib.request.urlopen(url, data=b"begin", timeout=5) as answer:
            return bool(answer.status < 300)
    except OSError:
        return False
