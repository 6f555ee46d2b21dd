"""Which cases there are, and what they share. A case leaves its namespace, and nothing else has to
be cleaned up after it."""
import pathlib

from cluster import DEADLINE, expect, until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
KNOWN, DEFAULT = {}, []
INJECTED = {"istio-injection": "enabled"}
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SECURITY = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
# A control plane that refuses connections.
UNREACHABLE = {"proxy.istio.io/config": "discoveryAddress: 10.77.0.1:9"}


def case(default=True, labels=INJECTED):
    """A case in a namespace with these labels; by default CI runs it."""
    def register(function):
        def played(cluster):
            space = cluster.space(function.__name__, **labels)
            try:
                return function(space)
            finally:
                space.leave()
        KNOWN[function.__name__] = played
        if default:
            DEFAULT.append(function.__name__)
        return function
    return register


def annotated(native=None, **more):
    """A pod's annotations: which kind of sidecar, or Istio's own choice."""
    return {
        **({} if native is None else {"sidecar.istio.io/nativeSidecar": str(native).lower()}),
        **more,
    }


def template(
    name, command, native=None, image="docker.io/local/app:1", annotations=None, labels=None,
    grace=30, container=None, **spec,
):
    """A pod's template with one container, `app`."""
    app = {
        "name": "app",
        "image": image,
        "command": list(command),
        "securityContext": SECURITY,
        **(container or {}),
    }
    return {
        "metadata": {
            "labels": {"app": name, **(labels or {})},
            "annotations": annotated(native, **(annotations or {})),
        },
        "spec": {
            "terminationGracePeriodSeconds": grace,
            "containers": [app],
            "securityContext": {"runAsUser": 10001, "runAsGroup": 10001},
            **spec,
        },
    }


def pod(name, command, **how):
    made = template(name, command, **{"restartPolicy": "Never", **how})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        **made,
        "metadata": {"name": name, **made["metadata"]},
    }


def job(name, command, **how):
    made = template(name, command, restartPolicy="Never", **how)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": made},
    }


def server(name, command, replicas=1, **how):
    """A Deployment and its Service, of an application on 8080."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    made = template(
        name,
        command,
        container={"ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": probe},
        **how,
    )
    chosen = {"app": name}
    return (
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": chosen}, "template": made},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {
                "selector": chosen,
                "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
            },
        },
    )


def finished(space, name, seconds=DEADLINE):
    """How a Job ended: "Complete" or "Failed"."""
    def look():
        conditions = (space.get("job", name) or {}).get("status", {}).get("conditions", [])
        return next(
            (
                each["type"]
                for each in conditions
                if each["status"] == "True" and each["type"] in ("Complete", "Failed")
            ),
            None,
        )

    return space.explained(f"job/{name}", lambda: until(f"the end of job {name}", look, seconds))


def pod_of(space, name):
    """The name of the one pod with that label."""
    found = [
        each["metadata"]["name"]
        for each in space.get("pod", app=name)
        if "deletionTimestamp" not in each["metadata"]
    ]
    expect(len(found) == 1, f"one pod of {name} was expected", *found)
    return found[0]
