#!/usr/bin/env python3
"""meshim on a real Kubernetes node: tests/cluster/run.py [--kubeconfig FILE] [--meshim PATH] [all|CASE...]

Brings up a node (API server, scheduler, controllers, kubelet, containerd, kube-proxy, etcd) in namespaces of its own, with Istio and
its injection, and takes it down again. Its programs are built from the pinned Go modules of tools/ and tests/istio/tools into target/
(once, some minutes), its images are made here: no registry is asked. Each case is a function of manifests.py, jobs.py, rollouts.py, looks.py or stops.py, and asserts; without
arguments those are run that CI runs, `all` are all of them. --kubeconfig runs them on another cluster, which has Istio, and the
images of images.py under their names.

Needs root, iproute2, iptables, openssl, runc, and Go 1.26 or python3-venv, by which one is fetched.
"""
import os, pathlib, shutil, subprocess, sys, time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests")]
import cases, golang, host, images, istio
import manifests, jobs, rollouts, looks, stops  # which register their cases
from cluster import Cluster, Failed

BUILT = ROOT / "target" / "cluster"
NEEDED = {"ip": "iproute2", "iptables": "iptables", "openssl": "openssl", "runc": "runc", "unshare": "util-linux"}
KUBERNETES = "v1.36.3"


def fail(text):
    sys.exit(f"tests/cluster/run.py: {text}")


def build():
    """The node's programs; each is named as its package is, so etcd's is `server`."""
    version = "k8s.io/component-base/version"
    minor = KUBERNETES.split(".")[1]
    stamps = {"gitVersion": KUBERNETES, "gitMajor": "1", "gitMinor": minor, "gitTreeState": "clean", "gitCommit": "module", "buildDate": "2026-01-01T00:00:00Z"}
    flags = "-s -w " + " ".join(f"-X {version}.{key}={value}" for key, value in stamps.items())
    (BUILT / "bin").mkdir(parents=True, exist_ok=True)
    command = [golang.go(), "build", "-trimpath", f"-ldflags={flags}", "-o", f"{BUILT / 'bin'}/", "tool", "./app"]
    subprocess.run(command, cwd=HERE / "tools", check=True, env={**os.environ, "CGO_ENABLED": "0"})


def released():
    """Static builds of meshim and of the manifests' application."""
    target = f"{os.uname().machine}-unknown-linux-musl"
    folder = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / target / "release"
    subprocess.run(["cargo", "build", "-q", "--release", "--locked", "--example", "hello-server", "--target", target], cwd=ROOT, check=True)
    return folder / "meshim", folder / "examples" / "hello-server"


def play(cluster, names):
    failed = []
    for name in names:
        began = time.monotonic()
        try:
            said = cases.KNOWN[name](cluster) or ""
        except Failed as error:
            failed.append(name)
            said = f"FAILED: {error}"
        print(f"  {name.replace('_', ' ')} ({time.monotonic() - began:.1f} s) {said}".rstrip(), flush=True)
    if failed:
        fail(f"{len(failed)} of {len(names)} failed: {' '.join(failed)}")
    print(f"tests/cluster/run.py: {len(names)} passed")


def main(args):
    options = {}
    while args and args[0] in ("--kubeconfig", "--meshim") and len(args) > 1:
        options[args[0]], args = pathlib.Path(args[1]).resolve(), args[2:]
    names = list(cases.KNOWN) if args == ["all"] else args or list(cases.DEFAULT)
    unknown = [name for name in names if name not in cases.KNOWN]
    if unknown:
        fail(f"no case {', '.join(unknown)}; there are {', '.join(cases.KNOWN)}")
    if "--kubeconfig" in options:
        return play(Cluster(["kubectl", "--kubeconfig", options["--kubeconfig"]]), names)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = {package for program, package in NEEDED.items() if not shutil.which(program)}
    if missing or os.geteuid() != 0:
        fail(f"needs root, and {' '.join(sorted(missing))}" if missing else "a node in namespaces of its own needs root")
    meshim, hello_server = released()
    meshim = options.get("--meshim", meshim)
    if not meshim.exists():
        fail(f"{meshim} is missing: run images/build-static")
    build()
    istio.build()
    archives = [*images.make(BUILT / "images", meshim, hello_server, BUILT / "bin"), *istio.images(BUILT / "images")]
    try:
        with host.Node(BUILT, archives) as node:
            began = time.monotonic()
            istio.install(node.cluster)
            print(f"tests/cluster/run.py: the node is up in {node.took:.0f} s, Istio in {time.monotonic() - began:.0f} s", flush=True)
            play(node.cluster, names)
    except Failed as error:
        fail(error)


main(sys.argv[1:])
