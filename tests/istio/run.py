#!/usr/bin/env python3
"""meshim beside a real Istio, without a cluster: tests/istio/run.py [--meshim PATH] [CASE...]
tests/istio/run.py --build: only what is built with Go

istiod and pilot-agent are built from the pinned Go module in tools/ into target/istio (once, some
minutes), Envoy is the one of the other tests, the rules are those that pilot-agent writes. Each
case is a function in cases/ and asserts; without arguments all are run, three at a time, each
beside an istiod of its own, since most of them wait most of the time. Needs root, iproute2,
iptables, nftables, openssl, and Go 1.26 or python3-venv, by which one is fetched.
"""
import multiprocessing, os, pathlib, shutil, subprocess, sys, time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(ROOT / "tests"))
import golang, mesh
from cases import CASES
from process import Failed

AT_ONCE = 3
PROGRAMS = ("pilot-agent", "pilot-discovery")
NEEDED = {
    "ip": "iproute2",
    "iptables-nft": "iptables",
    "nft": "nftables",
    "openssl": "openssl",
    "setpriv": "util-linux",
    "ss": "iproute2",
}


def fail(text):
    sys.exit(f"tests/istio/run.py: {text}")


def build_tools():
    tools = pathlib.Path(__file__).resolve().parent / "tools"
    compiler = golang.go()
    packages = [f"istio.io/istio/pilot/cmd/{name}" for name in PROGRAMS]
    mesh.BUILT.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [compiler, "build", "-trimpath", "-ldflags=-s -w", "-o", mesh.BUILT, *packages],
        cwd=tools,
        check=True,
    )
    source = subprocess.run(
        [compiler, "list", "-m", "-f", "{{.Dir}}", "istio.io/istio"], cwd=tools, check=True,
        capture_output=True, text=True,
    ).stdout.strip()
    shutil.copyfile(
        pathlib.Path(source) / "tools/packaging/common/envoy_bootstrap.json",
        mesh.BUILT / "envoy_bootstrap.json",
    )


def fetch_envoy():
    if not mesh.ENVOY.exists():
        # The example knows its pinned hashes.
        subprocess.run(
            ["cargo", "run", "-q", "--example", "quickstart", "--", "--envoy"], cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
    if not mesh.ENVOY.exists():
        fail(f"Envoy could not be fetched to {mesh.ENVOY}: is there a network?")


def run_some(meshim, wanted, done):
    """In a process of its own, with a mesh of its own: takes cases until there are no more."""
    try:
        with mesh.Mesh(meshim) as real:
            while name := wanted.get():
                began, failed = time.monotonic(), False
                try:
                    said = CASES[name](real) or ""
                except Failed as error:
                    failed, said = True, f"FAILED: {error}"
                finally:
                    real.clear()
                took = time.monotonic() - began
                line = f"  {name.replace('_', ' ')} ({took:.1f} s) {said}"
                done.put((name, failed, line.rstrip()))
    except BaseException as error:
        done.put((None, True, f"  no mesh: {error!r}"))
        raise


def run(meshim, names):
    """Runs them all; those that failed, or that nobody got to."""
    wanted, done, left = multiprocessing.Queue(), multiprocessing.Queue(), set(names)
    workers = [
        multiprocessing.Process(target=run_some, args=(meshim, wanted, done))
        for _ in range(min(AT_ONCE, len(names)))
    ]
    for name in [*names, *[None for _ in workers]]:
        wanted.put(name)
    for worker in workers:
        worker.start()
    bad = []
    while left:
        name, failed, said = done.get()
        print(said, flush=True)
        if name is None:
            break
        left.discard(name)
        bad += [name] if failed else []
    for worker in workers:
        worker.join() if not left else worker.terminate()
    return bad + sorted(left)


def main(args):
    if args == ["--build"]:
        return build_tools()
    meshim = ROOT / "target" / f"{os.uname().machine}-unknown-linux-musl" / "release" / "meshim"
    if args[:1] == ["--meshim"]:
        meshim, args = pathlib.Path(args[1]), args[2:]
    unknown = [name for name in args if name not in CASES]
    if unknown or not meshim.exists():
        fail(
            f"no case {', '.join(unknown)}; there are {', '.join(CASES)}"
            if unknown
            else f"{meshim} is missing: run images/build-static"
        )
    missing = {
        package
        for program, package in NEEDED.items()
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    }
    if missing or os.geteuid() != 0:
        fail(
            f"needs root, and {' '.join(sorted(missing))}"
            if missing
            else "network namespaces need root here"
        )
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    build_tools()
    fetch_envoy()
    names = args or list(CASES)
    failed = run(meshim, names)
    if failed:
        fail(f"{len(failed)} of {len(names)} did not pass: {' '.join(failed)}")
    print(f"tests/istio/run.py: {len(names)} passed")


if __name__ == "__main__":
    main(sys.argv[1:])
