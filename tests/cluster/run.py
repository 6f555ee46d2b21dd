#!/usr/bin/env python3
"""meshim on a real Kubernetes node.

    tests/cluster/run.py [--meshim PATH] [all|CASE...]   the cases that CI runs, all, or some
    tests/cluster/run.py --build                         only what is built with Go
    tests/cluster/run.py --images                        the images, for another cluster
    tests/cluster/run.py --keep                          the node alone, until standard input ends
    tests/cluster/run.py --kubeconfig FILE [CASE...]     the cases on another cluster

Brings up a node (API server, scheduler, controllers, kubelet, containerd, kube-proxy, etcd) in
namespaces of its own, with Istio and its injection, and takes it down again. Its programs are built
from the pinned Go modules of tools/ and tests/istio/tools into target/ (once, some minutes), its
images are made in target/cluster/images: no registry is asked. Each case is a function of
manifests.py, jobs.py, rollouts.py, looks.py, stops.py or probes.py, and asserts. Another cluster
has Istio with injection, and those images under their names.

Needs root, iproute2, iptables, openssl, runc, and Go 1.26 or python3-venv, by which one is fetched.
"""
import os, pathlib, shutil, subprocess, sys, time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests")]
import cases, golang, host, images, istio
import manifests, jobs, rollouts, looks, stops, probes  # which register their cases
from cluster import Cluster, Failed

BUILT = ROOT / "target" / "cluster"
NEEDED = {
    "ip": "iproute2",
    "iptables": "iptables",
    "openssl": "openssl",
    "runc": "runc",
    "unshare": "util-linux",
}
KUBERNETES = "v1.36.3"


def fail(text):
    sys.exit(f"tests/cluster/run.py: {text}")


def build():
    """Istio's programs and the node's."""
    istio.build()
    build_node()


def build_node():
    """Each program is named as its package is, so etcd's is `server`."""
    version = "k8s.io/component-base/version"
    minor = KUBERNETES.split(".")[1]
    stamps = {
        "gitVersion": KUBERNETES,
        "gitMajor": "1",
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "module",
        "buildDate": "2026-01-01T00:00:00Z",
    }
    flags = "-s -w " + " ".join(f"-X {version}.{key}={value}" for key, value in stamps.items())
    (BUILT / "bin").mkdir(parents=True, exist_ok=True)
    command = [
        golang.go(), "build", "-trimpath", f"-ldflags={flags}", "-o", f"{BUILT / 'bin'}/", "tool",
        "./app",
    ]
    subprocess.run(command, cwd=HERE / "tools", check=True, env={**os.environ, "CGO_ENABLED": "0"})


def released():
    """Static builds of meshim and of the manifests' application, by the flags of a release."""
    machine = os.uname().machine
    builder = [ROOT / "images" / "build-static", "--example", machine]
    done = subprocess.run(builder, capture_output=True, text=True)
    if done.returncode:
        fail(f"images/build-static: {done.stderr[-2000:]}")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    folder = target / f"{machine}-unknown-linux-musl" / "release"
    return folder / "meshim", folder / "examples" / "hello-server"


def make_images(meshim=None):
    """Those of the manifests and of the cases."""
    released_meshim, hello_server = released()
    meshim = meshim or released_meshim
    if not meshim.exists():
        fail(f"{meshim} is missing: run images/build-static")
    return images.make(BUILT / "images", meshim, hello_server, BUILT / "bin")


def play(cluster, names):
    failed = []
    for name in names:
        began = time.monotonic()
        try:
            said = cases.KNOWN[name](cluster) or ""
        except Failed as error:
            failed.append(name)
            said = f"FAILED: {error}"
        print(
            f"  {name.replace('_', ' ')} ({time.monotonic() - began:.1f} s) {said}".rstrip(),
            flush=True,
        )
    if failed:
        fail(f"{len(failed)} of {len(names)} failed: {' '.join(failed)}")
    print(f"tests/cluster/run.py: {len(names)} passed")


def read(args):
    """The options, each with its path or True, and the names of the cases."""
    options, args = {}, list(args)
    while args and args[0].startswith("--"):
        option = args.pop(0)
        if option in ("--build", "--images", "--keep"):
            options[option] = True
        elif option in ("--kubeconfig", "--meshim") and args:
            options[option] = pathlib.Path(args.pop(0)).resolve()
        else:
            fail(
                f"{option} is no option here, or what it needs is missing; the file's head has them"
            )
    names = list(cases.KNOWN) if args == ["all"] else args or list(cases.DEFAULT)
    unknown = [name for name in names if name not in cases.KNOWN]
    if unknown:
        fail(f"no case {', '.join(unknown)}; there are {', '.join(cases.KNOWN)}")
    return options, names


def on_another(kubeconfig, names):
    kubectl = shutil.which("kubectl") or BUILT / "bin" / "kubectl"
    if not pathlib.Path(kubectl).exists():
        fail("there is no kubectl in the path; --build makes one")
    play(Cluster([kubectl, "--kubeconfig", kubeconfig]), names)


def keep(node):
    """For the cases' `--kubeconfig`, and for looking around."""
    print("tests/cluster/run.py: from another shell, until this program's standard input ends:")
    inside = f"nsenter --net=/proc/{node.first}/ns/net"
    given = f"--kubeconfig {node.work / 'kubeconfig'}"
    print(f"  {inside} tests/cluster/run.py {given} CASE...", flush=True)
    sys.stdin.read()


def main(args):
    options, names = read(args)
    if "--build" in options:
        return build()
    if "--images" in options:
        build_node()
        return print(*make_images(options.get("--meshim")), sep="\n")
    if "--kubeconfig" in options:
        return on_another(options["--kubeconfig"], names)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = {package for program, package in NEEDED.items() if not shutil.which(program)}
    if missing:
        fail(f"needs {' '.join(sorted(missing))}")
    if os.geteuid() != 0:
        fail("a node in namespaces of its own needs root")
    build()
    archives = [*make_images(options.get("--meshim")), *istio.images(BUILT / "images")]
    try:
        with host.Node(BUILT, archives) as node:
            began = time.monotonic()
            istio.install(node.cluster)
            took = time.monotonic() - began
            up = f"the node is up in {node.took:.0f} s, Istio in {took:.0f} s"
            print(f"tests/cluster/run.py: {up}", flush=True)
            if "--keep" in options:
                return keep(node)
            play(node.cluster, names)
    except Failed as error:
        fail(error)


main(sys.argv[1:])
