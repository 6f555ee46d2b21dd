#!/usr/bin/env python3
"""server.py ADDRESS:PORT: an application that ends at SIGTERM at once, without finishing anything. /slow?SECONDS answers later."""
import http.server, os, signal, socket, socketserver, sys, time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/slow?"):
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
host, port = sys.argv[1].rsplit(":", 1)
Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
server = Server((host.strip("[]"), int(port)), Handler)
print("app: listening", flush=True)
server.serve_forever()
