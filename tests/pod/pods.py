"""Pods for real, by podman (runc), with a real Envoy as the sidecar.

Owns podman's settings, the images and what a manifest becomes under podman; must never decide what
is right. Installs what it needs from Debian's packages when run as root, and says what is missing
otherwise. Images and containers are in a storage of their own below target/.
"""

import atexit, json, os, pathlib, re, shutil, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "target" / "pod"
PYTHON = ROOT / "target" / "manifests-1" / "bin" / "python"
PACKAGES = {
    "podman": "podman",
    "runc": "runc",
    "conmon": "conmon",
    "netavark": "netavark",
    "catatonit": "catatonit",
}
ENVOY = "1.40.0"
PLAYED_BY = "podman 4.3"  # what docs/support.md tells
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
SIDECAR = "localhost/envoy-sidecar"
FILTERS = "type.googleapis.com/envoy.extensions.filters"
SIDECAR_ARGS = [
    "--config-path",
    "/etc/envoy/envoy.json",
    "--disable-hot-restart",
    "--concurrency",
    "1",
]
DEADLINE = 180
PODMAN = []  # the program with its options, from set_up() on

if pathlib.Path(sys.prefix) != PYTHON.parent.parent:
    # Its virtual environment has the YAML that this one needs, too.
    subprocess.run([ROOT / "tests" / "manifests" / "schemas.py"], check=True)
    os.execv(PYTHON, [PYTHON, *sys.argv])

import yaml


def fail(text):
    sys.exit(f"tests/pod/{pathlib.Path(sys.argv[0]).name}: {text}")


def set_up():
    install_packages()
    PODMAN[:] = configure()
    tell_version()
    build_images()
    atexit.register(podman, "image", "unmount", "--all", check=False)


def install_packages():
    where = os.environ["PATH"] + ":/usr/sbin:/usr/lib/podman:/usr/libexec/podman"
    missing = [
        package for program, package in PACKAGES.items() if not shutil.which(program, path=where)
    ]
    if os.geteuid() != 0:
        fail(
            "pods with networks of their own need root here"
            + (f", and {' '.join(missing)} first" if missing else "")
        )
    if missing:
        wanted = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing, "iptables"]
        subprocess.run(["apt-get", "update", "-q"], stdout=subprocess.DEVNULL)
        if subprocess.run(
            wanted,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        ).returncode:
            fail(f"apt-get cannot install {' '.join(missing)}")


def configure():
    """runc, since crun cannot do hybrid cgroups; limits that no machine is below; no systemd."""
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "containers.conf").write_text(
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
        'log_driver = "k8s-file"\n'
    )
    os.environ["CONTAINERS_CONF"] = str(WORK / "containers.conf")
    place = ["podman", "--root", str(WORK / "storage"), "--runroot", "/run/meshim-pod-test"]
    for driver in ("overlay", "vfs"):
        tried = subprocess.run(
            [*place, "--storage-driver", driver, "info"], capture_output=True, text=True
        )
        if tried.returncode == 0:
            return [*place, "--storage-driver", driver]
    fail(f"podman does not work here: {tried.stderr.strip()}")


def tell_version():
    """Another podman is no fault, but the page does not speak of it."""
    seen = subprocess.run([*PODMAN, "version", "-f", "podman {{.Version}}"], capture_output=True)
    version = seen.stdout.decode().strip()
    if version.startswith(f"{PLAYED_BY}."):
        return
    text = f"that the manifests play on {PLAYED_BY}: this machine has {version}"
    print(text, flush=True)
    if "MESHIM_CI_NOT_CHECKED" in os.environ:
        with open(os.environ["MESHIM_CI_NOT_CHECKED"], "a") as told:
            told.write(text + "\n")


def podman(*args, check=True, timeout=DEADLINE):
    done = subprocess.run(
        [*PODMAN, *map(str, args)], capture_output=True, text=True, timeout=timeout
    )
    if check and done.returncode:
        fail(f"podman {' '.join(map(str, args))}: {done.stderr.strip()}")
    return done


def build_images():
    log = WORK / "build.log"
    with log.open("w") as out:
        environment = {**os.environ, "MESHIM_IMAGE_TOOL": " ".join(PODMAN)}
        if subprocess.run(
            [ROOT / "images" / "build"], stdout=out, stderr=out, env=environment
        ).returncode:
            fail(f"images/build failed:\n{log.read_text()[-2000:]}")
    binary = ROOT / "target" / "envoy" / ENVOY / "envoy"
    if not binary.exists():
        # The example knows its pinned hashes.
        fetch = ["cargo", "run", "-q", "--example", "quickstart", "--", "--envoy"]
        subprocess.run(fetch, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not binary.exists():
        fail(f"Envoy {ENVOY} could not be fetched to {binary}: is there a network?")
    root = WORK / "envoy-root"
    if not root.exists():
        half = WORK / "envoy-root.half"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        libraries = subprocess.run(
            ["ldd", binary], capture_output=True, text=True, check=True
        ).stdout
        for library in [word for word in libraries.split() if word.startswith("/")]:
            (half / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, half / library[1:])
        shutil.copy(binary, half / "envoy")
        (half / "Dockerfile").write_text('FROM scratch\nCOPY . /\nENTRYPOINT ["/envoy"]\n')
        half.rename(root)
    podman("build", "-q", "-t", SIDECAR, root, timeout=300)


def sidecar_configuration(folder):
    """What tells an Istio sidecar apart, as far as a real Envoy alone can be one.

    The agent's paths lead to its own admin API."""

    def address(ip, port):
        return {"socket_address": {"address": ip, "port_value": port}}

    def listener(port, routes):
        manager = {
            "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": str(port),
            "route_config": {
                "virtual_hosts": [
                    {
                        "name": "all",
                        "domains": ["*"],
                        "routes": [
                            {
                                "match": {"path": path},
                                "route": {"cluster": "admin", "prefix_rewrite": to},
                            }
                            for path, to in routes
                        ],
                    }
                ]
            },
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"},
                }
            ],
        }
        filters = [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
        return {
            "name": str(port),
            "address": address("0.0.0.0", port),
            "filter_chains": [{"filters": filters}],
        }

    def original_destination(name):
        return {
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": name,
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": "5s",
        }

    admin = {
        "name": "admin",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "admin",
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": address("127.0.0.1", 15000)}}]}
            ],
        },
    }
    bootstrap = {
        "node": {"id": "sidecar", "cluster": "hello", "metadata": {"ISTIO_VERSION": "1.24.0"}},
        "admin": {"address": address("127.0.0.1", 15000)},
        "dynamic_resources": {
            "cds_config": {
                "resource_api_version": "V3",
                "path_config_source": {"path": "/etc/envoy/cds.json"},
            }
        },
        "static_resources": {
            "clusters": [admin],
            "listeners": [
                listener(15001, []),
                listener(15006, []),
                listener(15090, [("/stats/prometheus", "/stats/prometheus")]),
                listener(15021, [("/healthz/ready", "/ready")]),
                listener(15020, [("/quitquitquit", "/quitquitquit")]),
            ],
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "envoy.json").write_text(json.dumps(bootstrap))
    clusters = [
        original_destination("inbound|8080||"),
        original_destination("InboundPassthroughCluster"),
    ]
    (folder / "cds.json").write_text(json.dumps({"version_info": "1", "resources": clusters}))


def by_digest(reference):
    """`name:tag@digest` as `name@digest`.

    A kubelet takes both and goes by the digest, podman 4.3 takes only the second."""
    name, _, digest = reference.partition("@")
    return f"{name.rsplit(':', 1)[0]}@{digest}" if digest else reference


def image_volume(reference):
    """The folder with what an image volume shows: the image's root, to be mounted read-only."""
    reference = by_digest(reference)
    if podman("image", "exists", reference, check=False).returncode:
        podman("pull", "-q", reference)
    return podman("image", "mount", reference).stdout.split()[-1]


class Pod:
    """A manifest's pod, with a sidecar as Istio's webhook adds it; gone at the end of the block.

    `manifest` is a file of the repository, or the document itself. With `late` the sidecar is not
    there before start_sidecar(). `seccomp` is a profile by the annotation that podman reads, below
    target/pod/seccomp where it is a file.
    """

    def __init__(self, name, manifest, change=lambda spec, app: None, late=False, seccomp=None):
        document = (
            manifest
            if isinstance(manifest, dict)
            else next(yaml.safe_load_all((ROOT / manifest).read_text()))
        )
        template = document["spec"]["template"] if "template" in document["spec"] else document
        spec, self.name = template["spec"], name
        # podman restarts init containers, too, otherwise; publishes ports on the machine; and has
        # no exec probes without systemd.
        spec["restartPolicy"] = "Never"
        for container in spec["containers"]:
            for unplayed in ("ports", "startupProbe", "readinessProbe"):
                container.pop(unplayed, None)
        app = spec["containers"][0]
        change(spec, app)
        self.app = f"{name}-{app['name']}"
        folder = self.sidecar = WORK / "sidecar"
        sidecar_configuration(folder)
        spec["containers"] += (
            []
            if late
            else [
                {
                    "name": "istio-proxy",
                    "image": SIDECAR,
                    "imagePullPolicy": "Never",
                    "args": SIDECAR_ARGS,
                    "volumeMounts": [
                        {"name": "envoy", "mountPath": "/etc/envoy", "readOnly": True}
                    ],
                    "securityContext": {
                        "runAsUser": 1337,
                        "runAsGroup": 1337,
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ]
        )
        for volume in spec.setdefault("volumes", []):
            if "image" in volume:
                # podman 4.3 knows no image volumes: the image, mounted as a folder, stands in.
                volume["hostPath"] = {
                    "path": image_volume(volume.pop("image")["reference"]),
                    "type": "Directory",
                }
        # A volume of its own for each pod: podman's emptyDir is a named volume.
        for volume in spec["volumes"]:
            if "emptyDir" in volume:
                for container in spec["containers"] + spec.get("initContainers", []):
                    for mount in container.get("volumeMounts", []):
                        if mount["name"] == volume["name"]:
                            mount["name"] = f"{name}-volume"
                volume["name"] = f"{name}-volume"
        spec["volumes"] += (
            []
            if late
            else [{"name": "envoy", "hostPath": {"path": str(folder), "type": "Directory"}}]
        )
        metadata = {"name": name}
        if seccomp:
            metadata["annotations"] = {"seccomp.security.alpha.kubernetes.io/pod": seccomp}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self.file = WORK / f"{name}.yaml"
        self.file.write_text(yaml.safe_dump(pod))

    def __enter__(self):
        self.remove()
        podman("kube", "play", "--seccomp-profile-root", WORK / "seccomp", self.file)
        return self

    def __exit__(self, *_):
        self.remove()

    def start_sidecar(self):
        podman(
            "run",
            "-d",
            "--pod",
            self.name,
            "--name",
            f"{self.name}-istio-proxy",
            "--user",
            "1337:1337",
            "--read-only",
            "--cap-drop",
            "all",
            "-v",
            f"{self.sidecar}:/etc/envoy:ro",
            SIDECAR,
            *SIDECAR_ARGS,
        )

    def remove(self):
        podman("pod", "rm", "-f", "-t", "0", self.name, check=False)
        podman("volume", "rm", "-f", f"{self.name}-volume", check=False)

    def logs(self, container=None):
        done = podman("logs", container or self.app, check=False)
        return done.stderr + done.stdout

    def wait_for(self, text):
        until = time.monotonic() + DEADLINE
        while text not in self.logs():
            over = time.monotonic() > until or self.state(self.app)["Status"] == "exited"
            if over and text not in self.logs():
                fail(
                    f"{self.name}: `{text}` never came; the application's log:\n{self.logs()}\n"
                    "the proxy's, its end:\n"
                    f"{self.logs(self.name + '-istio-proxy')[-1500:]}"
                )
            time.sleep(0.05)

    def state(self, container):
        return json.loads(podman("inspect", container).stdout)[0]["State"]

    def exit_code(self, container=None):
        """Waits for its end."""
        return int(podman("wait", container or self.app).stdout)

    def exec(self, *words):
        return podman("exec", self.app, *words, check=False)

    def address(self):
        infra = json.loads(podman("pod", "inspect", self.name).stdout)["InfraContainerID"]
        inspected = json.loads(podman("inspect", infra).stdout)[0]
        return next(iter(inspected["NetworkSettings"]["Networks"].values()))["IPAddress"]


def expect(condition, text, *seen):
    if not condition:
        fail("\n".join([text, *map(str, seen)]))
