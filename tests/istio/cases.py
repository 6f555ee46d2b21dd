"""What is asserted beside a real Istio, a function a case. Must clean up nothing: mesh.clear() does, after each."""
import json, re, signal, subprocess, threading, time

from mesh import DEADLINE, HERE, Process, Failed, expect, until

TERM = signal.SIGTERM
SERVER = ("/usr/bin/python3", HERE / "server.py", "0.0.0.0:8080")


def case(function):
    function.is_case = True
    return function


def first_ready(pod, found):
    """Looks each 2 ms, from outside the application's own processes, for the first 200 of the agent's readiness."""
    def look():
        script = ("import socket,time\n"
                  "while True:\n"
                  "  try:\n"
                  "    s=socket.create_connection(('127.0.0.1',15021),1); s.sendall(b'GET /healthz/ready HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n')\n"
                  "    if s.recv(64).startswith(b'HTTP/1.1 200'): print(time.time()); break\n"
                  "  except OSError: pass\n"
                  "  time.sleep(.002)\n")
        done = subprocess.run(pod.mesh.inside(pod.name, "/usr/bin/python3", "-c", script, mounts=False), capture_output=True, text=True, timeout=DEADLINE)
        found.append(float(done.stdout))
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    return thread


def stamped(pod, *options):
    """Waits, then says when it became the application."""
    return pod.application(pod.mesh.meshim, *options, "--", "/usr/bin/python3", "-c", "import time; print('at', time.time(), flush=True)")


def waits_for(pod, before_start):
    found = []
    watcher = first_ready(pod, found)
    application = stamped(pod)
    peer = Process(pod.mesh, f"peer-{pod.name}", pod.mesh.inside(pod.name, "sh", "-c", f"'{pod.mesh.work}/pilot-agent' wait --timeoutSeconds 60; date +%s.%N"))
    until("meshim waits", 10, lambda: "waiting for" in application.text())
    before_start()
    expect(application.wait() == 0, "the application did not start", application.text())
    watcher.join(DEADLINE)
    peer.wait()
    ours = float(re.search(r"at ([0-9.]+)", application.text())[1]) - found[0]
    theirs = float(peer.text().split()[-1]) - found[0]
    # python3 itself takes some 20 ms to its first line, and the machine is shared: this holds the order, benchmarks the milliseconds.
    expect(-0.05 < ours < 0.5, f"the application started {ours:.3f} s after the proxy was ready", application.text())
    return f"{ours * 1000:.0f} ms after ready; pilot-agent wait {theirs * 1000:.0f} ms"


@case
def an_agent_that_comes_late_is_waited_for(mesh):
    pod = mesh.pod("app")
    return waits_for(pod, lambda: pod.start(wait=False))


@case
def an_istiod_that_comes_late_is_waited_for(mesh):
    pod = mesh.pod("app")
    mesh.istiod.kill()
    pod.start(wait=False)
    until("the agent", 20, lambda: mesh.listens("app", 15020))
    return waits_for(pod, mesh.start_istiod)


@case
def an_absent_istiod_is_named_and_the_agents_log_stays_clean(mesh):
    pod = mesh.pod("app")
    mesh.istiod.kill()
    pod.start(wait=False)
    application = stamped(pod, "--timeout=12s")
    expect(application.wait() == 124, "not 124", application.text())
    expect("is istiod reachable from this pod?" in application.text(), "the cause is not named", application.text())
    blamed = [line for line in pod.agent.text().splitlines() if "NOT ready" in line]
    expect(not blamed, "the agent logs our looks", *blamed[:3])
    mesh.start_istiod()


@case
def an_envoy_that_keeps_ending_is_told_from_a_missing_sidecar(mesh):
    crashing = mesh.work / "crash"
    crashing.write_text("#!/bin/sh\nsleep 0.3\nexit 1\n")
    crashing.chmod(0o755)
    pod = mesh.pod("app", envoy=crashing)
    application = stamped(pod, "--timeout=10s", "--mesh=istio")
    for _ in range(3):
        pod.start(wait=False)
        until("the agent", 20, lambda: mesh.listens("app", 15020) or pod.agent.has_ended())
        pod.agent.wait(20)
    expect(application.wait() == 124, "not 124", application.text())
    said = application.text().splitlines()[-1]
    expect("injected" not in said and "Envoy" in said, "the remedy is wrong", said)


REJECTED = """apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: broken, namespace: shop }
spec:
  workloadSelector: { labels: { app: shop } }
  configPatches:
  - applyTo: HTTP_FILTER
    match: { listener: { filterChain: { filter: { name: envoy.filters.network.http_connection_manager } } } }
    patch:
      operation: INSERT_BEFORE
      value:
        name: broken
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          default_source_code: { inline_string: "this is no Lua" }
"""


@case
def a_rejected_configuration_is_named_and_the_agent_is_left_in_peace(mesh):
    pod = mesh.pod("app").start()
    mesh.apply("broken", REJECTED)
    # A proxy that runs already shows when istiod has read the file; one that starts then never gets ready.
    until("istiod pushes it", 40, lambda: re.search(r"lds\.update_rejected: [1-9]", pod.admin("/stats?filter=lds.update_rejected")[1]))
    pod.stop_proxy()
    pod.start(wait=False)
    until("Envoy is LIVE", DEADLINE, lambda: "LIVE" in pod.admin("/ready")[1])
    before = pod.agent.text().count("NOT ready")
    began = time.monotonic()
    application = stamped(pod, "--timeout=10s")
    expect(application.wait() == 124, "not 124", application.text())
    expect("rejected" in application.text(), "the cause is not named", application.text())
    lines = pod.agent.text().count("NOT ready") - before
    took = time.monotonic() - began
    # Full pace for the first second, then at most twice a second; and what an error makes of it is a line each.
    expect(lines <= 75 + 2 * took, f"{lines} lines in the agent's log in {took:.0f} s")
    return f"{lines} lines in {took:.0f} s"


@case
def quit_ends_a_classic_sidecar_and_leaves_a_native_one_alone(mesh):
    pod = mesh.pod("app").start()
    application = pod.application(mesh.meshim, "--quit=always", "--", "sh", "-c", "exit 3")
    expect(application.wait() == 3, "the code is not the application's", application.text())
    expect(pod.agent.wait(20) == 0, "the agent", pod.agent.text()[-500:])
    native = mesh.pod("cli", native=True).start()
    application = native.application(mesh.meshim, "--quit=always", "--", "sh", "-c", "exit 4")
    expect(application.wait() == 4, "the code is not the application's", application.text())
    expect("native" in application.text() and not native.agent.has_ended() and native.is_ready(), "a native sidecar was asked", application.text())


@case
def quit_knows_an_agent_that_is_ending_already(mesh):
    pod = mesh.pod("app", proxy_config={"terminationDrainDuration": "20s"}).start()
    pod.agent.send(TERM)
    until("15020 is closed", 10, lambda: not mesh.listens("app", 15020))
    began = time.monotonic()
    done = pod.application(mesh.meshim, "quit", name="quit")
    expect(done.wait() == 0, "not 0", done.text())
    expect(time.monotonic() - began < 5, "it took its time", done.text())


@case
def a_missing_command_does_not_keep_the_sidecar(mesh):
    pod = mesh.pod("app").start()
    application = pod.application(mesh.meshim, "--quit=always", "--", "/no/such/command")
    expect(application.wait() == 127, "not 127", application.text())
    expect(pod.agent.wait(20) == 0, "the sidecar lives on", application.text())


SINK = """import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
s.bind(('0.0.0.0', 9090)); s.listen(); print('ready', flush=True)
c, _ = s.accept(); total = 0
while True:
    data = c.recv(65536)
    if not data: break
    total += len(data)
    time.sleep(.02)
print('total', total, flush=True)
"""
SOURCE = "import socket; s=socket.create_connection(('reviews.shop.svc.cluster.local',9090)); s.sendall(b'x'*12000000); s.close()"


@case
def a_jobs_last_twelve_megabytes_reach_a_slow_receiver(mesh):
    pod = mesh.pod("app").start()
    sink = Process(mesh, "sink", mesh.inside("srv", "/usr/bin/python3", "-c", SINK))
    until("the receiver", 10, lambda: "ready" in sink.text())
    application = pod.application(mesh.meshim, "--quit=always", "--", "/usr/bin/python3", "-c", SOURCE)
    expect(application.wait() == 0, "the job", application.text())
    sink.wait()
    received = int(sink.text().split()[-1])
    expect(received == 12_000_000, f"{received:,} of 12,000,000 bytes arrived", application.text())
    expect(pod.agent.wait(20) == 0, "the sidecar lives on", application.text())


def stopped_under_load(mesh, native, options, proxy_config=None):
    """TERM to agent and application as the kubelet sends it; what a mesh client and a plain one lost."""
    pod = mesh.pod("app", native=native, proxy_config=proxy_config).start()
    mesh.pod("cli").start()
    application = pod.application(mesh.meshim, *options, "--", *SERVER)
    until("the application", 20, lambda: "app: listening" in application.text())
    loads = [mesh.load("cli", "http://echo.shop.svc.cluster.local:8080/"), mesh.load("srv", f"http://{pod.address}:8080/")]
    for load in loads:
        until("the load", 20, load.has_begun)
    time_of_stop = time.monotonic()
    if native:
        # The sidecar's own preStop hook, which the kubelet runs at once; its TERM comes after the application.
        mesh.fetch("app", "http://127.0.0.1:15020/drain", 5, "POST")
    else:
        pod.agent.send(TERM)
    application.send(TERM)
    # Clients that the endpoint's removal has not reached yet: three seconds of it, as measured on a real cluster.
    until("three seconds of load", 10, lambda: time.monotonic() - time_of_stop > 3)
    lost = [load.stop() for load in loads]
    application.wait()
    ended = time.monotonic()
    return lost, pod, application, ended


@case
def a_classic_sidecars_rollout_loses_requests_without_drain_and_none_with_it(mesh):
    lost, *_ = stopped_under_load(mesh, False, [])
    without = sum(len(load["failed"]) for load in lost)
    expect(without > 0, "an abrupt application lost nothing: the case shows nothing", lost)
    mesh.clear()
    lost, _, application, _ = stopped_under_load(mesh, False, ["--drain", "--drain-min=3500ms"])
    expect(all(not load["failed"] and load["answered"] > 20 for load in lost), "requests were lost", lost, application.text())
    return f"{without} lost without, 0 with"


@case
def a_native_sidecars_rollout_loses_requests_without_drain_and_none_with_it(mesh):
    lost, *_ = stopped_under_load(mesh, True, [])
    without = sum(len(load["failed"]) for load in lost)
    expect(without > 0, "an abrupt application lost nothing: the case shows nothing", lost)
    mesh.clear()
    lost, _, application, _ = stopped_under_load(mesh, True, ["--drain", "--drain-min=3500ms"])
    expect(all(not load["failed"] and load["answered"] > 20 for load in lost), "requests were lost", lost, application.text())
    return f"{without} lost without, 0 with"


@case
def a_classic_sidecar_is_let_go_once_nothing_is_in_flight(mesh):
    lost, pod, application, ended = stopped_under_load(mesh, False, ["--drain", "--drain-min=3500ms", "--quit=on-stop"], {"terminationDrainDuration": "25s"})
    expect(all(not load["failed"] for load in lost), "requests were lost", lost, application.text())
    pod.agent.wait(12)
    return f"the agent ended {time.monotonic() - ended:.1f} s after the application, of 25 s"


@case
def listen_addresses_are_judged_as_traffic_finds_them(mesh):
    pod = mesh.pod("app").start()
    mesh.pod("cli").start()
    said = []
    for address, reached in (("0.0.0.0", True), ("127.0.0.1", False), ("10.66.0.10", True), ("[::]", True)):
        server = pod.application("/usr/bin/python3", HERE / "server.py", f"{address}:8080", name=f"server{len(said)}")
        until("the server", 20, lambda: "app: listening" in server.text())
        got = mesh.fetch("cli", "http://echo.shop.svc.cluster.local:8080/", 10)[0] == 200
        listener = server.first()
        # In the server's own PID namespace, as the application's container sees it.
        check = mesh.inside("app", "nsenter", "-t", listener, "-p", "-m", "setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups", mesh.meshim, "check")
        done = subprocess.run(check, capture_output=True, text=True, timeout=30)
        expect(got == reached, f"{address}: traffic {'arrives' if got else 'does not arrive'}")
        expect((done.returncode == 0) == reached, f"{address}: check ends with {done.returncode}", done.stdout, done.stderr)
        server.kill()
        said.append(address)
    return f"{len(said)} addresses"


HTTP_ROUTE = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: reviews, namespace: shop }}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  http:
  - {0}
"""
# A pitfall: the code that doctor must find, the resources that make it, what its text must name.
PITFALLS = {
    "route-to-missing-cluster": (HTTP_ROUTE.format("route: [{ destination: { host: reviews.shop.svc.cluster.local, subset: v2-canary } }]"), "reviews"),
    "fault-injected": (HTTP_ROUTE.format("{ fault: { abort: { percentage: { value: 50 }, httpStatus: 503 } }, route: [{ destination: { host: reviews.shop.svc.cluster.local } }] }"), "reviews"),
    "authorization-denies-all": ("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: nothing, namespace: shop }\nspec: {}\n", ""),
    "config-rejected": (REJECTED, ""),
}


def doctor(pod):
    done = subprocess.run(pod.mesh.inside(pod.name, "setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups", pod.mesh.meshim, "doctor", "--output=json"),
                          capture_output=True, text=True, timeout=60)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise Failed(f"doctor said no JSON: {done.stdout}{done.stderr}") from None


@case
def doctor_finds_nothing_in_a_healthy_mesh(mesh):
    pod = mesh.pod("app").start()
    found = [finding for finding in doctor(pod)["findings"] if finding["severity"] not in ("info", "warning") or finding["code"] in PITFALLS]
    expect(not found, "a healthy mesh has findings", json.dumps(found, indent=1))


@case
def doctor_finds_each_pitfall_as_a_real_resource(mesh):
    pod = mesh.pod("app").start()
    for code, (resource, named) in PITFALLS.items():
        mesh.apply("pitfall", resource)
        def look():
            return [finding for finding in doctor(pod)["findings"] if finding["code"] == code and named in json.dumps(finding)]
        until(f"doctor finds {code}", 40, look)
        mesh.withdraw("pitfall")
        if code != "config-rejected":
            until(f"{code} is gone again", 40, lambda: not look())
    return ", ".join(PITFALLS)
