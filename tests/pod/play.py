#!/usr/bin/env python3
"""Pods for real: tests/pod/play.py

podman (runc) plays the manifests of deploy/ and examples/ with a real Envoy as the sidecar: meshim
comes from a volume, by an init container or as an image volume shows it; the application comes from
scratch, with a read-only root, no capabilities and user ids that nobody knows. Then TERM, a finding
of `check` by exec, refusals, and a Job that ends.
"""

import json, subprocess, sys, urllib.request

sys.dont_write_bytecode = True
import pods
from pods import ROOT, Pod, expect, podman


def a_scratch_image_gets_meshim(manifest, user):
    def change(spec, app):
        spec["securityContext"].update(runAsUser=user, runAsGroup=user)

    with Pod(f"{manifest}-{user}", f"deploy/{manifest}.yaml", change) as pod:
        pod.wait_for("listening on 0.0.0.0:8080")
        log = pod.logs()
        expect("the proxy is ready mesh=istio" in log, "meshim did not wait:", log)
        inspected = json.loads(podman("inspect", pod.app).stdout)[0]
        expect(
            inspected["HostConfig"]["ReadonlyRootfs"] and not inspected["EffectiveCaps"],
            "not as restricted as it says",
            inspected,
        )
        status = subprocess.run(
            ["cat", f"/proc/{inspected['State']['Pid']}/status"], capture_output=True, text=True
        ).stdout
        expect(
            f"Uid:\t{user}\t{user}" in status
            and "CapEff:\t0000000000000000" in status
            and "NoNewPrivs:\t1" in status,
            "not the user, or with privileges",
            status,
        )
        address = pod.address()
        body = urllib.request.urlopen(f"http://{address}:8080/", timeout=10).read()
        expect(body == b"hello from the application\n", "the pod does not answer", body)
        checked = pod.exec("/meshim-bin/meshim", "check")
        expect(
            checked.returncode == 0
            and "ok: 0 errors" in checked.stdout
            and address in checked.stdout,
            "check",
            checked,
        )
        expect(
            "8080 -> pod address" in checked.stdout, "the inbound clusters were not read", checked
        )
        expect(
            pod.exec("/meshim-bin/meshim", "probe", "http://127.0.0.1:8080/healthz").returncode
            == 0,
            "probe says no",
        )
        refused = pod.exec("/meshim-bin/meshim", "probe", "tcp://127.0.0.1:9")
        expect(
            refused.returncode == 1 and "nobody listens there" in refused.stderr,
            "probe says yes",
            refused,
        )
        podman("kill", "--signal", "TERM", pod.app)
        expect(
            pod.exit_code() == 0 and "got SIGTERM" in pod.logs(),
            "TERM did not reach the application",
            pod.logs(),
        )


def check_by_exec_prints_a_finding_that_a_newcomer_can_act_on():
    def change(spec, app):
        app["args"] = ["127.0.0.1:8080"]
        app["env"] = []

    with Pod("loopback", "deploy/server.yaml", change) as pod:
        pod.wait_for("listening on 127.0.0.1:8080")
        checked = pod.exec("/meshim-bin/meshim", "check")
        print("\n".join("    " + line for line in checked.stdout.splitlines()))
        wanted = [
            "error: the application (hello-server, process ",
            "listens on 127.0.0.1 only, port 8080",
            "fix: let the application",
        ]
        expect(
            checked.returncode == 1 and all(part in checked.stdout for part in wanted),
            "check found something else",
            checked,
        )


def a_listen_address_that_cannot_be_reached_is_refused_before_start():
    def change(spec, app):
        app["env"] = [{"name": "MESHIM_LISTEN", "value": "127.0.0.1:8080"}]

    with Pod("announced", "deploy/server.yaml", change) as pod:
        code = pod.exit_code()
        expect(
            code == 125 and "listens on 127.0.0.1 only" in pod.logs(),
            f"ended with {code}",
            pod.logs(),
        )
        expect("listening on" not in pod.logs(), "the application was started", pod.logs())


def the_proxys_own_user_is_refused():
    with Pod(
        "reserved",
        "deploy/server.yaml",
        lambda spec, app: spec["securityContext"].update(runAsUser=1337),
    ) as pod:
        code = pod.exit_code()
        expect(code == 125 and "uid-is-the-proxys" in pod.logs(), f"ended with {code}", pod.logs())


def the_example_with_meshim_in_its_image_runs():
    with Pod("after", "examples/shell-loop/after.yaml") as pod:
        pod.wait_for("listening on 0.0.0.0:8080 as process 1")
        expect(pod.exec("/meshim", "check").returncode == 0, "check says no")
        podman("kill", "--signal", "TERM", pod.app)
        expect(pod.exit_code() == 0, "TERM", pod.logs())


def a_server_under_a_classic_sidecar_is_stopped_in_order():
    with Pod("classic", "deploy/server-classic.yaml") as pod:
        pod.wait_for("listening on 0.0.0.0:8080")
        podman("kill", "--signal", "TERM", pod.app)
        expect(
            pod.exit_code() == 0 and "got SIGTERM" in pod.logs(),
            "TERM did not reach the application",
            pod.logs(),
        )


def a_job_ends_and_takes_its_sidecar_with_it():
    def change(spec, app):
        app["args"] = ["--fetch", "127.0.0.1:15021"]

    with Pod("job", "deploy/job-classic.yaml", change) as pod:
        code = pod.exit_code()
        expect(
            code == 0 and "hello-server: got HTTP/1.1" in pod.logs(),
            f"the job ended with {code}",
            pod.logs(),
        )
        expect(pod.exit_code("job-istio-proxy") == 0, "the proxy still runs", pod.logs())


def the_base_image_is_an_entrypoint():
    image = f"registry.example/meshim-base:{pods.VERSION}"
    done = podman(
        "run",
        "--rm",
        "--network",
        "none",
        "--read-only",
        "--cap-drop",
        "all",
        "-e",
        "MESHIM_MESH=none",
        image,
        "/meshim",
        "-V",
    )
    expect(done.stdout.startswith("meshim "), "the entrypoint does not start its command", done)


pods.set_up()
TESTS = [
    (a_scratch_image_gets_meshim, "server", 10001),
    (a_scratch_image_gets_meshim, "server", 65534),
    (a_scratch_image_gets_meshim, "server-init-container", 10001),
    (a_scratch_image_gets_meshim, "server-native", 10001),
    (check_by_exec_prints_a_finding_that_a_newcomer_can_act_on,),
    (a_listen_address_that_cannot_be_reached_is_refused_before_start,),
    (the_proxys_own_user_is_refused,),
    (the_example_with_meshim_in_its_image_runs,),
    (a_server_under_a_classic_sidecar_is_stopped_in_order,),
    (a_job_ends_and_takes_its_sidecar_with_it,),
    (the_base_image_is_an_entrypoint,),
]
for test, *args in TESTS:
    print(f"  {test.__name__.replace('_', ' ')} {' '.join(map(str, args))}".rstrip(), flush=True)
    test(*args)
print(f"tests/pod/play.py: {len(TESTS)} passed")
