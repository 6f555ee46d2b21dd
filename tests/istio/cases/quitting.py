"""Asking the agent to end: a Job's classic sidecar, a native one, one that is ending already."""

import signal, time

from process import Process, expect, until

from .case import case


@case
def quit_ends_a_classic_sidecar_and_leaves_a_native_one_alone(mesh):
    pod = mesh.pod("app").start()
    application = pod.application(mesh.meshim, "--quit=always", "--", "sh", "-c", "exit 3")
    expect(application.wait() == 3, "the code is not the application's", application.text())
    expect(pod.agent.wait(20) == 0, "the agent", pod.agent.text()[-500:])
    native = mesh.pod("cli", native=True).start()
    application = native.application(mesh.meshim, "--quit=always", "--", "sh", "-c", "exit 4")
    expect(application.wait() == 4, "the code is not the application's", application.text())
    expect(
        "native" in application.text() and not native.agent.has_ended() and native.is_ready(),
        "a native sidecar was asked",
        application.text(),
    )


@case
def quit_knows_an_agent_that_is_ending_already(mesh):
    pod = mesh.pod("app", proxy_config={"terminationDrainDuration": "20s"}).start()
    pod.agent.send(signal.SIGTERM)
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
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
s.bind(('0.0.0.0', 9090)); s.listen(); print('ready', flush=True)
c, _ = s.accept(); total = 0
while True:
    data = c.recv(65536)
    if not data: break
    total += len(data)
    time.sleep(.02)
print('total', total, flush=True)
"""
SOURCE = (
    "import socket; s=socket.create_connection(('reviews.shop.svc.cluster.local',9090)); "
    "s.sendall(b'x'*12000000); s.close()"
)


@case
def a_jobs_last_twelve_megabytes_reach_a_slow_receiver(mesh):
    pod = mesh.pod("app").start()
    sink = Process(mesh, "sink", mesh.inside("srv", "/usr/bin/python3", "-c", SINK))
    until("the receiver", 10, lambda: "ready" in sink.text())
    application = pod.application(
        mesh.meshim, "--quit=always", "--", "/usr/bin/python3", "-c", SOURCE
    )
    expect(application.wait() == 0, "the job", application.text())
    sink.wait()
    received = int(sink.text().split()[-1])
    expect(received == 12_000_000, f"{received:,} of 12,000,000 bytes arrived", application.text())
    expect(pod.agent.wait(20) == 0, "the sidecar lives on", application.text())
