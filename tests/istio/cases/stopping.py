"""Stopping a pod under load: what a mesh client and a plain one lose, how long the proxy lives."""

import signal, threading, time

from mesh import ECHO
from pod import HERE
from process import expect, until

from .case import case

SERVER = ("/usr/bin/python3", HERE / "server.py", "0.0.0.0:8080")
# Clients that the endpoint's removal has not reached yet. Shorter than the shortest drain by a
# second and a half.
LOAD = 2
DRAIN = ("--drain", "--drain-min=3500ms")


class Stop:
    """TERM to agent and application as the kubelet sends it, under load, with a slow request of
    either client in flight."""

    def __init__(self, mesh, options, native=False, proxy_config=None, environment=None, slow=0):
        self.pod = mesh.pod(
            "app", native=native, proxy_config=proxy_config, environment=environment
        ).start()
        mesh.pod("cli").start()
        self.application = self.pod.application(mesh.meshim, *options, "--", *SERVER)
        until("the application", 20, lambda: "app: listening" in self.application.text())
        ways = [("cli", ECHO), ("srv", f"http://{self.pod.address}:8080/")]
        loads = [mesh.load(*way) for way in ways]
        for load in loads:
            until("the load", 30, load.has_begun)
        self.slow = {}
        threads = [
            threading.Thread(target=self.request, args=(mesh, *way, slow)) for way in ways if slow
        ]
        for thread in threads:
            thread.start()
        until(
            "the slow requests",
            30,
            lambda: self.application.text().count("app: slow") == len(threads),
        )
        self.stop(mesh, native)
        for load in loads:
            load.stop()
        self.lost = [load.result() for load in loads]
        self.application.wait()
        self.ended = time.monotonic()
        for thread in threads:
            thread.join()

    def request(self, mesh, name, url, seconds):
        self.slow[name] = mesh.fetch(name, f"{url}slow?{seconds}", seconds + 20)[0]

    def stop(self, mesh, native):
        began = time.monotonic()
        if native:
            # The sidecar's own preStop hook, which the kubelet runs at once; its TERM comes after
            # the application.
            mesh.fetch("app", "http://127.0.0.1:15020/drain", 5, "POST")
        else:
            self.pod.agent.send(signal.SIGTERM)
        self.application.send(signal.SIGTERM)
        until("the load is over", 10, lambda: time.monotonic() - began > LOAD)

    def failed(self):
        return sum(len(load["failed"]) for load in self.lost)

    def lost_nothing(self):
        expect(
            not self.failed() and all(load["answered"] > 10 for load in self.lost),
            "requests were lost", self.lost, self.application.text(),
        )
        return self


def without_and_with_drain(mesh, native):
    without = Stop(mesh, [], native).failed()
    expect(without > 0, "an abrupt application lost nothing: the case shows nothing")
    mesh.clear()
    Stop(mesh, DRAIN, native).lost_nothing()
    return f"{without} lost without, 0 with"


@case
def a_classic_sidecars_rollout_loses_requests_without_drain_and_none_with_it(mesh):
    return without_and_with_drain(mesh, native=False)


@case
def a_native_sidecars_rollout_loses_requests_without_drain_and_none_with_it(mesh):
    return without_and_with_drain(mesh, native=True)


@case
def a_native_sidecar_carries_requests_of_eight_seconds_to_their_end(mesh):
    stop = Stop(mesh, DRAIN, native=True, slow=8).lost_nothing()
    expect(
        stop.slow == {"cli": 200, "srv": 200}, "slow requests were cut", stop.slow,
        stop.application.text(),
    )
    expect(not stop.pod.agent.has_ended(), "a native sidecar has ended by itself")


@case
def slow_requests_live_as_long_as_a_classic_proxy_does(mesh):
    # Istio gives a proxy 5 s.
    stop = Stop(mesh, DRAIN, slow=12).lost_nothing()
    expect(200 not in stop.slow.values(), "the proxy lived longer than it says", stop.slow)
    expect(
        "terminationDrainDuration" in stop.application.text(),
        "the remedy is not named at the start",
        stop.application.text(),
    )
    expect(stop.pod.agent.wait(20) == 0, "the agent")


@case
def a_classic_sidecar_of_25_s_carries_slow_requests_and_is_let_go_when_nothing_is_in_flight(mesh):
    stop = Stop(
        mesh, [*DRAIN, "--quit=on-stop"], proxy_config={"terminationDrainDuration": "25s"}, slow=8
    ).lost_nothing()
    expect(
        stop.slow == {"cli": 200, "srv": 200}, "slow requests were cut", stop.slow,
        stop.application.text(),
    )
    # Left alone it stays for 25 s, of which some nine are over.
    stop.pod.agent.wait(10)
    return f"the agent ended {time.monotonic() - stop.ended:.1f} s after the application, of 25 s"


@case
def a_classic_sidecar_that_exits_on_zero_connections_carries_slow_requests(mesh):
    leave = {"EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true"}
    stop = Stop(
        mesh, DRAIN, proxy_config={"proxyMetadata": leave}, environment=leave, slow=8
    ).lost_nothing()
    expect(
        stop.slow == {"cli": 200, "srv": 200}, "slow requests were cut", stop.slow,
        stop.application.text(),
    )
    expect(
        stop.pod.agent.wait(20) == 0,
        "the agent did not end by itself",
        stop.pod.agent.text()[-500:],
    )
    return f"the agent ended {time.monotonic() - stop.ended:.1f} s after the application"
