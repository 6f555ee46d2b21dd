"""Cases: every manifest of deploy/ as it is, the component, and the policy, which the API server
itself applies."""
import json

from cases import DEPLOY, INJECTED, RESTRICTED, ROOT, case, finished, pod, pod_of
from cluster import DEADLINE, expect, until

FIXTURES = ROOT / "tests" / "manifests" / "fixtures" / "policy"
SERVERS = {
    "server": "hello",
    "server-native": "hello-native",
    "server-classic": "hello-classic",
    "server-init-container": "hello-init-container",
}
JOBS = {"job-native": "hello-job-native", "job-classic": "hello-job-classic"}


def deploy(space, name):
    space.kubectl("apply", "-f", DEPLOY / f"{name}.yaml")


@case(labels=RESTRICTED)
def every_pod_of_deploy_starts_where_pod_security_is_restricted(space):
    """Without a sidecar, whose own set-up is not restricted: here they wait for one."""
    for name in (*SERVERS, *JOBS):
        deploy(space, name)
    for name in (*SERVERS.values(), *JOBS.values()):
        def runs():
            pods = space.get("pod", app=name)
            return pods and space.state(pods[0]["metadata"]["name"], "hello").get("state", {}).get(
                "running"
            )

        space.explained(name, lambda: until(f"a container of {name}", runs))


@case()
def the_servers_of_deploy_beside_native_and_classic_sidecars(space):
    for name in SERVERS:
        deploy(space, name)
    for name in SERVERS.values():
        space.ready(name)
        looked = space.kubectl(
            "exec", pod_of(space, name), "-c", "hello", "--", "/meshim-bin/meshim", "check",
            check=False,
        )
        expect(looked.returncode == 0, f"check in {name}", looked.stdout, looked.stderr)


@case()
def the_jobs_of_deploy_beside_native_and_classic_sidecars(space):
    deploy(space, "server")
    space.ready("hello")
    for name in JOBS:
        deploy(space, name)
    ended = {name: finished(space, name) for name in JOBS.values()}
    expect(
        set(ended.values()) == {"Complete"}, "a job did not complete", ended,
        *(space.logs(f"job/{name}", "hello") for name in ended),
    )


@case()
def the_component_of_deploy_beside_a_sidecar(space):
    built = space.kubectl("kustomize", DEPLOY / "overlay").stdout
    space.kubectl("apply", "-f", "-", text=built)
    space.ready("hello-component")
    text = space.logs(pod_of(space, "hello-component"), "app")
    expect("meshim" in text and "listening" in text, "meshim is not in front of it", text)


def shape(made):
    """What the policy is about, without what else an API server adds."""
    def mine(each):
        return {key: each.get(key) for key in ("name", "command", "args", "env")} | {
            "volumeMounts": [
                mount
                for mount in each.get("volumeMounts", [])
                if not mount["name"].startswith("kube-api-access")
            ]
        }

    volumes = [
        volume
        for volume in made["spec"].get("volumes", [])
        if not volume["name"].startswith("kube-api-access")
    ]
    return {
        "containers": [mine(each) for each in made["spec"]["containers"]],
        "volumes": [volume["name"] for volume in volumes],
    }


def judged(space, fixture):
    """What is wrong with what the API server makes of it, or None."""
    done = space.kubectl("create", "--dry-run=server", "-o", "json", "-f", fixture, check=False)
    refused, expected = fixture.with_suffix(".refused"), fixture.with_suffix(".expected.yaml")
    if refused.exists():
        return (
            None
            if done.returncode and refused.read_text().strip() in done.stderr
            else f"{fixture.name}: not refused as it should be: {done.stderr}"
        )
    if done.returncode:
        return f"{fixture.name}: {done.stderr}"
    wanted = space.kubectl("create", "--dry-run=client", "-o", "json", "-f", expected).stdout
    got, wanted = shape(json.loads(done.stdout)), shape(json.loads(wanted))
    return None if got == wanted else f"{fixture.name}: came out as {got}\nnot as {wanted}"


def in_force(space):
    """A moment after the policy was taken: then a pod without a command is refused."""
    without = pod("without", [], labels={"meshim.io/inject": "enabled"})
    create = ["create", "--dry-run=server", "-f", "-"]
    refused = lambda: space.kubectl(*create, text=json.dumps(without), check=False).returncode
    until("the policy is in force", refused)


@case(labels={})
def the_policy_makes_of_pods_what_was_played_and_the_pod_runs(space):
    deploy(space, "policy")
    try:
        asking = pod(
            "asking", ["/app", "end", "3"], labels={"meshim.io/inject": "enabled"},
            automountServiceAccountToken=False,
            container={"env": [{"name": "MESHIM_MESH", "value": "none"}]},
        )
        in_force(space)
        wrong = [
            said
            for said in (
                judged(space, path)
                for path in sorted(FIXTURES.glob("*.yaml"))
                if ".expected" not in path.name
            )
            if said
        ]
        expect(not wrong, "the API server makes something else of it", *wrong)
        space.apply(asking)
        ended = space.ended("asking", "app")
        command = space.get("pod", "asking")["spec"]["containers"][0]["command"]
        expect(
            ended["exitCode"] == 3 and command[:2] == ["/meshim-bin/meshim", "--"],
            "it did not run behind meshim", ended, command,
        )
    finally:
        space.kubectl("delete", "-f", DEPLOY / "policy.yaml", "--wait=true", check=False)


@case(labels=INJECTED, default=False)
def the_policy_and_the_injection_together(space):
    deploy(space, "policy")
    try:
        in_force(space)
        space.apply(
            pod(
                "asking", ["/app", "serve", "0.0.0.0:8080"], native=False,
                labels={"meshim.io/inject": "enabled"},
            )
        )
        space.explained(
            "asking",
            lambda: space.kubectl(
                "wait", "pod/asking", "--for=condition=Ready", f"--timeout={DEADLINE - 10}s"
            ),
        )
        made = space.get("pod", "asking")["spec"]["containers"]
        expect(
            [each["name"] for each in made if each.get("command", [""])[0].endswith("meshim")]
            == ["app"],
            "not only app is behind meshim",
            made,
        )
    finally:
        space.kubectl("delete", "-f", DEPLOY / "policy.yaml", "--wait=true", check=False)
