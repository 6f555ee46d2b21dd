#!/usr/bin/env python3
"""load.py URL PAUSE: requests over a kept connection, one each PAUSE seconds, until SIGTERM; then
one line of JSON."""

import http.client, json, signal, sys, threading, time
from urllib.parse import urlparse

url, pause, over = urlparse(sys.argv[1]), float(sys.argv[2]), threading.Event()
signal.signal(signal.SIGTERM, lambda *_: over.set())
answered, failed, connection = 0, [], None
while not over.is_set():
    try:
        connection = connection or http.client.HTTPConnection(url.hostname, url.port, timeout=5)
        connection.request("GET", url.path or "/")
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            answered += 1
            if answered == 3:
                print("begun", flush=True)
        else:
            failed.append(str(answer.status))
        if answer.getheader("connection") == "close":
            connection.close()
            connection = None
    except (OSError, http.client.HTTPException) as error:
        failed.append(type(error).__name__)
        connection = None
    over.wait(pause)
print(json.dumps({"answered": answered, "failed": failed}), flush=True)
