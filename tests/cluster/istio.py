"""Istio as a cluster has it: istiod by its own charts, injection, and a proxy image of the real
agent and a stock Envoy.

Owns how it is built and installed. The agent and istiod are those of tests/istio, from the same
pinned module.
"""
import json, pathlib, shutil, subprocess

import golang
from cluster import Failed
from images import archive, executable, with_libraries

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOOLS = ROOT / "tests" / "istio" / "tools"
BUILT, HELM = ROOT / "target" / "istio", ROOT / "target" / "manifest-tools" / "helm"
ENVOY = ROOT / "target" / "envoy" / "1.40.0" / "envoy"
AUTHORITIES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
PASSWD = b"root:x:0:0::/:/\nistio-proxy:x:1337:1337::/:/\n"
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}}
VALUES = {
    "global": {
        "hub": "docker.io/local",
        "tag": "dev",
        "imagePullPolicy": "IfNotPresent",
        "proxy": {"resources": SMALL},
        "proxy_init": {"resources": SMALL},
    },
    "meshConfig": {"accessLogFile": ""},
    # What a stock Envoy does not have of Istio's own filters is switched off.
    "telemetry": {"enabled": True, "v2": {"enabled": True, "prometheus": {"enabled": False}}},
    "pilot": {
        "autoscaleEnabled": False,
        "resources": SMALL,
        "env": {
            "PILOT_ENABLE_ALPN_FILTER": "false",
            "PILOT_ENABLE_METADATA_EXCHANGE": "false",
            "PILOT_DISABLE_MX_ALPN": "true",
        },
    },
}


def source():
    """The module's folder, which has the charts and Envoy's bootstrap."""
    done = subprocess.run(
        [golang.go(), "list", "-m", "-f", "{{.Dir}}", "istio.io/istio"], cwd=TOOLS, check=True,
        capture_output=True, text=True,
    )
    return pathlib.Path(done.stdout.strip())


def build():
    BUILT.mkdir(parents=True, exist_ok=True)
    compiler = golang.go()
    subprocess.run(
        [compiler, "build", "-trimpath", "-ldflags=-s -w", "-o", f"{BUILT}/", "tool"],
        cwd=TOOLS,
        check=True,
    )
    subprocess.run(
        [compiler, "build", "-trimpath", "-o", HELM, "helm.sh/helm/v3/cmd/helm"],
        cwd=ROOT / "tests" / "manifests" / "tools",
        check=True,
    )
    if not ENVOY.exists():
        # The example knows its pinned hashes.
        subprocess.run(
            ["cargo", "run", "-q", "--example", "quickstart", "--", "--envoy"], cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
    if not ENVOY.exists():
        raise SystemExit(
            f"tests/cluster/run.py: Envoy could not be fetched to {ENVOY}: is there a network?"
        )


def rules():
    """What writes iptables rules, of this machine, with its extensions."""
    programs = {
        f"usr/sbin/{name}": shutil.which(f"xtables-{kind}-multi")
        for kind in ("nft", "legacy")
        for family in ("iptables", "ip6tables")
        for what in ("", "-save", "-restore")
        for name in ([f"{family}-{kind}{what}"] + ([f"{family}{what}"] if kind == "nft" else []))
    }
    extensions = next(pathlib.Path("/usr/lib").glob("*/xtables"))
    return {
        **programs,
        **{str(path).lstrip("/"): str(path) for path in sorted(extensions.iterdir())},
    }


def image(out, name, programs, texts, **settings):
    files = {path.lstrip("/"): executable(here) for path, here in with_libraries(programs).items()}
    files |= {
        "etc/passwd": (PASSWD, 0o644),
        "etc/group": (b"root:x:0:\nistio-proxy:x:1337:\n", 0o644),
    }
    files |= {
        f"etc/{name}": (pathlib.Path(f"/etc/{name}").read_bytes(), 0o644)
        for name in ("protocols", "services")
        if pathlib.Path(f"/etc/{name}").exists()
    }
    archive(
        out,
        name,
        files | {"etc/ssl/certs/ca-certificates.crt": (AUTHORITIES.read_bytes(), 0o644)} | texts,
        **settings,
    )
    return out


def images(folder):
    bootstrap = (source() / "tools/packaging/common/envoy_bootstrap.json").read_bytes()
    agent, envoy = "/usr/local/bin/pilot-agent", "/usr/local/bin/envoy"
    proxy = image(
        folder / "proxy.tar",
        "docker.io/local/proxyv2:dev",
        {agent: BUILT / "pilot-agent", envoy: ENVOY, **rules()},
        {"var/lib/istio/envoy/envoy_bootstrap_tmpl.json": (bootstrap, 0o644)},
        Entrypoint=[agent],
    )
    istiod = "/usr/local/bin/pilot-discovery"
    pilot = image(
        folder / "pilot.tar",
        "docker.io/local/pilot:dev",
        {istiod: BUILT / "pilot-discovery"},
        {},
        User="1337:1337",
        Entrypoint=[istiod],
    )
    return [proxy, pilot]


def install(cluster):
    charts, space = source() / "manifests" / "charts", "istio-system"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    for name, chart in (
        ("base", charts / "base"),
        ("istiod", charts / "istio-control" / "istio-discovery"),
    ):
        done = subprocess.run(
            [HELM, "template", name, chart, "-n", space, "--include-crds", "-f", "-"],
            input=json.dumps(VALUES), capture_output=True, text=True,
        )
        if done.returncode:
            raise Failed(f"helm template {chart}: {done.stderr[-1000:]}")
        cluster.kubectl(
            "apply", "--server-side", "--force-conflicts", "-n", space, "-f", "-", text=done.stdout
        )
    cluster.kubectl(
        "-n", space, "rollout", "status", "deployment/istiod", "--timeout=600s", seconds=620
    )
