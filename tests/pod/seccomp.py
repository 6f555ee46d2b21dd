#!/usr/bin/env python3
"""Pods under real default seccomp profiles: tests/pod/seccomp.py

Podman's, Docker's and containerd's, each as its own code makes it (profiles/). Under each a server
(`install` in an init container, wait, supervise, drain; `wait`, `check`, `doctor` and `probe` by
exec) and a Job that ends its proxy. All of it does and says the same as without a profile.
"""

import json, re, subprocess, sys

sys.dont_write_bytecode = True
import pods
from pods import ROOT, Pod, expect, podman

sys.path.insert(0, str(ROOT / "tests"))
import golang

FOLDER = pods.WORK / "seccomp"
# What a container without capabilities gets from podman itself, and what the others make for one.
PROFILES = {
    "without": "unconfined",
    "podman": "runtime/default",
    "docker": "localhost/docker.json",
    "containerd": "localhost/containerd.json",
}
ASKED = [
    ["wait", "--timeout=10s"],
    ["check"],
    ["doctor"],
    ["probe", "http://127.0.0.1:8080/healthz"],
]
# An Envoy's lines in `doctor` that depend on for how long it has been LIVE.
OF_ITS_AGE = re.compile(r"just become LIVE|could not look$|, up \d")


def write_profiles():
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = [golang.go(), "run", ".", FOLDER]
    subprocess.run(command, cwd=ROOT / "tests" / "pod" / "profiles", check=True)


def is_in_force(name, inspected):
    """Is the container's filter the one of this profile?"""
    spec = json.loads(open(inspected["OCIConfigPath"]).read())
    given = spec["linux"].get("seccomp")
    if name in ("docker", "containerd"):
        wanted = json.loads((FOLDER / f"{name}.json").read_text())
        calls = [
            {call for rule in profile["syscalls"] for call in rule["names"]}
            for profile in (given, wanted)
        ]
        expect(calls[0] == calls[1], f"{name}: another profile", calls[0] ^ calls[1])
    status = open(f"/proc/{inspected['State']['Pid']}/status").read()
    mode = re.search(r"^Seccomp:\s+(\d)", status, re.M)[1]
    expect(bool(given) == (mode == "2") == (name != "without"), f"{name}: no filter", status)


def steady(text):
    """The lines without what differs from run to run: numbers, and how old the proxy is."""
    lines = [line for line in text.splitlines() if not OF_ITS_AGE.search(line)]
    return [re.sub(r"\d+(\.\d+)?(ms|s|m)?\b", "N", line) for line in lines]


def complaints(text):
    """What meshim warns of, but for how long it has waited."""
    said = [line for line in steady(text) if re.match("meshim: (warning|error): ", line)]
    return [line for line in said if " not ready after " not in line]


def said_under(name):
    """What meshim says under such a profile, by what was asked."""
    said, profile = {}, PROFILES[name]
    with Pod(f"seccomp-{name}", "deploy/server-init-container.yaml", seccomp=profile) as pod:
        pod.wait_for("listening on 0.0.0.0:8080")
        is_in_force(name, json.loads(podman("inspect", pod.app).stdout)[0])
        for words in ASKED:
            done = pod.exec("/meshim-bin/meshim", *words)
            said[words[0]] = (done.returncode, steady(done.stdout), complaints(done.stderr))
        podman("kill", "--signal", "TERM", pod.app)
        said["server"] = (pod.exit_code(), complaints(pod.logs()))

    def change(spec, app):
        app["args"] = ["--fetch", "127.0.0.1:15021"]

    with Pod(f"seccomp-job-{name}", "deploy/job-classic.yaml", change, seccomp=profile) as pod:
        codes = pod.exit_code(), pod.exit_code(f"{pod.name}-istio-proxy")
        said["job"] = (*codes, complaints(pod.logs()))
    return said


pods.set_up()
write_profiles()
without = said_under("without")
print("  without a profile")
for name in [name for name in PROFILES if name != "without"]:
    print(f"  {name}'s profile", flush=True)
    for asked, said in said_under(name).items():
        expect(said == without[asked], f"{name}, {asked}: other words", said, without[asked])
print(f"tests/pod/seccomp.py: {len(PROFILES)} passed")
