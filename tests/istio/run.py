#!/usr/bin/env python3
"""meshim beside a real Istio, without a cluster: tests/istio/run.py [--meshim PATH] [CASE...]

istiod and pilot-agent are built from the pinned Go module in tools/ into target/istio (once, some minutes), Envoy is the one of the
other tests, the rules are those that pilot-agent writes. Each case is a function of cases.py and asserts; without arguments all
are run. Needs root, iproute2, iptables, openssl, and Go 1.26 or python3-venv, by which one is fetched.
"""
import os, pathlib, shutil, subprocess, sys, time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(ROOT / "tests"))
import cases, golang, mesh

PROGRAMS = ("pilot-agent", "pilot-discovery")
NEEDED = {"ip": "iproute2", "iptables-nft": "iptables", "openssl": "openssl", "setpriv": "util-linux", "ss": "iproute2"}


def fail(text):
    sys.exit(f"tests/istio/run.py: {text}")


def build():
    tools = pathlib.Path(__file__).resolve().parent / "tools"
    compiler = golang.go()
    for name in PROGRAMS:
        package = f"istio.io/istio/pilot/cmd/{name}"
        subprocess.run([compiler, "build", "-trimpath", "-ldflags=-s -w", "-o", mesh.BUILT / name, package], cwd=tools, check=True)
    source = subprocess.run([compiler, "list", "-m", "-f", "{{.Dir}}", "istio.io/istio"], cwd=tools, check=True, capture_output=True, text=True).stdout.strip()
    shutil.copyfile(pathlib.Path(source) / "tools/packaging/common/envoy_bootstrap.json", mesh.BUILT / "envoy_bootstrap.json")
    if not mesh.ENVOY.exists():
        # The example knows its pinned hashes.
        subprocess.run(["cargo", "run", "-q", "--example", "quickstart", "--", "--envoy"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not mesh.ENVOY.exists():
        fail(f"Envoy could not be fetched to {mesh.ENVOY}: is there a network?")


def main(args):
    meshim = ROOT / "target" / f"{os.uname().machine}-unknown-linux-musl" / "release" / "meshim"
    if args[:1] == ["--meshim"]:
        meshim, args = pathlib.Path(args[1]), args[2:]
    known = {name: case for name, case in vars(cases).items() if getattr(case, "is_case", False)}
    unknown = [name for name in args if name not in known]
    if unknown or not meshim.exists():
        fail(f"no case {', '.join(unknown)}; there are {', '.join(known)}" if unknown else f"{meshim} is missing: run images/build-static")
    missing = {package for program, package in NEEDED.items() if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")}
    if missing or os.geteuid() != 0:
        fail(f"needs root, and {' '.join(sorted(missing))}" if missing else "network namespaces need root here")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    build()
    failed = []
    with mesh.Mesh(meshim) as real:
        for name in args or known:
            began = time.monotonic()
            try:
                said = known[name](real) or ""
            except mesh.Failed as error:
                failed.append(name)
                said = f"FAILED: {error}"
            finally:
                real.clear()
            print(f"  {name.replace('_', ' ')} ({time.monotonic() - began:.1f} s) {said}".rstrip(), flush=True)
    if failed:
        fail(f"{len(failed)} of {len(args or known)} failed: {' '.join(failed)}")
    print(f"tests/istio/run.py: {len(args or known)} passed")


main(sys.argv[1:])
