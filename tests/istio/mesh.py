"""A real Istio without a cluster: istiod, and pods that each have a real pilot-agent and Envoy, in network namespaces.

Owns bringing it up and down. A pod is a network namespace with the rules that `pilot-agent istio-iptables` writes, the agent as
uid 1337, and the application in a PID namespace of its own. Nothing leads out: the namespaces hang on a bridge in another one.
Must never judge; the cases do.
"""
import json, os, pathlib, shutil, signal, subprocess, time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = pathlib.Path(__file__).resolve().parent
BUILT = ROOT / "target" / "istio"
ENVOY = ROOT / "target" / "envoy" / "1.40.0" / "envoy"
DEADLINE = 60
ADDRESSES = {"cp": "10.66.0.2", "app": "10.66.0.10", "cli": "10.66.0.20", "srv": "10.66.0.30"}
ISTIOD = "istiod.istio-system.svc"
HOSTS = f"""127.0.0.1 localhost
::1 localhost
{ADDRESSES['cp']} {ISTIOD}
10.66.1.1 echo.shop.svc.cluster.local echo
10.66.1.2 reviews.shop.svc.cluster.local reviews
"""
# What a stock Envoy does not have of Istio's own filters is switched off; istiod itself is as it is built.
ISTIOD_ENVIRONMENT = {
    "POD_NAMESPACE": "istio-system", "POD_NAME": "istiod-0", "CLUSTER_ID": "Kubernetes", "PILOT_CERT_PROVIDER": "istiod",
    "ENABLE_LEADER_ELECTION": "false", "PILOT_ENABLE_GATEWAY_API": "false", "PILOT_ENABLE_IP_AUTOALLOCATE": "false",
    "INJECTION_WEBHOOK_CONFIG_NAME": "", "VALIDATION_WEBHOOK_CONFIG_NAME": "", "ISTIO_KUBE_CLIENT_CONTENT_TYPE": "application/json",
    "PILOT_ENABLE_ALPN_FILTER": "false", "PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_DISABLE_MX_ALPN": "true",
}


class Failed(Exception):
    """What a case says when it does not hold."""


def expect(condition, text, *seen):
    if not condition:
        raise Failed("\n".join([text, *map(str, seen)]))


def until(what, seconds, look):
    """Waits for a fact: the first true answer of `look`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen
        time.sleep(0.02)
    raise Failed(f"{what}: not within {seconds} s")


class Process:
    """A program in the background, with a log; its own session. Ended, by its id, when the mesh goes down."""

    def __init__(self, mesh, name, command, **more):
        self.log = mesh.work / f"{name}.log"
        with self.log.open("w") as out:
            self.log.chmod(0o666)
            self.popen = subprocess.Popen(list(map(str, command)), stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True, **more)
        self.pid = self.popen.pid
        mesh.processes.append(self)

    def text(self):
        return self.log.read_text(errors="replace")

    def has_ended(self):
        return self.popen.poll() is not None

    def wait(self, seconds=DEADLINE):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.log.name}: still runs after {seconds} s:\n{self.text()[-1500:]}") from None

    def send(self, number):
        if not self.has_ended():
            os.kill(self.pid, number)

    def kill(self):
        if not self.has_ended():
            os.killpg(self.pid, signal.SIGKILL)
            self.popen.wait(DEADLINE)


class Mesh:
    """istiod and its namespaces; `with Mesh(...) as mesh`."""

    def __init__(self, meshim):
        self.meshim, self.prefix, self.processes, self.pods = str(meshim), f"mi{os.getpid()}-", [], []
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
            listed = subprocess.run(["ip", "netns", "pids", self.prefix + name], capture_output=True, text=True).stdout.split()
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
            self.ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", f"p-{name}", "netns", switch)
            self.ip("-n", switch, "link", "set", f"p-{name}", "master", "br0", "up")
            self.ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            self.ip("-n", space, "link", "set", "eth0", "up")
            self.ip("-n", space, "route", "add", "10.0.0.0/8", "dev", "eth0")

    def inside(self, name, *command, mounts=True):
        """A command line in that namespace, with our hosts file and no resolver."""
        become = f"mount --bind {self.work}/hosts /etc/hosts; mount --bind {self.work}/resolv.conf /etc/resolv.conf; exec \"$@\""
        return ["ip", "netns", "exec", self.prefix + name, *(["sh", "-c", become, "sh"] if mounts else []), *map(str, command)]

    def start_api(self):
        """What istiod reads its namespaces and token keys from; it outlives an istiod that a case ends."""
        self.api = Process(self, "api", self.inside("cp", "python3", HERE / "api.py", "8098", self.work / "jwks.json"))
        kubeconfig = {"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:8098"}}],
                      "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}], "current-context": "c"}
        (self.work / "kubeconfig").write_text(json.dumps(kubeconfig))
        until("the API", 20, lambda: self.fetch("cp", "http://127.0.0.1:8098/version")[0] == 200)

    def start_istiod(self):
        rule = {"issuer": "meshim-test", "jwks_uri": "http://127.0.0.1:8098/jwks.json", "audiences": ["istio-ca"]}
        environment = {**ISTIOD_ENVIRONMENT, "ROOT_CA_DIR": f"{self.work}/ca", "JWT_RULE": json.dumps(rule), "PATH": os.environ["PATH"], "HOME": str(self.work)}
        command = [BUILT / "pilot-discovery", "discovery", "--registries=Kubernetes", "--kubeconfig", self.work / "kubeconfig", "--configDir", self.work / "config",
                   "--meshConfig", self.work / "mesh.yaml", "--networksConfig", "/nonexistent", "--domain", "cluster.local", "--ctrlz_port", "0"]
        self.istiod = Process(self, "istiod", self.inside("cp", *command), env=environment, cwd=self.work)
        try:
            until("istiod", DEADLINE, lambda: self.istiod.has_ended() or self.listens("cp", 15012))
            expect(not self.istiod.has_ended(), "istiod has ended")
        except Failed as error:
            raise Failed(f"{error}:\n{self.istiod.text()[-2000:]}") from None

    def listens(self, name, port):
        out = subprocess.run(self.inside(name, "ss", "-Hltn", "sport", "=", f":{port}", mounts=False), capture_output=True, text=True).stdout
        return bool(out.strip())

    def fetch(self, name, url, seconds=5, method="GET"):
        """Status and body of a request from that namespace, by a user whose traffic the rules capture; (0, reason) without an answer."""
        script = ("import sys,urllib.request,urllib.error\n"
                  "q=urllib.request.Request(sys.argv[1],method=sys.argv[3])\n"
                  "try: r=urllib.request.urlopen(q,timeout=float(sys.argv[2])); print(r.status); print(r.read().decode(errors='replace'),end='')\n"
                  "except urllib.error.HTTPError as e: print(e.code); print(e.read().decode(errors='replace'),end='')\n"
                  "except Exception as e: print(0); print(e,end='')\n")
        command = self.inside(name, "setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups", "/usr/bin/python3", "-c", script, url, seconds, method)
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
        """After a case: no pod, no application, no resource but the base, and an istiod that runs."""
        for process in [process for process in self.processes if process not in (self.api, self.istiod)]:
            process.kill()
        self.processes = [self.api, self.istiod]
        for pod in self.pods:
            pod.stop_proxy()
        self.pods = []
        for path in (self.work / "config").iterdir():
            if path.name != "base.yaml":
                path.unlink()
        if self.istiod.has_ended():
            self.start_istiod()

    def pod(self, name, **how):
        pod = Pod(self, name, **how)
        self.pods.append(pod)
        return pod


class Pod:
    """A namespace with a sidecar: the rules at once, the agent when it is started."""

    def __init__(self, mesh, name, native=False, proxy_config=None, environment=None, mode="REDIRECT", envoy=None):
        self.mesh, self.name, self.address, self.agent = mesh, name, ADDRESSES[name], None
        self.native, self.mode, self.environment = native, mode, environment or {}
        self.proxy_config = {"binaryPath": str(envoy or mesh.work / "envoy"), **(proxy_config or {})}
        self.label = {"app": "shop", "srv": "reviews"}.get(name, name)
        self.rules()

    def rules(self):
        self.inside("sh", "-c", "for t in nat mangle raw filter; do iptables-nft -t $t -F; iptables-nft -t $t -X; done", check=False)
        if self.mode != "NONE":
            command = [self.mesh.work / "pilot-agent", "istio-iptables", "--force-iptables-binary", "nft", "-p", "15001", "-z", "15006", "-u", "1337", "-g", "1337",
                       "-m", self.mode, "-i", "*", "-x", "", "-b", "*", "-d", "15090,15021,15020"]
            self.inside(*command)

    def inside(self, *command, check=True):
        done = subprocess.run(self.mesh.inside(self.name, *command, mounts=False), capture_output=True, text=True)
        if check and done.returncode:
            raise Failed(f"{command[0]}: {done.stderr[-800:]}")
        return done

    def start(self, wait=True):
        """The agent, as an injected pod has it."""
        mesh, folder = self.mesh, self.mesh.work / f"pod-{self.name}"
        shutil.rmtree(folder, ignore_errors=True)
        for part in ("etc/istio/pod", "etc/istio/proxy", "var/run/secrets/tokens", "var/run/secrets/istio", "var/run/secrets/workload-spiffe-uds",
                     "var/run/secrets/credential-uds", "var/lib/istio/data"):
            (folder / part).mkdir(parents=True)
        shutil.copy(mesh.work / "token", folder / "var/run/secrets/tokens/istio-token")
        shutil.copy(mesh.work / "ca/root-cert.pem", folder / "var/run/secrets/istio/root-cert.pem")
        (folder / "etc/istio/pod/labels").write_text(f'app="{self.label}"\nversion="v1"\n')
        containers = ('{"initContainers":["istio-init","istio-proxy"],"containers":null' if self.native
                      else '{"initContainers":["istio-init"],"containers":["istio-proxy"]')
        status = json.dumps(containers + ',"volumes":["istio-envoy"],"imagePullSecrets":null,"revision":"default"}')
        (folder / "etc/istio/pod/annotations").write_text(f'sidecar.istio.io/status={status}\nsidecar.istio.io/interceptionMode="{self.mode}"\n')
        subprocess.run(["chown", "-R", "1337:1337", folder], check=True)
        subprocess.run(["chmod", "-R", "a+rwX", folder], check=True)
        environment = {
            "PATH": "/usr/bin:/bin", "POD_NAME": f"{self.label}-5d4f", "POD_NAMESPACE": "shop", "INSTANCE_IP": self.address, "SERVICE_ACCOUNT": "shop",
            "HOST_IP": "10.66.0.1", "PROXY_CONFIG": json.dumps(self.proxy_config), "CA_ADDR": f"{ISTIOD}:15012", "PILOT_CERT_PROVIDER": "istiod",
            "TRUST_DOMAIN": "cluster.local", "ISTIO_META_CLUSTER_ID": "Kubernetes", "ISTIO_META_NODE_NAME": "node1", "ISTIO_META_INTERCEPTION_MODE": self.mode,
            "ISTIO_META_WORKLOAD_NAME": self.label, "ISTIO_META_OWNER": f"kubernetes://apis/apps/v1/namespaces/shop/deployments/{self.label}",
            "ISTIO_META_MESH_ID": "cluster.local", "ISTIO_META_APP_CONTAINERS": self.label, "GOMEMLIMIT": "1073741824", "GOMAXPROCS": "2", "ISTIO_CPU_LIMIT": "2",
            "ISTIO_META_POD_PORTS": '[{"name":"http","containerPort":8080,"protocol":"TCP"}]', **self.environment,
        }
        command = ["setpriv", "--reuid", "1337", "--regid", "1337", "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all",
                   mesh.work / "pilot-agent", "proxy", "sidecar", "--domain", "shop.svc.cluster.local", "--proxyLogLevel=warning",
                   "--proxyComponentLogLevel=misc:error", "--log_output_level=default:info", "--templateFile", mesh.work / "envoy_bootstrap.json", "--concurrency", "1"]
        self.agent = Process(mesh, f"agent-{self.name}", mesh.inside(self.name, *command), env=environment, cwd=folder)
        if wait:
            until(f"{self.name}'s proxy", DEADLINE, self.is_ready)
        return self

    def is_ready(self):
        return self.mesh.fetch(self.name, "http://127.0.0.1:15021/healthz/ready", 1)[0] == 200

    def admin(self, path, method="GET"):
        return self.mesh.fetch(self.name, f"http://127.0.0.1:15000{path}", 10, method)

    def stop_proxy(self):
        """Ends agent and Envoy as the end of their container does."""
        listed = self.mesh.prefix + self.name
        if self.agent:
            self.agent.kill()
        for pid in subprocess.run(["ip", "netns", "pids", listed], capture_output=True, text=True).stdout.split():
            try:
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                if name in ("envoy", "pilot-agent"):
                    os.kill(int(pid), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass

    def application(self, *command, uid=10001, name="app", environment=None):
        """A command as the application's container runs it: PID 1 of a PID namespace, that user, no privileges."""
        variables = [f"{key}={value}" for key, value in {"PYTHONUNBUFFERED": "1", "MESHIM_TERMINATION_LOG": "/nonexistent/log", **(environment or {})}.items()]
        drop = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
        line = self.mesh.inside(self.name, "unshare", "-p", "-f", "--kill-child", "--mount-proc", *drop, "env", *variables, *command)
        return Application(self.mesh, f"{name}-{self.name}", line)


class Application(Process):
    """PID 1 of its namespace is the grandchild: signals go to that one."""

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
        """How many were answered, and how each of the others failed."""
        self.process.send(signal.SIGTERM)
        self.process.wait(30)
        return json.loads(self.process.text().strip().splitlines()[-1])
