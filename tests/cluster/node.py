"""A Kubernetes node as the first process of namespaces of its own.

node.py WORK PROGRAMS CGROUP ARCHIVE...

Owns the network, the keys and the programs of the node. It lives in new network, mount, PID, IPC
and UTS namespaces, all state is in memory, and nothing leads out: when this process ends, the
kernel ends and removes everything but the control groups. It ends when its standard input does.
Says "ready" when pods can be scheduled, and why it ends where a program of the node has ended.
"""
import json, os, pathlib, select, socket, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
NODE, PODS, SERVICES, API = "10.77.0.1", "10.244.0.0/24", "10.96.0.0/16", "https://10.77.0.1:6443"
DEADLINE = 300
GATES = "ContainerStopSignals=true"
CERTIFICATES = {
    "apiserver": (
        "/CN=kube-apiserver",
        "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
        "DNS:kubernetes.default.svc.cluster.local,"
        f"IP:127.0.0.1,IP:10.96.0.1,IP:{NODE}",
    ),
    "admin": ("/O=system:masters/CN=admin", "DNS:admin"),
    "kubelet": ("/CN=node", f"IP:{NODE},DNS:node"),
}
KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "failCgroupV1": False,
    "cgroupDriver": "cgroupfs",
    "address": NODE,
    "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    "authentication": {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": "ca.crt"},
    },
    "authorization": {"mode": "Webhook"},
    "tlsCertFile": "kubelet.crt",
    "tlsPrivateKeyFile": "kubelet.key",
    "clusterDNS": [NODE],
    "clusterDomain": "cluster.local",
    "failSwapOn": False,
    "serializeImagePulls": False,
    "evictionHard": {"memory.available": "100Mi"},
    "featureGates": {"ContainerStopSignals": True},
    # So that a deletion is seen at once by a machine that has much to do.
    "syncFrequency": "10s",
}
# ptp, not bridge: everything is routed, so that Services work between pods without br_netfilter.
NETWORK = {
    "cniVersion": "1.0.0",
    "name": "pods",
    "plugins": [
        {
            "type": "ptp",
            "ipMasq": False,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}


def sh(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {done.stderr.strip()[-500:]}")
    return done.stdout


def mounts():
    """Runtime folders that nobody else sees, in memory."""
    sh("mount", "--make-rshared", "/")
    for folder in ("/run", "/var/lib", "/var/log"):
        sh("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    for folder in ("/run/netns", "/var/lib/kubelet", "/var/log/pods"):
        pathlib.Path(folder).mkdir()


def network():
    socket.sethostname("node")
    sh("ip", "link", "set", "lo", "up")
    sh("ip", "link", "add", "node0", "type", "bridge")
    sh("ip", "addr", "add", f"{NODE}/24", "dev", "node0")
    sh("ip", "link", "set", "node0", "up")
    # Nothing leads out, and Services need a route to be looked at by the rules.
    sh("ip", "route", "add", SERVICES, "dev", "node0")
    for setting in ("ip_forward", "conf/all/forwarding"):
        pathlib.Path(f"/proc/sys/net/ipv4/{setting}").write_text("1")


def abilities():
    """What a node asks of the kernel, each tried once: where one is missing, that is the
    sentence."""
    layers = pathlib.Path("/run/layers")
    for name in ("lower", "upper", "work", "all"):
        (layers / name).mkdir(parents=True)
    options = ",".join(f"{name}dir={layers / name}" for name in ("lower", "upper", "work"))
    tried = {
        "overlay filesystems in memory": (
            "mount", "-t", "overlay", "-o", options, "x", layers / "all",
        ),
        "pairs of interfaces": (
            "ip", "link", "add", "try0", "type", "veth", "peer", "name", "try1",
        ),
        "NAT by iptables": (
            "iptables", "-t", "nat", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "NEW", "-m",
            "comment", "--comment", "tried", "-m", "statistic", "--mode", "random", "--probability",
            "0.5", "-j", "ACCEPT",
        ),
    }
    for what, command in tried.items():
        try:
            sh(*command)
        except OSError as error:
            raise OSError(f"this machine has no {what}, which a node needs: {error}") from None
    sh("umount", layers / "all")
    sh("ip", "link", "del", "try0")
    sh("iptables", "-t", "nat", "-F", "OUTPUT")


def keys():
    request = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    sh(*request, "-x509", "-days", "30", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt")
    sh("openssl", "genrsa", "-out", "sa.key", "2048")
    sh("openssl", "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    for name, (subject, alternatives) in CERTIFICATES.items():
        pathlib.Path("names").write_text(f"subjectAltName={alternatives}")
        sh(*request, "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        sh(
            "openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "30", "-out", f"{name}.crt", "-extfile", "names",
        )


def configurations(programs):
    here = pathlib.Path.cwd()
    admin = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": API, "certificate-authority": str(here / "ca.crt")}}
        ],
        "users": [
            {
                "name": "u",
                "user": {
                    "client-certificate": str(here / "admin.crt"),
                    "client-key": str(here / "admin.key"),
                },
            }
        ],
    }
    (here / "kubeconfig").write_text(json.dumps(admin))
    (here / "resolv.conf").write_text(f"nameserver {NODE}\n")
    (here / "kubelet.yaml").write_text(
        json.dumps({**KUBELET, "resolvConf": str(here / "resolv.conf")})
    )
    (here / "cni").mkdir()
    (here / "cni" / "10-pods.conflist").write_text(json.dumps(NETWORK))
    runtime = 'plugins."io.containerd.cri.v1.runtime"'
    (here / "containerd.toml").write_text(f"""version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "docker.io/local/pause:1"
[{runtime}]
restrict_oom_score_adj = true
[{runtime}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{runtime}.cni]
bin_dirs = ["{programs}"]
conf_dir = "{here}/cni"
""")


def start(name, *command):
    with open(f"{name}.log", "w") as log:
        return subprocess.Popen(
            [str(word) for word in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def until(what, running, look):
    """Waits for a fact, as long as every program of the node runs."""
    end, said = time.monotonic() + DEADLINE, ""
    while time.monotonic() < end:
        ended = [name for name, process in running.items() if process.poll() is not None]
        if ended:
            raise OSError(
                f"{', '.join(ended)} ended: "
                f"{pathlib.Path(f'{ended[0]}.log').read_text(errors='replace')[-1500:]}"
            )
        try:
            if look():
                return
        except OSError as error:
            said = error
        time.sleep(0.1)
    raise OSError(f"{what}: not within {DEADLINE} s: {said}")


def main(work, programs, group, *archives):
    os.chdir(work)
    programs = pathlib.Path(programs)
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin"
    os.environ["KUBECONFIG"] = f"{work}/kubeconfig"
    mounts()
    network()
    abilities()
    keys()
    configurations(programs)
    etcd = "http://127.0.0.1:2379"
    running = {
        "etcd": start(
            "etcd", programs / "server", "--data-dir=/var/lib/etcd", f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}", "--listen-peer-urls=http://127.0.0.1:2380",
            "--log-level=error", "--unsafe-no-fsync",
        ),
        "containerd": start(
            "containerd", programs / "containerd", "-c", "containerd.toml", "-l", "warn"
        ),
        "apiserver": start(
            "apiserver", programs / "kube-apiserver", f"--etcd-servers={etcd}",
            f"--service-cluster-ip-range={SERVICES}", f"--advertise-address={NODE}",
            "--tls-cert-file=apiserver.crt", "--tls-private-key-file=apiserver.key",
            "--client-ca-file=ca.crt", "--kubelet-client-certificate=admin.crt",
            "--kubelet-client-key=admin.key", "--kubelet-certificate-authority=ca.crt",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-signing-key-file=sa.key", "--service-account-key-file=sa.pub",
            "--kubelet-preferred-address-types=InternalIP", "--authorization-mode=Node,RBAC",
            "--allow-privileged", f"--feature-gates={GATES}",
        ),
    }
    until("containerd", running, lambda: sh("ctr", "version"))
    for archive in archives:
        sh("ctr", "-n", "k8s.io", "images", "import", "--local", archive)
    until("the API server", running, lambda: sh("kubectl", "get", "--raw", "/readyz"))
    running |= {
        "controllers": start(
            "controllers", programs / "kube-controller-manager", "--kubeconfig=kubeconfig",
            "--service-account-private-key-file=sa.key", "--root-ca-file=ca.crt",
            "--leader-elect=false", "--use-service-account-credentials",
        ),
        "scheduler": start(
            "scheduler", programs / "kube-scheduler", "--kubeconfig=kubeconfig",
            "--leader-elect=false",
        ),
        "proxy": start(
            "proxy", programs / "kube-proxy", "--kubeconfig=kubeconfig", "--hostname-override=node",
            "--proxy-mode=iptables", f"--cluster-cidr={PODS}", "--conntrack-max-per-core=0",
            "--conntrack-min=0", f"--bind-address={NODE}",
        ),
        "kubelet": start(
            "kubelet", programs / "kubelet", "--config=kubelet.yaml", "--kubeconfig=kubeconfig",
            "--hostname-override=node", f"--node-ip={NODE}", f"--cgroup-root={group}", "--v=2",
        ),
        "dns": start(
            "dns", sys.executable, HERE / "dns.py", NODE, API, "ca.crt", "admin.crt", "admin.key"
        ),
    }
    until(
        "the node",
        running,
        lambda: (
            "True"
            in sh(
                "kubectl", "get", "node", "node", "-o",
                'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
            )
        ),
    )
    until(
        "a service account",
        running,
        lambda: sh("kubectl", "-n", "default", "get", "serviceaccount", "default"),
    )
    print("ready", flush=True)
    watch(running)


def watch(running):
    """Until standard input ends; orphans are reaped, as the first process must."""
    names = {process.pid: name for name, process in running.items()}
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid in names:
                sys.exit(f"{names[pid]} has ended, status {status}")


try:
    main(*sys.argv[1:])
except OSError as error:
    sys.exit(f"the node does not come up: {error}")
