"""A cluster as the cases see it: kubectl, a namespace a case, and waiting for facts.

Owns the words with which a case asks. Must never judge; the cases do.
"""
import json, subprocess, time

# In seconds. What a case waits for takes a few on an idle machine; this is for one with a load of
# 20.
DEADLINE = 300


class Failed(Exception):
    """What a case says when it does not hold."""


def expect(condition, text, *seen):
    if not condition:
        raise Failed("\n".join([text, *map(str, seen)]))


def until(what, look, seconds=DEADLINE, every=0.1):
    """Waits for a fact: the first true answer of `look`."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(every)


def together(resources):
    """In one text: a kubectl of 1.32 does not take several documents of JSON."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": resources})


class Cluster:
    """Where `kubectl`, a list of words, leads to."""

    def __init__(self, kubectl, first=None):
        """`first`: the id of the node's first process, where that is one of this machine."""
        self.command, self.first = [str(word) for word in kubectl], first

    def kubectl(self, *words, text=None, check=True, seconds=DEADLINE):
        try:
            done = subprocess.run(
                [*self.command, *map(str, words)], input=text, capture_output=True, text=True,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"kubectl {' '.join(map(str, words))}: not within {seconds} s") from None
        if check and done.returncode:
            raise Failed(f"kubectl {' '.join(map(str, words))}: {done.stderr.strip()[-1500:]}")
        return done

    def apply(self, *resources):
        """Resources as dicts, in a namespace of their own or none."""
        self.kubectl("apply", "-f", "-", text=together(resources))

    def space(self, name, **labels):
        """A new namespace with these labels; its name is new, too, on a cluster that has seen this
        case before."""
        wanted = {"generateName": f"{name[:40].replace('_', '-').strip('-')}-", "labels": labels}
        made = self.kubectl(
            "create", "-o", "name", "-f", "-",
            text=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": wanted}),
        )
        space = Space(self, made.stdout.strip().removeprefix("namespace/"))
        until(
            "a service account",
            lambda: space.kubectl("get", "serviceaccount", "default", check=False).returncode == 0,
        )
        return space


class Space:
    """A namespace, which is left again at the end of its case."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name

    def kubectl(self, *words, **how):
        return self.cluster.kubectl("-n", self.name, *words, **how)

    def apply(self, *resources):
        self.kubectl("apply", "-f", "-", text=together(resources))

    def refused(self, *resources):
        """What the API server says to a resource that it does not take."""
        done = self.kubectl("create", "-f", "-", text=together(resources), check=False)
        expect(done.returncode, "created, and was to be refused", *resources)
        return done.stderr

    def get(self, kind, name=None, **labels):
        """A resource, or the list of those with the labels; None where there is none of that
        name."""
        which = (
            [name] if name else ["-l", ",".join(f"{key}={value}" for key, value in labels.items())]
        )
        done = self.kubectl("get", kind, *which, "-o", "json", check=False)
        if done.returncode and "NotFound" in done.stderr:
            return None
        expect(done.returncode == 0, f"kubectl get {kind}", done.stderr)
        found = json.loads(done.stdout)
        return found if name else found["items"]

    def logs(self, pod, container=None, *more):
        which = ["-c", container] if container else []
        return self.kubectl("logs", pod, *which, *more, check=False).stdout

    def state(self, pod, container):
        """The container's own part of the pod's status, or {}."""
        status = (self.get("pod", pod) or {}).get("status", {})
        parts = [
            part
            for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
            for part in status.get(kind, [])
        ]
        return next((part for part in parts if part["name"] == container), {})

    def ended(self, pod, container, seconds=DEADLINE):
        """Its `terminated`, once it has."""
        def look():
            part = self.state(pod, container)
            return part.get("state", {}).get("terminated") or part.get("lastState", {}).get(
                "terminated"
            )

        return self.explained(pod, lambda: until(f"the end of {pod}/{container}", look, seconds))

    def phase(self, pod, wanted, seconds=DEADLINE):
        def look():
            found = self.get("pod", pod)
            return found and found["status"].get("phase") == wanted
        self.explained(pod, lambda: until(f"{pod} in phase {wanted}", look, seconds))

    def ready(self, deployment):
        """Once every replica of it is."""
        self.explained(
            f"deployment/{deployment}",
            lambda: self.kubectl(
                "rollout", "status", f"deployment/{deployment}", f"--timeout={DEADLINE}s",
                seconds=DEADLINE + 10,
            ),
        )

    def gone(self, pod, seconds=DEADLINE):
        until(f"the end of pod {pod}", lambda: self.get("pod", pod) is None, seconds)

    def explained(self, what, wait):
        """A wait that tells, where it fails, what the node knows."""
        try:
            return wait()
        except Failed as error:
            told = self.kubectl(
                "get", "events", "--sort-by=.lastTimestamp", "-o",
                "custom-columns=O:.involvedObject.name,R:.reason,M:.message", check=False,
            ).stdout
            states = self.kubectl("get", "pods", "-o", "wide", check=False).stdout
            raise Failed(
                f"{error}\n{states}\n{told[-3000:]}\n"
                f"{self.logs(what, None, '--all-containers', '--tail=20')[-2000:]}"
            ) from None

    def leave(self):
        self.kubectl(
            "delete", "deployments,jobs,pods", "--all", "--grace-period=1", "--wait=false",
            check=False,
        )
        self.cluster.kubectl("delete", "namespace", self.name, "--wait=false", check=False)
