#!/usr/bin/env python3
"""Does one run still cost what it did? benches/cost/guard.py BINARY

Counts only what does not depend on the machine's mood: instructions, system calls, threads, requests, connections, wake-ups.
Needs strace and valgrind (Debian packages), and no other meshim in the way: the proxy is a stand-in on a free port.
"""

import os
import re
import socket
import subprocess
import sys
import threading
import time

# What one run may cost: measured on x86_64, and a margin for other kernels and compilers, in percent.
# A bound that is broken says by how much: find out why before moving it.
MEASURED = {
    "instructions of a run, proxy ready": (971_000, 10),
    "system calls of a run, proxy ready": (51, 10),
    "instructions of one more look": (8_600, 15),
    "system calls of one more look": (4, 25),
    "instructions of one more look, nobody there": (2_620, 15),
    # Two of them every half a second only, for a connection.
    "system calls of one more look, nobody there": (3, 34),
    # What the pauses of 4 and 20 ms allow; fewer on a busy machine.
    "requests in a wait of 1 s, not LIVE": (250, 1),
    "requests in a wait of 1 s, PRE_INITIALIZING": (50, 4),
    "requests in a wait of 1 s, authority's port closed": (12, 9),
    "looks in a wait of 1 s, nobody there": (50, 4),
    "threads while waiting": (1, 0),
    "threads while supervising": (1, 0),
    "wake-ups in 10 s while supervising": (0, 0),
    # In steps of 64: what the kernel maps of the file at once.
    "KiB resident while supervising": (900, 8),
}


class Proxy:
    """Answers every request on a connection as Envoy's admin API does, and counts."""

    def __init__(self, status, word):
        body = word.encode() + b"\n"
        head = f"HTTP/1.1 {status} Stand-In\r\nserver: envoy\r\ntransfer-encoding: chunked\r\n\r\n{len(body):x}\r\n"
        self.answer = head.encode() + body + b"\r\n0\r\n\r\n"
        self.requests = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            stream, _ = self.listener.accept()
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(stream,), daemon=True).start()

    def serve(self, stream):
        with stream:
            while stream.recv(4096):
                self.requests += 1
                stream.sendall(self.answer)


def run(*command, code=0):
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, timeout=120)
    if done.returncode != code:
        fail(f"{' '.join(command)} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
    return done.stderr


def fail(sentence):
    sys.exit(f"benches/cost/guard.py: {sentence}")


def instructions(*command, code=0):
    said = run("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command, code=code)
    return int(re.search(r"Collected : (\d+)", said).group(1)), looks(said)


def system_calls(*command, code=0):
    """Of meshim alone: what it becomes begins with the second execve."""
    said = run("strace", "-f", "-e", "signal=none", *command, code=code)
    lines = [line for line in said.splitlines() if re.match(r"(\[pid +\d+\] )?\w+\(", line)]
    starts = [at for at, line in enumerate(lines) if "execve(" in line] + [len(lines)]
    return starts[1], looks(said)


def looks(said):
    found = re.findall(r"\((\d+) looks\)", said) or re.findall(r"looks=(\d+)", said) or ["0"]
    return int(found[-1])


def nobody():
    """A URL on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def one_more_look(count, meshim, url):
    """The difference between a long and a short wait, over the difference in looks."""
    wait = lambda limit: count(meshim, "wait", "--admin-url", url, "--timeout", limit, code=1)
    (short, few), (long, many) = wait("700ms"), wait("3s")
    return (long - short) // (many - few)


def status(pid, name):
    with open(f"/proc/{pid}/status") as lines:
        return int(next(line.split()[1] for line in lines if line.startswith(name)))


def waiting(meshim):
    proxy = Proxy(503, "INITIALIZING")
    child = subprocess.Popen([meshim, "wait", "--admin-url", proxy.url], stderr=subprocess.DEVNULL)
    while proxy.requests < 3:
        time.sleep(0.01)
    threads = status(child.pid, "Threads:")
    child.terminate()
    child.wait()
    return threads


def supervising(meshim):
    command = [meshim, "--mesh=none", "--supervise", "--", "sh", "-c", "echo started; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        child.stdout.readline()
        time.sleep(0.5)
        before = status(child.pid, "voluntary_ctxt_switches:")
        time.sleep(10)
        switches = status(child.pid, "voluntary_ctxt_switches:") - before
        found = status(child.pid, "Threads:"), switches, status(child.pid, "VmRSS:")
        child.terminate()
    return found


def measure(meshim):
    ready = Proxy(200, "LIVE")
    seen = {}
    seen["instructions of a run, proxy ready"] = instructions(meshim, "wait", "--admin-url", ready.url)[0]
    seen["system calls of a run, proxy ready"] = system_calls(meshim, "--admin-url", ready.url, "--", "/bin/true")[0]
    for url, name in (Proxy(503, "INITIALIZING").url, ""), (nobody(), ", nobody there"):
        seen[f"instructions of one more look{name}"] = one_more_look(instructions, meshim, url)
        seen[f"system calls of one more look{name}"] = one_more_look(system_calls, meshim, url)
    for word, name in ("INITIALIZING", "not LIVE"), ("PRE_INITIALIZING", "PRE_INITIALIZING"):
        proxy = Proxy(503, word)
        run(meshim, "wait", "--admin-url", proxy.url, "--timeout", "1s", code=1)
        seen[f"requests in a wait of 1 s, {name}"] = proxy.requests
    proxy = Proxy(503, "PRE_INITIALIZING")
    run(meshim, "wait", "--mesh=istio", "--admin-url", proxy.url, "--ready-url", nobody(), "--timeout", "1s", code=1)
    seen["requests in a wait of 1 s, authority's port closed"] = proxy.requests
    said = run(meshim, "wait", "--admin-url", nobody(), "--timeout", "1s", code=1)
    seen["looks in a wait of 1 s, nobody there"] = looks(said)
    seen["threads while waiting"] = waiting(meshim)
    names = ["threads while supervising", "wake-ups in 10 s while supervising", "KiB resident while supervising"]
    seen.update(zip(names, supervising(meshim)))
    return seen


def main():
    if len(sys.argv) != 2:
        fail("name the binary: benches/cost/guard.py target/x86_64-unknown-linux-musl/release/meshim")
    broken = False
    for name, found in measure(os.path.abspath(sys.argv[1])).items():
        usual, margin = MEASURED[name]
        bound = usual + usual * margin // 100
        broken |= found > bound
        print(f"{name:45} {found:9,}  at most {bound:9,} ({usual:,} measured, {margin}% margin){' BROKEN' if found > bound else ''}")
    if broken:
        fail("a run costs more than it did; where that is meant, measure it anew and say why in the commit")


main()
