"""Waiting for a proxy that comes late, never, or with a configuration that it rejects."""
import re, time

from process import DEADLINE, Process, expect, until

from .case import REJECTED, case

# The application's own first look. It is an order, not a time: whoever starts too soon is told no.
FIRST_LOOK = """import http.client, time
at = time.time()
agent = http.client.HTTPConnection('127.0.0.1', 15021)
agent.request('GET', '/healthz/ready')
print('at', at, 'agent says', agent.getresponse().status, flush=True)
"""


def asks_when_it_starts(pod, *options):
    return pod.application(pod.mesh.meshim, *options, "--", "/usr/bin/python3", "-c", FIRST_LOOK)


def blamed(pod):
    return [line for line in pod.agent.text().splitlines() if "NOT ready" in line]


def waits_for(pod, before_start):
    application = asks_when_it_starts(pod)
    until("meshim waits", 20, lambda: "waiting for" in application.text())
    before_start()
    expect(application.wait() == 0, "the application did not start", application.text())
    expect(
        "agent says 200" in application.text(),
        "the application started before the proxy was ready",
        application.text(),
    )
    expect(not blamed(pod), "the agent's log has lines because of us", *blamed(pod)[:3])


@case
def an_agent_that_comes_late_is_waited_for(mesh):
    pod = mesh.pod("app")
    waits_for(pod, lambda: pod.start(wait=False))


@case
def an_istiod_that_comes_late_is_waited_for(mesh):
    pod = mesh.pod("app")
    mesh.istiod.kill()
    pod.start(wait=False)
    until("the agent", 20, lambda: mesh.listens("app", 15020))
    waits_for(pod, mesh.start_istiod)


@case
def beside_a_ready_proxy_the_application_starts_before_istios_own_wait_has_looked(mesh):
    pod = mesh.pod("app").start()
    application = asks_when_it_starts(pod)
    # It sleeps for a period before it looks first. Ten times its usual half second, so that a busy
    # machine cannot turn the order.
    peer = Process(
        mesh, "peer", mesh.inside("app", mesh.work / "pilot-agent", "wait", "--periodMillis=5000")
    )
    expect(
        application.wait() == 0 and not peer.has_ended(), "pilot-agent wait was faster",
        application.text(), peer.text(),
    )
    expect(peer.wait() == 0, "pilot-agent wait", peer.text())


@case
def an_absent_istiod_is_named_and_the_agents_log_stays_clean(mesh):
    pod = mesh.pod("app")
    mesh.istiod.kill()
    pod.start(wait=False)
    application = asks_when_it_starts(pod, "--timeout=12s")
    expect(application.wait() == 124, "not 124", application.text())
    expect(
        "is istiod reachable from this pod?" in application.text(),
        "the cause is not named",
        application.text(),
    )
    blamed = [line for line in pod.agent.text().splitlines() if "NOT ready" in line]
    expect(not blamed, "the agent logs our looks", *blamed[:3])


@case
def an_envoy_that_keeps_ending_is_told_from_a_missing_sidecar(mesh):
    crashing = mesh.work / "crash"
    crashing.write_text("#!/bin/sh\nsleep 0.3\nexit 1\n")
    crashing.chmod(0o755)
    pod = mesh.pod("app", envoy=crashing)
    application = asks_when_it_starts(pod, "--timeout=10s", "--mesh=istio", "--log=debug")
    # meshim lists sockets once a second, and an agent listens for less than that.
    while "pilot-agent runs" not in application.text():
        expect(not application.has_ended(), "the agent was never seen", application.text())
        pod.start(wait=False)
        until("the agent", 20, lambda: mesh.listens("app", 15020) or pod.agent.has_ended())
        pod.agent.wait(20)
    expect(application.wait() == 124, "not 124", application.text())
    said = application.text().splitlines()[-1]
    expect("injected" not in said and "Envoy" in said, "the remedy is wrong", said)


@case
def a_rejected_configuration_is_named_and_the_agent_is_left_in_peace(mesh):
    pod = mesh.pod("app").start()
    mesh.apply("broken", REJECTED)
    # A proxy that runs already shows when istiod has read the file; one that starts then never gets
    # ready.
    until(
        "istiod pushes it",
        40,
        lambda: re.search(
            r"lds\.update_rejected: [1-9]", pod.admin("/stats?filter=lds.update_rejected")[1]
        ),
    )
    pod.stop_proxy()
    pod.start(wait=False)
    until("Envoy is LIVE", DEADLINE, lambda: "LIVE" in pod.admin("/ready")[1])
    before = pod.agent.text().count("NOT ready")
    began = time.monotonic()
    application = asks_when_it_starts(pod, "--timeout=10s")
    expect(application.wait() == 124, "not 124", application.text())
    expect("rejected" in application.text(), "the cause is not named", application.text())
    lines = pod.agent.text().count("NOT ready") - before
    took = time.monotonic() - began
    # Full pace for the first second, then at most twice a second; and what an error makes of it is
    # a line each.
    expect(lines <= 75 + 2 * took, f"{lines} lines in the agent's log in {took:.0f} s")
    return f"{lines} lines in {took:.0f} s"
