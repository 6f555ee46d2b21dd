"""A real Istio without a cluster: istiod, and pods that each have a real pilot-agent and Envoy, in
network namespaces.

Owns bringing it up and down. Nothing leads out: the namespaces are connected to a bridge in another
one. `srv` has an IPv6 address beside its own, for clients of a pod with two families. Must never
judge; the cases do.
"""
import json, os, pathlib, shutil, signal, subprocess

from pod import ADDRESSES, ISTIOD, Load, Pod, in_ipv6
from process import DEADLINE, Failed, Process, expect, until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = pathlib.Path(__file__).resolve().parent
BUILT = ROOT / "target" / "istio"
ENVOY = ROOT / "target" / "envoy" / "1.40.0" / "envoy"
REVIEWS = "http://reviews.shop.svc.cluster.local:9080/"
ECHO = "http://echo.shop.svc.cluster.local:8080/"
HOSTS = f"""127.0.0.1 localhost
::1 localhost
{ADDRESSES['cp']} {ISTIOD}
10.66.1.1 echo.shop.svc.cluster.local echo
10.66.1.2 reviews.shop.svc.cluster.local reviews
"""
# What a stock Envoy does not have of Istio's own filters is switched off; istiod itself is as it is
# built.
ISTIOD_ENVIRONMENT = {
    "POD_NAMESPACE": "istio-system",
    "POD_NAME": "istiod-0",
    "CLUSTER_ID": "Kubernetes",
    "PILOT_CERT_PROVIDER": "istiod",
    "ENABLE_LEADER_ELECTION": "false",
    "PILOT_ENABLE_GATEWAY_API": "false",
    "PILOT_ENABLE_IP_AUTOALLOCATE": "false",
    "INJECTION_WEBHOOK_CONFIG_NAME": "",
    "VALIDATION_WEBHOOK_CONFIG_NAME": "",
    "ISTIO_KUBE_CLIENT_CONTENT_TYPE": "application/json",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_DISABLE_MX_ALPN": "true",
}


class Mesh:
    """istiod and its namespaces; `with Mesh(...) as mesh`."""

    def __init__(self, meshim):
        self.meshim, self.prefix = str(meshim), f"mi{os.getpid()}-"
        self.processes, self.pods = [], []
        self.work = pathlib.Path("/tmp") / f"meshim-istio-{os.getpid()}"

    def __enter__(self):
        try:
            self.bring_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.kill()
        for name in (*ADDRESSES, "sw"):
            listed = subprocess.run(
                ["ip", "netns", "pids", self.prefix + name], capture_output=True, text=True
            ).stdout.split()
            for pid in listed:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            subprocess.run(["ip", "netns", "del", self.prefix + name], capture_output=True)
        shutil.rmtree(self.work, ignore_errors=True)

    def ip(self, *words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def bring_up(self):
        self.work.mkdir(mode=0o755)
        (self.work / "hosts").write_text(HOSTS)
        (self.work / "resolv.conf").write_text("")
        (self.work / "config").mkdir()
        shutil.copy(HERE / "base.yaml", self.work / "config")
        shutil.copy(HERE / "mesh.yaml", self.work)
        bootstrap = BUILT / "envoy_bootstrap.json"
        shutil.copy(bootstrap, self.work)
        (self.work / "envoy_bootstrap.json").chmod(0o644)
        # Where uid 1337 can read and run them, wherever the repository lies.
        for program in (ENVOY, BUILT / "pilot-agent", self.meshim):
            shutil.copy(program, self.work / pathlib.Path(program).name)
            (self.work / pathlib.Path(program).name).chmod(0o755)
        self.meshim = str(self.work / pathlib.Path(self.meshim).name)
        self.networks()
        subprocess.run([HERE / "secrets.py", self.work], check=True, capture_output=True)
        self.start_api()
        self.start_istiod()

    def networks(self):
        switch = self.prefix + "sw"
        self.ip("netns", "add", switch)
        self.ip("-n", switch, "link", "add", "br0", "type", "bridge")
        self.ip("-n", switch, "link", "set", "br0", "up")
        for name, address in ADDRESSES.items():
            space = self.prefix + name
            self.ip("netns", "add", space)
            self.ip("-n", space, "link", "set", "lo", "up")
            self.ip(
                "-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", f"p-{name}",
                "netns", switch,
            )
            self.ip("-n", switch, "link", "set", f"p-{name}", "master", "br0", "up")
            self.ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            self.ip("-n", space, "link", "set", "eth0", "up")
            self.ip("-n", space, "route", "add", "10.0.0.0/8", "dev", "eth0")
        self.ip(
            "-n", self.prefix + "srv", "addr", "add", f"{in_ipv6(ADDRESSES['srv'])}/64", "dev",
            "eth0", "nodad",
        )

    def inside(self, name, *command, mounts=True):
        """A command line in that namespace, with our hosts file and no resolver."""
        become = (
            f"mount --bind {self.work}/hosts /etc/hosts; "
            f"mount --bind {self.work}/resolv.conf /etc/resolv.conf; exec \"$@\""
        )
        return [
            "ip", "netns", "exec", self.prefix + name,
            *(["sh", "-c", become, "sh"] if mounts else []), *map(str, command),
        ]

    def start_api(self):
        """What istiod reads its namespaces and token keys from; it stays where a case ends it."""
        self.api = Process(
            self,
            "api",
            self.inside("cp", "python3", HERE / "api.py", "8098", self.work / "jwks.json"),
        )
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:8098"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
            "current-context": "c",
        }
        (self.work / "kubeconfig").write_text(json.dumps(kubeconfig))
        until("the API", 20, lambda: self.fetch("cp", "http://127.0.0.1:8098/version")[0] == 200)

    def start_istiod(self, **more):
        """With more environment than usual until the case is over."""
        rule = {
            "issuer": "meshim-test",
            "jwks_uri": "http://127.0.0.1:8098/jwks.json",
            "audiences": ["istio-ca"],
        }
        environment = {
            **ISTIOD_ENVIRONMENT,
            "ROOT_CA_DIR": f"{self.work}/ca",
            "JWT_RULE": json.dumps(rule),
            "PATH": os.environ["PATH"],
            "HOME": str(self.work),
            **more,
        }
        self.istiod_is_usual = not more
        command = [
            BUILT / "pilot-discovery", "discovery", "--registries=Kubernetes", "--kubeconfig",
            self.work / "kubeconfig", "--configDir", self.work / "config", "--meshConfig",
            self.work / "mesh.yaml", "--networksConfig", "/nonexistent", "--domain",
            "cluster.local", "--ctrlz_port", "0",
        ]
        self.istiod = Process(
            self, "istiod", self.inside("cp", *command), env=environment, cwd=self.work
        )
        try:
            until("istiod", DEADLINE, lambda: self.istiod.has_ended() or self.listens("cp", 15012))
            expect(not self.istiod.has_ended(), "istiod has ended")
        except Failed as error:
            raise Failed(f"{error}:\n{self.istiod.text()[-2000:]}") from None

    def listens(self, name, port):
        out = subprocess.run(
            self.inside(name, "ss", "-Hltn", "sport", "=", f":{port}", mounts=False),
            capture_output=True,
            text=True,
        ).stdout
        return bool(out.strip())

    def status(self, name, url):
        """The status alone; 0 without an answer."""
        return self.fetch(name, url)[0]

    def fetch(self, name, url, seconds=5, method="GET"):
        """Status and body of a request from that namespace, by a user whose traffic the rules
        capture; (0, reason) without an answer."""
        script = (
            "import sys,urllib.request,urllib.error\n"
            "q=urllib.request.Request(sys.argv[1],method=sys.argv[3])\n"
            "try: r=urllib.request.urlopen(q,timeout=float(sys.argv[2])); print(r.status); "
            "print(r.read().decode(errors='replace'),end='')\n"
            "except urllib.error.HTTPError as e: print(e.code); "
            "print(e.read().decode(errors='replace'),end='')\n"
            "except Exception as e: print(0); print(e,end='')\n"
        )
        command = self.inside(
            name, "setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups",
            "/usr/bin/python3", "-c", script, url, seconds, method,
        )
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 20)
        status, _, body = done.stdout.partition("\n")
        return int(status or 0), body or done.stderr

    def apply(self, name, text):
        """An Istio resource, as a file that istiod watches."""
        (self.work / "config" / f"{name}.yaml").write_text(text)

    def withdraw(self, *names):
        for name in names:
            (self.work / "config" / f"{name}.yaml").unlink(missing_ok=True)

    def load(self, name, url):
        return Load(self, name, url)

    def clear(self):
        """After a case: no pod, no application, no resource but the base, an istiod that runs."""
        for process in [
            process for process in self.processes if process not in (self.api, self.istiod)
        ]:
            process.kill()
        self.processes = [self.api, self.istiod]
        for pod in self.pods:
            pod.stop_proxy()
        self.pods = []
        for path in (self.work / "config").iterdir():
            if path.name != "base.yaml":
                path.unlink()
        if not self.istiod_is_usual:
            self.istiod.kill()
        if self.istiod.has_ended():
            self.processes.remove(self.istiod)
            self.start_istiod()

    def application(self, name, *command):
        """In a namespace without a sidecar."""
        return Process(
            self, f"plain-{name}", self.inside(name, *command),
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def pod(self, name, **how):
        pod = Pod(self, name, **how)
        self.pods.append(pod)
        return pod
