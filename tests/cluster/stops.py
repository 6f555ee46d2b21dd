"""Cases: stopping. Which signal an image asks for, in which order a pod ends, and what is left to
read afterwards."""
import time

from cases import DEPLOY, case, pod, pod_of, server
from cluster import expect, until


def ended_after(space, name, container="app"):
    """Deletes the pod; how it ended, its log, and how many seconds it took to be gone."""
    # The last lines are lost with the pod: the log is followed until it ends.
    began = time.monotonic()
    space.kubectl("delete", "pod", name, "--wait=false")
    text = space.logs(name, container, "-f")
    space.gone(name)
    return text, time.monotonic() - began


def begun(space, name, text, container="app"):
    space.explained(
        name, lambda: until(f"{name} says {text}", lambda: text in space.logs(name, container))
    )


@case(default=False, labels={})
def an_image_that_stops_by_another_signal_stops_and_drains(space):
    for tag, signal in (("usr1", "user defined signal 1"), ("winch", "window changed")):
        name = f"stays-{tag}"
        space.apply(
            pod(
                name,
                [
                    "/meshim", "--mesh=none", "--supervise", f"--stop-signal={tag.upper()}", "--",
                    "/app", "stay", "0",
                ],
                image=f"docker.io/local/app:{tag}",
            )
        )
        begun(space, name, "app: up")
        text, seconds = ended_after(space, name)
        expect(
            f"app: got {signal}" in text and seconds < 25,
            f"{tag}: it did not end by its own signal, in {seconds:.0f} s",
            text,
        )
        name = f"waits-{tag}"
        space.apply(
            pod(
                name,
                [
                    "/meshim", "--mesh=istio", f"--stop-signal={tag.upper()}", "--", "/app", "stay",
                    "0",
                ],
                image=f"docker.io/local/app:{tag}",
            )
        )
        begun(space, name, "waiting for")
        text, seconds = ended_after(space, name)
        expect(seconds < 25, f"{tag}: a wait took {seconds:.0f} s to end", text)


@case(default=False)
def beside_a_native_sidecar_the_application_ends_before_the_proxy(space):
    space.apply(pod("shop", ["/meshim", "--drain", "--", "/app", "stay", "3"], native=True))
    begun(space, "shop", "app: up")
    text, seconds = ended_after(space, "shop")
    expect("app: got terminated" in text and seconds < 28, f"the pod took {seconds:.0f} s", text)
    return f"gone after {seconds:.0f} s"


@case(default=False)
def beside_a_classic_sidecar_the_pod_does_not_outlive_its_application(space):
    drain = {"proxy.istio.io/config": "terminationDrainDuration: 25s"}
    space.apply(
        *server(
            "shop", ["/meshim", "--drain", "--quit=on-stop", "--", "/app", "serve", "0.0.0.0:8080"],
            native=False, annotations=drain,
        )
    )
    space.ready("shop")
    name = pod_of(space, "shop")
    space.kubectl("scale", "deployment/shop", "--replicas=0")
    began = time.monotonic()
    space.gone(name)
    seconds = time.monotonic() - began
    expect(seconds < 20, f"the pod was gone only after {seconds:.0f} s")
    return f"gone after {seconds:.0f} s"


@case(default=False, labels={})
def pods_of_deploy_keep_to_a_resource_quota(space):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {
            "hard": {
                "requests.cpu": "1",
                "limits.cpu": "8",
                "requests.memory": "1Gi",
                "limits.memory": "1Gi",
            }
        },
    }
    space.apply(quota)
    for name in ("server", "server-init-container", "job-classic"):
        space.kubectl("apply", "-f", DEPLOY / f"{name}.yaml")
    for name in ("hello", "hello-init-container", "hello-job-classic"):
        until(f"a pod of {name} is let in", lambda: space.get("pod", app=name))


@case(default=False)
def a_user_of_a_range_and_group_0_as_openshift_gives_it_runs(space):
    user = {
        "runAsUser": 1000660000,
        "runAsGroup": 0,
        "fsGroup": 1000660000,
        "supplementalGroups": [1000660000],
    }
    space.apply(
        pod("shop", ["/meshim", "--", "/app", "end", "0"], native=True, securityContext=user)
    )
    ended = space.ended("shop", "app")
    expect(ended["exitCode"] == 0, "it did not run", ended, space.logs("shop", "app"))
