#!/usr/bin/env python3
"""The least Kubernetes API that lets istiod start, and the keys that it checks tokens with.

api.py PORT JWKS. Three namespaces; every other list is empty, and watches say nothing until they
end. istiod of the pinned commit does not start without one, although its resources come from files.
"""
import json, pathlib, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

NAMESPACES = [
    {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
    }
    for name in ("shop", "istio-system", "other")
]
KINDS = {
    "namespaces": "Namespace",
    "services": "Service",
    "pods": "Pod",
    "nodes": "Node",
    "endpointslices": "EndpointSlice",
    "configmaps": "ConfigMap",
    "secrets": "Secret",
    "customresourcedefinitions": "CustomResourceDefinition",
    "serviceaccounts": "ServiceAccount",
    "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
    "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
}
NEVER = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urlparse(self.path)
        query, parts = parse_qs(url.query), url.path.strip("/").split("/")
        if url.path == "/jwks.json":
            return self.answer(json.loads(pathlib.Path(sys.argv[2]).read_text()))
        if url.path == "/version":
            return self.answer({"major": "1", "minor": "35", "gitVersion": "v1.35.0"})
        if url.path == "/api":
            return self.answer({"kind": "APIVersions", "versions": ["v1"]})
        if url.path == "/apis":
            return self.answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        group, rest = (
            (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        )
        if not rest:
            return self.answer(
                {
                    "kind": "APIResourceList",
                    "apiVersion": "v1",
                    "groupVersion": group,
                    "resources": [],
                }
            )
        rest = rest[2:] if rest[0] == "namespaces" and len(rest) >= 3 else rest
        items = NAMESPACES if rest[0] == "namespaces" else []
        if len(rest) > 1:
            found = [item for item in items if item["metadata"]["name"] == rest[1]]
            missing = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "reason": "NotFound",
                "code": 404,
            }
            return self.answer(found[0]) if found else self.answer(missing, 404)
        partial = "PartialObjectMetadata" in self.headers.get("accept", "")
        kind = (
            "PartialObjectMetadata"
            if partial
            else KINDS.get(rest[0], rest[0].rstrip("s").capitalize())
        )
        version = "meta.k8s.io/v1" if partial else group
        if query.get("watch", ["false"])[0] in ("true", "1"):
            return self.watch(kind, version, items, query)
        self.answer(
            {
                "kind": f"{kind}List",
                "apiVersion": version,
                "metadata": {"resourceVersion": "2"},
                "items": [{**item, "apiVersion": version, "kind": kind} for item in items],
            }
        )

    def watch(self, kind, version, items, query):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            if query.get("sendInitialEvents", [""])[0] == "true":
                for item in items:
                    self.event(
                        {"type": "ADDED", "object": {**item, "apiVersion": version, "kind": kind}}
                    )
                marks = {
                    "resourceVersion": "2",
                    "annotations": {"k8s.io/initial-events-end": "true"},
                }
                self.event(
                    {
                        "type": "BOOKMARK",
                        "object": {"kind": kind, "apiVersion": version, "metadata": marks},
                    }
                )
            NEVER.wait(int(query.get("timeoutSeconds", ["300"])[0]))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass

    def event(self, value):
        body = (json.dumps(value) + "\n").encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
        self.wfile.flush()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(json.loads(body) if body.startswith(b"{") else {}, 201)

    do_PUT = do_PATCH = do_POST

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
