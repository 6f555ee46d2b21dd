"""Cases: stopping. Which signal an image asks for, in which order a pod ends, and what is left to
read afterwards."""

import datetime

from cases import DEPLOY, case, pod, pod_of, server
from cluster import expect, until

# A pod with this finalizer is there, with its last status, until it is taken away.
READ = "tests.meshim.io/read"
KILLED = 137
TIME = "%Y-%m-%dT%H:%M:%SZ"
GRACE = 120  # of the pod: whoever has not ended by then is killed, and its exit code says so


def kept(made):
    """The same pod, or one of the same Deployment, whose end can be read."""
    metadata = made["metadata"] if made["kind"] == "Pod" else made["spec"]["template"]["metadata"]
    metadata["finalizers"] = [READ]
    return made


def ends(space, name):
    """How each container of a pod that is being deleted has ended; the pod is gone afterwards."""

    def look():
        status = (space.get("pod", name) or {}).get("status", {})
        lists = ("containerStatuses", "initContainerStatuses")
        parts = {each["name"]: each["state"] for kind in lists for each in status.get(kind, [])}
        return parts if all("terminated" in state for state in parts.values()) else None

    states = space.explained(name, lambda: until(f"the end of each container of {name}", look))
    space.kubectl("patch", "pod", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    space.gone(name)
    return {container: state["terminated"] for container, state in states.items()}


def ended_after(space, name, container="app"):
    """Deletes the pod; how its containers ended, and the log of this one."""
    # The last lines are lost with the container: the log is followed until it ends.
    space.kubectl("delete", "pod", name, "--wait=false")
    text = space.logs(name, container, "-f")
    return ends(space, name), text


def begun(space, name, text, container="app"):
    space.explained(
        name, lambda: until(f"{name} says {text}", lambda: text in space.logs(name, container))
    )


def seconds(early, late):
    """Between the ends of two containers; the kubelet tells whole seconds."""
    first, second = (datetime.datetime.strptime(each["finishedAt"], TIME) for each in (early, late))
    return (second - first).total_seconds()


@case(default=False, labels={})
def an_image_that_stops_by_another_signal_stops_and_drains(space):
    for tag, signal in (("usr1", "user defined signal 1"), ("winch", "window changed")):
        how = {"image": f"docker.io/local/app:{tag}", "grace": GRACE}
        name, stop = f"stays-{tag}", f"--stop-signal={tag.upper()}"
        command = ["/meshim", "--mesh=none", "--supervise", stop, "--", "/app", "stay", "0"]
        space.apply(kept(pod(name, command, **how)))
        begun(space, name, "app: up")
        ended, text = ended_after(space, name)
        by_itself = ended["app"]["exitCode"] == 0 and f"app: got {signal}" in text
        expect(by_itself, f"{tag}: it did not end by its own signal", ended, text)
        name = f"waits-{tag}"
        command = ["/meshim", "--mesh=istio", stop, "--", "/app", "stay", "0"]
        space.apply(kept(pod(name, command, **how)))
        begun(space, name, "waiting for")
        ended, text = ended_after(space, name)
        expect(ended["app"]["exitCode"] != KILLED, f"{tag}: the wait did not end", ended, text)


@case(default=False)
def beside_a_native_sidecar_the_application_ends_before_the_proxy(space):
    command = ["/meshim", "--drain", "--", "/app", "stay", "3"]
    space.apply(kept(pod("shop", command, native=True, grace=GRACE)))
    begun(space, "shop", "app: up")
    ended, text = ended_after(space, "shop")
    by_itself = ended["app"]["exitCode"] == 0 and "app: got terminated" in text
    expect(by_itself, "it was killed", ended, text)
    later = seconds(ended["app"], ended["istio-proxy"])
    not_killed = ended["istio-proxy"]["exitCode"] != KILLED
    expect(later >= 0 and not_killed, "the proxy did not end after it", ended)
    return f"the proxy {later:.0f} s later"


@case(default=False)
def beside_a_classic_sidecar_the_pod_does_not_outlive_its_application(space):
    drain = {"proxy.istio.io/config": f"terminationDrainDuration: {GRACE - 20}s"}
    command = ["/meshim", "--drain", "--quit=on-stop", "--", "/app", "serve", "0.0.0.0:8080"]
    deployment, service = server("shop", command, native=False, annotations=drain, grace=GRACE)
    space.apply(kept(deployment), service)
    space.ready("shop")
    name = pod_of(space, "shop")
    space.kubectl("scale", "deployment/shop", "--replicas=0")
    ended = ends(space, name)
    later = seconds(ended["app"], ended["istio-proxy"])
    expect(later < (GRACE - 20) / 2, "the proxy's drain was waited for", ended)
    return f"the proxy {later:.0f} s later"


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
