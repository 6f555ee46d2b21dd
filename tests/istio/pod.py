"""A pod beside a real istiod: its namespace's rules, its agent and Envoy, its application, and who
calls it.

Owns what an injected pod has. Must never judge; the cases do.
"""
import json, os, pathlib, shutil, signal, subprocess

from process import DEADLINE, Failed, Process, until

HERE = pathlib.Path(__file__).resolve().parent
ADDRESSES = {"cp": "10.66.0.2", "app": "10.66.0.10", "cli": "10.66.0.20", "srv": "10.66.0.30"}
ISTIOD = "istiod.istio-system.svc"
# iptables-nft's rules are nftables', too; the last two lines are of TPROXY.
NO_RULES = """nft flush ruleset
ip -6 addr flush dev eth0 scope global
ip rule del fwmark 1337 lookup 133
ip route flush table 133
"""


def in_ipv6(address):
    return "fd66::" + address.rsplit(".", 1)[1]


class Pod:
    """A namespace with a sidecar: the rules at once, the agent when it is started. `ipv6`: it has
    an address of that family, too; `rules`: options of istio-iptables beside the usual;
    `annotations`: beside those of the injection."""

    def __init__(
        self, mesh, name, native=False, proxy_config=None, environment=None, mode="REDIRECT",
        envoy=None, ipv6=False, rules=(), annotations=None,
    ):
        self.mesh, self.name, self.address, self.agent = mesh, name, ADDRESSES[name], None
        self.native, self.mode = native, mode
        self.environment, self.annotations = environment or {}, annotations or {}
        self.proxy_config = {
            "binaryPath": str(envoy or mesh.work / "envoy"),
            **(proxy_config or {}),
        }
        self.label = {"app": "shop", "srv": "reviews"}.get(name, name)
        self.inside("sh", "-c", NO_RULES, check=False)
        if ipv6:
            self.inside("ip", "addr", "add", f"{in_ipv6(self.address)}/64", "dev", "eth0", "nodad")
        if mode != "NONE":
            self.inside(*self.istio_iptables(rules))

    def istio_iptables(self, rules):
        closed = [
            "15090,15021,15020",
            *[
                port
                for name, port in self.annotations.items()
                if name.endswith("excludeInboundPorts")
            ],
        ]
        return [
            self.mesh.work / "pilot-agent", "istio-iptables", "--force-iptables-binary", "nft",
            "-p", "15001", "-z", "15006", "-u", "1337", "-g", "1337", "-m", self.mode, "-i", "*",
            "-x", "", "-b", "*", "-d", ",".join(closed), *rules,
        ]

    def inside(self, *command, check=True):
        done = subprocess.run(
            self.mesh.inside(self.name, *command, mounts=False), capture_output=True, text=True
        )
        if check and done.returncode:
            raise Failed(f"{command[0]}: {done.stderr[-800:]}")
        return done

    def start(self, wait=True):
        """The agent, as an injected pod has it."""
        mesh, folder = self.mesh, self.mesh.work / f"pod-{self.name}"
        shutil.rmtree(folder, ignore_errors=True)
        for part in (
            "etc/istio/pod", "etc/istio/proxy", "var/run/secrets/tokens", "var/run/secrets/istio",
            "var/run/secrets/workload-spiffe-uds", "var/run/secrets/credential-uds",
            "var/lib/istio/data",
        ):
            (folder / part).mkdir(parents=True)
        shutil.copy(mesh.work / "token", folder / "var/run/secrets/tokens/istio-token")
        shutil.copy(mesh.work / "ca/root-cert.pem", folder / "var/run/secrets/istio/root-cert.pem")
        (folder / "etc/istio/pod/labels").write_text(f'app="{self.label}"\nversion="v1"\n')
        containers = (
            '{"initContainers":["istio-init","istio-proxy"],"containers":null'
            if self.native
            else '{"initContainers":["istio-init"],"containers":["istio-proxy"]'
        )
        status = json.dumps(
            containers + ',"volumes":["istio-envoy"],"imagePullSecrets":null,"revision":"default"}'
        )
        (folder / "etc/istio/pod/annotations").write_text(
            f'sidecar.istio.io/status={status}\nsidecar.istio.io/interceptionMode="{self.mode}"\n'
            + "".join(f'{name}="{value}"\n' for name, value in self.annotations.items())
        )
        subprocess.run(["chown", "-R", "1337:1337", folder], check=True)
        subprocess.run(["chmod", "-R", "a+rwX", folder], check=True)
        environment = {
            "PATH": "/usr/bin:/bin",
            "POD_NAME": f"{self.label}-5d4f",
            "POD_NAMESPACE": "shop",
            "INSTANCE_IP": self.address,
            "SERVICE_ACCOUNT": "shop",
            "HOST_IP": "10.66.0.1",
            "PROXY_CONFIG": json.dumps(self.proxy_config),
            "CA_ADDR": f"{ISTIOD}:15012",
            "PILOT_CERT_PROVIDER": "istiod",
            "TRUST_DOMAIN": "cluster.local",
            "ISTIO_META_CLUSTER_ID": "Kubernetes",
            "ISTIO_META_NODE_NAME": "node1",
            "ISTIO_META_INTERCEPTION_MODE": self.mode,
            "ISTIO_META_WORKLOAD_NAME": self.label,
            "ISTIO_META_OWNER": "kubernetes://apis/apps/v1/namespaces/shop/deployments/"
            + self.label,
            "ISTIO_META_MESH_ID": "cluster.local",
            "ISTIO_META_APP_CONTAINERS": self.label,
            "GOMEMLIMIT": "1073741824",
            "GOMAXPROCS": "2",
            "ISTIO_CPU_LIMIT": "2",
            "ISTIO_META_POD_PORTS": '[{"name":"http","containerPort":8080,"protocol":"TCP"}]',
            **self.environment,
        }
        # As the injection template has it: transparent sockets need a capability.
        user = (
            ["0", "--inh-caps=+net_admin", "--bounding-set=-all,+net_admin"]
            if self.mode == "TPROXY"
            else ["1337", "--inh-caps=-all", "--bounding-set=-all"]
        )
        command = [
            "setpriv", "--regid", "1337", "--clear-groups", "--no-new-privs", "--reuid", *user,
            mesh.work / "pilot-agent", "proxy", "sidecar", "--domain", "shop.svc.cluster.local",
            "--proxyLogLevel=warning", "--proxyComponentLogLevel=misc:error",
            "--log_output_level=default:info", "--templateFile", mesh.work / "envoy_bootstrap.json",
            "--concurrency", "1",
        ]
        self.agent = Process(
            mesh, f"agent-{self.name}", mesh.inside(self.name, *command), env=environment,
            cwd=folder,
        )
        if wait:
            until(f"{self.name}'s proxy", DEADLINE, self.is_ready)
        return self

    def is_ready(self):
        return self.mesh.fetch(self.name, "http://127.0.0.1:15021/healthz/ready", 1)[0] == 200

    def admin(self, path, method="GET"):
        return self.mesh.fetch(self.name, f"http://127.0.0.1:15000{path}", 10, method)

    def clusters(self):
        return self.admin("/clusters")[1]

    def stop_proxy(self):
        """Ends agent and Envoy as the end of their container does."""
        listed = self.mesh.prefix + self.name
        if self.agent:
            self.agent.kill()
        for pid in subprocess.run(
            ["ip", "netns", "pids", listed], capture_output=True, text=True
        ).stdout.split():
            try:
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                if name in ("envoy", "pilot-agent"):
                    os.kill(int(pid), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass

    def application(self, *command, uid=10001, name="app", environment=None):
        """A command as the application's container runs it: PID 1 of a PID namespace, that user, no
        privileges."""
        variables = [
            f"{key}={value}"
            for key, value in {
                "PYTHONUNBUFFERED": "1",
                "MESHIM_TERMINATION_LOG": "/nonexistent/log",
                **(environment or {}),
            }.items()
        ]
        drop = [
            "setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs",
            "--inh-caps=-all", "--bounding-set=-all",
        ]
        line = self.mesh.inside(
            self.name, "unshare", "-p", "-f", "--kill-child", "--mount-proc", *drop, "env",
            *variables, *command,
        )
        return Application(self, f"{name}-{self.name}", line)


class Application(Process):
    """PID 1 of its namespace is the grandchild: signals go to that one."""

    def __init__(self, pod, name, command):
        super().__init__(pod.mesh, name, command)
        self.pod = pod

    def beside(self, *command):
        """A command in the same container: what it said, when it has ended."""
        line = self.pod.mesh.inside(
            self.pod.name, "nsenter", "-t", self.first(), "-p", "-m", "setpriv", "--reuid", "10001",
            "--regid", "10001", "--clear-groups", *command,
        )
        return subprocess.run(line, capture_output=True, text=True, timeout=DEADLINE)

    def end(self):
        """Ends it, and waits until its ports are free."""
        first = pathlib.Path(f"/proc/{self.first()}")
        self.kill()
        until("the application's end", 20, lambda: not first.exists())

    def first(self):
        """The id of PID 1 of the namespace, from outside."""
        def look():
            children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children")
            found = children.read_text().split() if children.exists() else []
            return int(found[0]) if found else None
        return until("the application's first process", 10, look)

    def send(self, number):
        os.kill(self.first(), number)


class Load:
    """Requests from that namespace over a kept connection, one each 50 ms, until it is stopped."""

    def __init__(self, mesh, name, url):
        as_user = ["setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups"]
        command = mesh.inside(name, *as_user, "/usr/bin/python3", HERE / "load.py", url, "0.05")
        self.process = Process(mesh, f"load-{name}", command)

    def has_begun(self):
        return "begun" in self.process.text()

    def stop(self):
        self.process.send(signal.SIGTERM)

    def result(self):
        """How many were answered, and how each of the others failed."""
        self.process.wait(30)
        return json.loads(self.process.text().strip().splitlines()[-1])
