"""A case: what a probe costs the node, as the kubelet makes it.

Owns the measuring: CPU of the kubelet, of containerd and of what they start, from outside.
"""

import os, pathlib, re, time

from cases import case, template
from cluster import DEADLINE, expect, until

CONTAINERS, PROBES = 8, 160  # eight probes a second
TICKS = os.sysconf("SC_CLK_TCK")
# What else runs on this node: its control plane, its own DNS, and istiod.
OTHERS = {"server", "kube-apiserver", "kube-controller", "kube-scheduler", "kube-proxy", "python3"}
OTHERS |= {"pilot-discovery"}


def url(port):
    return f"http://127.0.0.1:{port}/healthz"


KINDS = {
    "none": None,
    "httpGet": lambda port: {"httpGet": {"path": "/healthz", "port": port}},
    "exec": lambda port: {"exec": {"command": ["/meshim", "probe", url(port)]}},
}


def processes():
    """Of this machine: {process: (parent, name, ticks of CPU with those of its ended children)}."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            number, name, rest = re.fullmatch(r"(\d+) \((.*)\) (.*)\n", path.read_text()).groups()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = rest.split()
        found[int(number)] = int(fields[1]), name, sum(map(int, fields[11:15]))
    return found


def used(first):
    """The seconds of CPU that kubelet, containerd and the containers below `first` have taken."""
    found, below = processes(), {}
    for number, (parent, name, _) in found.items():
        if name not in OTHERS:
            below.setdefault(parent, []).append(number)
    wanted, total = list(below.get(first, [])), 0
    while wanted:
        number = wanted.pop()
        total += found[number][2]
        wanted += below.get(number, [])
    return total / TICKS


def made(name, probe):
    """A pod whose containers each have that probe."""
    pod = template(name, [])
    [one] = pod["spec"]["containers"]
    pod["spec"]["containers"] = []
    for port in range(8080, 8080 + CONTAINERS):
        its = {"name": f"app-{port}", "command": ["/app", "serve", f"0.0.0.0:{port}"]}
        if probe:
            its["readinessProbe"] = {**probe(port), "periodSeconds": 1, "timeoutSeconds": 30}
        pod["spec"]["containers"].append({**one, **its})
    return {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"name": name, **pod["metadata"]}}


def answered(space, name):
    """How many of its probes have succeeded, as its kubelet counts them."""
    node = space.get("pod", name)["spec"]["nodeName"]
    counted = space.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/metrics/probes").stdout
    labels = (f'pod="{name}"', f'namespace="{space.name}"', 'result="successful"')
    lines = [line for line in counted.splitlines() if line.startswith("prober_probe_total{")]
    return sum(float(line.split()[-1]) for line in lines if all(each in line for each in labels))


def others(space):
    """Pods of other cases, which are still ending."""
    elsewhere = ("--field-selector", "metadata.namespace!=istio-system")
    listed = space.cluster.kubectl("get", "pods", "-A", "-o", "name", *elsewhere)
    return listed.stdout.split()


def measured(space, name, probe):
    """Seconds of CPU per second, and probes per second, of a pod whose containers all run."""
    until("the end of other pods", lambda: not others(space))
    space.apply(made(name, probe))
    ready = ("wait", f"pod/{name}", "--for=condition=Ready", f"--timeout={DEADLINE - 10}s")
    space.explained(name, lambda: space.kubectl(*ready))
    first = int(space.cluster.first)
    before, probes, began = used(first), answered(space, name), time.monotonic()

    def done():
        # Without probes, an interval of the same length with the same questions of ours.
        count, seconds = answered(space, name) - probes, time.monotonic() - began
        return (count if probe else CONTAINERS * seconds) >= PROBES

    until(f"{PROBES} probes of {name}", done, every=2)
    after, count, seconds = used(first), answered(space, name) - probes, time.monotonic() - began
    space.kubectl("delete", "pod", name)
    return (after - before) / seconds, count / seconds


@case(default=False, labels={})
def an_exec_probe_costs_the_node_many_times_what_an_http_probe_does(space):
    expect(space.cluster.first, "the CPU of another cluster's node cannot be read from here")
    seen = {name: measured(space, name.lower(), probe) for name, probe in KINDS.items()}
    idle = seen.pop("none")[0]
    # What the other kinds cost over a pod without any.
    costs = {name: 1000 * (cpu - idle) / probes for name, (cpu, probes) in seen.items()}
    dearer = costs["exec"] > 3 * costs["httpGet"] and costs["exec"] > 1
    expect(dearer, "an exec probe is not the dearer one", costs)
    return ", ".join(f"{name} {cost:.1f} ms of CPU" for name, cost in costs.items())
