# SPDX-License-Identifier: Apache-2.0
"""The origin and the proxies before it, each set up for the same work: one worker, keep-alive on both sides,
the same forwarding headers, the same limits. `Site` starts and stops them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from measure import ROOT, cpus, family

sys.path.insert(0, os.path.join(ROOT, "tests"))

from harness.client import get  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.process import Process, wait_until  # noqa: E402

BODY_SIZES = (128, 16 << 10, 64 << 10, 1 << 20)
BUILD = os.environ.get("TAGWAY_BENCH_BUILD", os.path.join(ROOT, "build/bench"))
TAGWAY = os.environ.get("TAGWAY_BIN", os.path.join(BUILD, "src/app/tagway"))
RELAY = os.path.join(BUILD, "bench/relay")
PACE = os.path.join(BUILD, "bench/pace")
ECHO_MODULE = "/usr/lib/nginx/modules/ngx_http_echo_module.so"


def _write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _nginx_main(folder, modules="", has_master=False):
    return f"""
        {modules}
        daemon off; master_process {"on" if has_master else "off"}; worker_processes 1;
        worker_rlimit_nofile 20000; error_log stderr crit;
        pid {folder}/pid;
        events {{ worker_connections 8192; }}
        http {{
            access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; client_max_body_size 16m;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    """


def origin_config(folder, files, ports):
    """Serves files; under /sink it reads the whole body before it answers, so that no proxy is done earlier."""
    listens = "".join(f"listen 127.0.0.1:{port} backlog=4096;" for port in ports)
    return _nginx_main(folder, f"load_module {ECHO_MODULE};") + f"""
            sendfile on; tcp_nopush on;
            server {{
                {listens} root {files};
                open_file_cache max=10; types {{ }} default_type text/plain;
                location = /sink {{ client_body_buffer_size 1100k; echo_read_request_body; echo_exec /taken; }}
                location = /taken {{ internal; return 200 "taken"; }}
                location = /status {{ stub_status; }}
            }}
        }}"""


class Peer:
    """A proxy: what it shall do, and what runs of it."""

    def __init__(self, program, hosts=0, paths=0, targets=1, has_access_log=False, is_reloaded=False,
                 options=()):
        """hosts: so many routes by host name, 0 for one route that takes all. paths: so many further ones by
        path. is_reloaded: with the master process that nginx and haproxy need for it. options: further arguments,
        for tagway only."""
        self.program = program
        self.hosts = hosts
        self.paths = paths
        self.targets = targets
        self.has_access_log = has_access_log
        self.is_reloaded = is_reloaded
        self.options = list(options)
        self.port = free_port()
        self.admin_port = free_port()
        self.process = None
        self.folder = None  # has its configuration

    @property
    def pid(self):
        return self.process.pid

    def logged_bytes(self):
        """Of the access log: that of nginx and caddy is a file of its own, that of others is what they say."""
        path = f"{self.folder}/access.log"
        return os.path.getsize(path if os.path.exists(path) else self.process.stdout_path)


def _route_lines(peer, origins):
    """Route commands, which tagway and fabio share."""
    sources = [f"h{number}.example.com/" for number in range(peer.hosts)] or ["/"]
    sources += [f"/path{number}/" for number in range(peer.paths)]
    return "\n".join(f"route add s{number} {source} http://127.0.0.1:{port}/"
                     for number, source in enumerate(sources) for port in origins)


def _tagway_argv(peer, folder, origins):
    argv = [TAGWAY, "-insecure=true", f"-proxy.addr=127.0.0.1:{peer.port}", f"-ui.addr=127.0.0.1:{peer.admin_port}",
            "-proxy.workers=1", "-proxy.client.maxrequests=0", "-registry.backend=file",
            f"-registry.file.path={_write(f'{folder}/routes', _route_lines(peer, origins))}"]
    if peer.has_access_log:
        argv += ["-log.access.target=stdout", "-log.access.format=combined"]
    return argv + peer.options


def _fabio_argv(peer, folder, origins):
    argv = ["fabio", "-insecure=true", f"-proxy.addr=127.0.0.1:{peer.port}", f"-ui.addr=127.0.0.1:{peer.admin_port}",
            "-registry.backend=file", "-glob.matching.disabled=true",
            f"-registry.file.noroutehtmlpath={_write(f'{folder}/no-route', '')}",
            f"-registry.file.path={_write(f'{folder}/routes', _route_lines(peer, origins))}"]
    if peer.has_access_log:
        argv += ["-log.access.target=stdout", "-log.access.format=combined"]
    return argv


def _nginx_argv(peer, folder, origins):
    servers = "".join(f"server 127.0.0.1:{port};" for port in origins)
    names = "".join(f"h{number}.example.com origin;" for number in range(peer.hosts))
    by_name = f"map_hash_max_size 400000; map_hash_bucket_size 128; map $host $where {{ {names} }}" if names else ""
    log = f"access_log {folder}/access.log combined buffer=64k flush=1s;" if peer.has_access_log else ""
    return ["nginx", "-c", _write(f"{folder}/nginx.conf", _nginx_main(folder, "", peer.is_reloaded) + f"""
            upstream origin {{ {servers} keepalive 1024; keepalive_requests 1000000000; }}
            {by_name}
            server {{
                listen 127.0.0.1:{peer.port} backlog=4096; {log}
                location / {{
                    proxy_pass http://{"$where" if names else "origin"};
                    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off;
                    proxy_set_header Host $http_host;
                    proxy_set_header X-Real-Ip $remote_addr;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                    proxy_set_header X-Forwarded-Proto $scheme;
                    proxy_set_header X-Forwarded-Port $server_port;
                    proxy_set_header X-Forwarded-Host $http_host;
                    proxy_set_header Forwarded "for=$remote_addr; proto=$scheme";
                }}
            }}
        }}""")]


def _haproxy_argv(peer, folder, origins):
    servers = "\n".join(f"    server origin{number} 127.0.0.1:{port} pool-max-conn 4096"
                        for number, port in enumerate(origins))
    where = "default_backend out"
    if peer.hosts:
        names = _write(f"{folder}/hosts", "".join(f"h{number}.example.com out\n" for number in range(peer.hosts)))
        where = f"use_backend %[req.hdr(host),lower,map_str({names})]"
    log = "log stdout format raw local0\n    option httplog" if peer.has_access_log else ""
    return ["haproxy", *(["-W"] if peer.is_reloaded else []), "-db", "-f", _write(f"{folder}/haproxy.cfg", f"""
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
    timeout http-keep-alive 60s
    http-reuse always
    option splice-auto
frontend in
    bind 127.0.0.1:{peer.port} backlog 4096
    {log}
    {where}
backend out
    balance roundrobin
    option forwardfor
    http-request set-header X-Real-Ip %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header Forwarded "for=%[src]; proto=http"
{servers}
""")]


def _caddy_argv(peer, folder, origins):
    to = " ".join(f"127.0.0.1:{port}" for port in origins)
    log = f"log {{\n output file {folder}/access.log\n }}" if peer.has_access_log else ""
    return ["caddy", "run", "--config", _write(f"{folder}/Caddyfile", f"""
{{
    admin off
    auto_https off
}}
http://:{peer.port} {{
    bind 127.0.0.1
    {log}
    reverse_proxy {to} {{
        header_up X-Real-Ip {{remote_host}}
        header_up X-Forwarded-Port {peer.port}
        header_up Forwarded "for={{remote_host}}; proto={{scheme}}"
        transport http {{
            keepalive_idle_conns 8192
            keepalive_idle_conns_per_host 4096
        }}
    }}
}}
""")]


def _relay_argv(peer, _, origins):
    return [RELAY, str(peer.port), str(origins[0]), "copy" if peer.program == "relay-copy" else "splice"]


_ARGV = {"tagway": _tagway_argv, "fabio": _fabio_argv, "nginx": _nginx_argv, "haproxy": _haproxy_argv,
         "caddy": _caddy_argv, "relay": _relay_argv, "relay-copy": _relay_argv}
VERSIONS = {"tagway": [TAGWAY, "-v"], "nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"],
            "caddy": ["caddy", "version"], "fabio": ["fabio", "-v"], "wrk": ["wrk", "-v"]}


def is_here(program):
    """Whether it can be run: all but fabio are installed by ./dev."""
    path = {"tagway": TAGWAY, "relay": RELAY, "relay-copy": RELAY}.get(program, program)
    return shutil.which(path) is not None


class Site:
    """The origin, with as many ports as targets are needed, and proxies in front of it. `with` ends them all."""

    def __init__(self, targets=1, proxy_cpu=None, load_cpu=None):
        """proxy_cpu, load_cpu: as taskset takes them (1, 0-1)."""
        usual_load, usual_proxy = cpus()
        self.load_cpu = usual_load if load_cpu is None else load_cpu
        self.proxy_cpu = usual_proxy if proxy_cpu is None else proxy_cpu
        self._scratch = tempfile.TemporaryDirectory(prefix="tagway-bench-")
        self._processes = []
        self.files = os.path.join(self._scratch.name, "files")
        os.makedirs(self.files)
        for size in BODY_SIZES:
            _write(f"{self.files}/{size}", "x" * size)
        subprocess.run(["chmod", "-R", "a+rX", self._scratch.name], check=True)  # nginx leaves root
        self.origin_ports = [free_port() for _ in range(targets)]
        folder = self._folder("origin")
        config = _write(f"{folder}/nginx.conf", origin_config(folder, self.files, self.origin_ports))
        self.origin = self.run("origin", folder, self.load_cpu, ["nginx", "-c", config])
        self._wait(self.origin, self.origin_ports[0], "/128")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._processes:
            below = family(process.pid)[1:]
            process.kill()
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._scratch.cleanup()

    def _folder(self, name):
        folder = os.path.join(self._scratch.name, f"{name}.{len(self._processes)}")
        os.makedirs(folder)
        return folder

    def run(self, name, folder, cpu, argv):
        """Any further program, ended with the site."""
        process = Process(["taskset", "-c", str(cpu), *argv], folder, name,
                          env={"HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder})
        self._processes.append(process)
        return process

    def start(self, peer, cpu=None, under=()):
        """Starts a proxy and waits until it answers through the origin. under: a command to run it with."""
        folder = self._folder(peer.program)
        argv = [*under, *_ARGV[peer.program](peer, folder, self.origin_ports[:peer.targets])]
        peer.folder = folder
        peer.process = self.run(peer.program, folder, self.proxy_cpu if cpu is None else cpu, argv)
        self._wait(peer.process, peer.port, "/128", host="h0.example.com")
        return peer

    @staticmethod
    def _wait(process, port, path, host="localhost"):
        def answers():
            if not process.is_running():
                raise AssertionError(f"{process.name} exited:\n{process.stdout()[-2000:]}{process.stderr()[-2000:]}")
            try:
                return get(port, path, host).status == 200
            except OSError:
                return False

        wait_until(answers, 30, process.name)

    def requests_at_origin(self):
        """How many requests the origin has seen: what was answered elsewhere does not count as proxied."""
        return int(get(self.origin_ports[0], "/status").body.split()[9])
