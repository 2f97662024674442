#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small service to route to: answers every path with its name, /health with OK. With --consul it
registers itself with urlprefix- tags and an HTTP check. When it is stopped it deregisters, answers what
still comes for --grace seconds, and ends."""

import argparse
import json
import signal
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one segment

    def do_GET(self):
        text = "OK\n" if self.path == "/health" else f"{self.server.name} serves {self.path}\n"
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def consul_put(address, path, body=None):
    request = urllib.request.Request(f"http://{address}/v1/agent/service/{path}", method="PUT",
                                     data=json.dumps(body).encode() if body else b"")
    urllib.request.urlopen(request, timeout=5).close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--consul", metavar="HOST:PORT")
    parser.add_argument("--tag", action="append", default=[], help="a tag, such as urlprefix-/web")
    parser.add_argument("--grace", type=float, default=0)
    args = parser.parse_args()

    server = Server(("127.0.0.1", args.port), Handler)
    server.name = args.name
    service_id = f"{args.name}-{args.port}"

    def stop():
        try:
            if args.consul:
                consul_put(args.consul, f"deregister/{service_id}")
            time.sleep(args.grace)
        finally:
            server.shutdown()

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop).start())
    try:
        if args.consul:
            consul_put(args.consul, "register", {
                "ID": service_id, "Name": args.name, "Address": "127.0.0.1", "Port": args.port,
                "Tags": args.tag,
                "Check": {"HTTP": f"http://127.0.0.1:{args.port}/health", "Interval": "1s"}})
        server.serve_forever()
    except KeyboardInterrupt:
        stop()


if __name__ == "__main__":
    main()
