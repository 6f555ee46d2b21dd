#!/usr/bin/env python3
"""server.py ADDRESS:PORT...: an application that ends at SIGTERM at once, without finishing
anything. /slow?SECONDS answers later."""

import http.server, os, signal, socket, socketserver, sys, threading, time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/slow?"):
            print("app: slow", flush=True)
            time.sleep(float(self.path.split("?")[1]))
        self.send_response(200)
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, request_queue_size = True, 128

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "app", self.server_address[1]


signal.signal(signal.SIGTERM, lambda *_: (print("app: got SIGTERM", flush=True), os._exit(0)))
for given in sys.argv[1:]:
    host, port = given.rsplit(":", 1)
    Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
    threading.Thread(
        target=Server((host.strip("[]"), int(port)), Handler).serve_forever, daemon=True
    ).start()
print("app: listening", flush=True)
signal.pause()
