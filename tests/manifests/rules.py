#!/usr/bin/env python3
"""Do the manifests keep what deploy/README.md promises? tests/manifests/rules.py

One rule a function, over every workload of deploy/: what a cluster has shown to go wrong without
it.
"""

import os, pathlib, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / "target" / "manifests-1" / "bin" / "python"

if pathlib.Path(sys.prefix) != PYTHON.parent.parent:
    # Its virtual environment has the YAML that this one needs, too.
    subprocess.run(
        [ROOT / "tests" / "manifests" / "schemas.py"], check=True, stdout=subprocess.DEVNULL
    )
    os.execv(PYTHON, [PYTHON, *sys.argv])

import yaml

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


class Workload:
    def __init__(self, path, document):
        self.name, self.kind, self.spec = (
            f"{path.name}: {document['kind']} {document['metadata']['name']}",
            document["kind"],
            document["spec"],
        )
        template = self.spec["template"]
        self.labels, self.pod = template["metadata"].get("labels", {}), template["spec"]
        self.containers = self.pod["containers"] + self.pod.get("initContainers", [])
        self.command = self.pod["containers"][0].get("command", [])
        self.variables = {
            one["name"]: one.get("value") for one in self.pod["containers"][0].get("env", [])
        }


def user_and_group_are_written_out(one):
    """A kubelet takes a numeric USER of an image without its group, and runs with group 0."""
    context = one.pod.get("securityContext", {})
    return all(
        (container.get("securityContext", {}) | context).get(key)
        for container in one.containers
        for key in ("runAsUser", "runAsGroup")
    )


def containers_have_requests_and_limits(one):
    """A ResourceQuota refuses the pod otherwise."""
    return all(
        container.get("resources", {}).get(part)
        for container in one.containers
        for part in ("requests", "limits")
    )


def init_containers_leave_a_guaranteed_pod_guaranteed(one):
    return all(
        container["resources"]["requests"] == container["resources"]["limits"]
        for container in one.pod.get("initContainers", [])
    )


def probes_are_http_get(one):
    """An exec probe costs the node many times as much."""
    return all(
        "httpGet" in container[probe]
        for container in one.containers
        for probe in PROBES
        if probe in container
    )


def a_startup_probe_stands_before_a_liveness_probe(one):
    """A liveness probe alone ends a container that still waits for its proxy."""
    return all(
        "startupProbe" in container for container in one.containers if "livenessProbe" in container
    )


def a_server_drains(one):
    """A rollout loses requests otherwise."""
    return (
        one.kind != "Deployment"
        or "--drain" in one.command
        or one.variables.get("MESHIM_DRAIN") == "true"
    )


def a_classic_sidecar_does_not_outlive_its_application(one):
    said = next(
        (word.removeprefix("--quit=") for word in one.command if word.startswith("--quit=")),
        one.variables.get("MESHIM_QUIT"),
    )
    native = "native" in one.name
    return native or said == ("always" if one.kind == "Job" else "on-stop")


def a_job_tells_settings_errors_from_late_proxies(one):
    rules = {
        rule["action"]: rule["onExitCodes"]["values"]
        for rule in one.spec.get("podFailurePolicy", {}).get("rules", [])
    }
    return one.kind != "Job" or (
        rules == {"FailJob": [125, 126, 127], "Ignore": [124]}
        and one.pod["restartPolicy"] == "Never"
    )


def the_volume_is_where_no_image_has_anything(one):
    return all(
        mount["mountPath"] != "/meshim"
        for container in one.containers
        for mount in container.get("volumeMounts", [])
    )


RULES = [
    user_and_group_are_written_out,
    containers_have_requests_and_limits,
    init_containers_leave_a_guaranteed_pod_guaranteed,
    probes_are_http_get,
    a_startup_probe_stands_before_a_liveness_probe,
    a_server_drains,
    a_classic_sidecar_does_not_outlive_its_application,
    a_job_tells_settings_errors_from_late_proxies,
    the_volume_is_where_no_image_has_anything,
]


def main():
    workloads = []
    for path in [
        *sorted((ROOT / "deploy").glob("*.yaml")),
        ROOT / "deploy/overlay/deployment.yaml",
    ]:
        documents = filter(None, yaml.safe_load_all(path.read_text()))
        workloads += [
            Workload(path, document)
            for document in documents
            if "template" in document.get("spec", {})
        ]
    wrong = [
        f"{one.name}: not true: {rule.__name__.replace('_', ' ')}"
        for one in workloads
        for rule in RULES
        if not rule(one)
    ]
    # Pods of two manifests would answer to each other's Service otherwise.
    labels = [tuple(sorted(one.labels.items())) for one in workloads]
    wrong += [
        f"{one.name}: another manifest has the labels {one.labels}, too"
        for one, label in zip(workloads, labels)
        if labels.count(label) > 1
    ]
    if len(workloads) < 7:
        wrong.append(f"only {len(workloads)} workloads were found")
    if wrong:
        sys.exit("tests/manifests/rules.py: " + "\ntests/manifests/rules.py: ".join(wrong))
    print(f"tests/manifests/rules.py: {len(workloads)} workloads keep {len(RULES) + 1} rules")


main()
