#!/usr/bin/env python3
"""Pods for real: tests/pod/play.py

podman (runc) plays the manifests of deploy/ and examples/ with a real Envoy as the sidecar: meshim
comes from a volume, by an init container or as an image volume shows it; the application comes from scratch, with a read-only root, no capabilities and user ids that nobody knows. Then TERM, a finding
of `check` by exec, refusals, and a Job that ends. Installs what it needs from Debian's packages when run as root, and says what is
missing otherwise. Images and containers are in a storage of their own below target/.
"""
import json, os, pathlib, shutil, subprocess, sys, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "target" / "pod"
PYTHON = ROOT / "target" / "manifests-1" / "bin" / "python"
PACKAGES = {"podman": "podman", "runc": "runc", "conmon": "conmon", "netavark": "netavark", "catatonit": "catatonit"}
ENVOY = "1.40.0"
DEADLINE = 60

if pathlib.Path(sys.prefix) != PYTHON.parent.parent:
    # Its virtual environment has the YAML that this one needs, too.
    subprocess.run([ROOT / "tests" / "manifests" / "schemas.py"], check=True)
    os.execv(PYTHON, [PYTHON, *sys.argv])

import yaml


def fail(text):
    sys.exit(f"tests/pod/play.py: {text}")


def install_packages():
    where = os.environ["PATH"] + ":/usr/sbin:/usr/lib/podman:/usr/libexec/podman"
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program, path=where)]
    if os.geteuid() != 0:
        fail("pods with networks of their own need root here" + (f", and {' '.join(missing)} first" if missing else ""))
    if missing:
        wanted = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing, "iptables"]
        subprocess.run(["apt-get", "update", "-q"], stdout=subprocess.DEVNULL)
        if subprocess.run(wanted, stdout=subprocess.DEVNULL, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}).returncode:
            fail(f"apt-get cannot install {' '.join(missing)}")


def configure():
    """runc, since crun cannot do hybrid cgroups; limits that no machine is below; no systemd needed."""
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "containers.conf").write_text(
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\nlog_driver = "k8s-file"\n'
    )
    os.environ["CONTAINERS_CONF"] = str(WORK / "containers.conf")
    place = ["podman", "--root", str(WORK / "storage"), "--runroot", "/run/meshim-pod-test"]
    for driver in ("overlay", "vfs"):
        tried = subprocess.run([*place, "--storage-driver", driver, "info"], capture_output=True, text=True)
        if tried.returncode == 0:
            return [*place, "--storage-driver", driver]
    fail(f"podman does not work here: {tried.stderr.strip()}")


def podman(*args, check=True, timeout=DEADLINE):
    done = subprocess.run([*PODMAN, *map(str, args)], capture_output=True, text=True, timeout=timeout)
    if check and done.returncode:
        fail(f"podman {' '.join(map(str, args))}: {done.stderr.strip()}")
    return done


def build_images():
    log = WORK / "build.log"
    with log.open("w") as out:
        environment = {**os.environ, "MESHIM_IMAGE_TOOL": " ".join(PODMAN)}
        if subprocess.run([ROOT / "images" / "build"], stdout=out, stderr=out, env=environment).returncode:
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
        libraries = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
        for library in [word for word in libraries.split() if word.startswith("/")]:
            (half / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, half / library[1:])
        shutil.copy(binary, half / "envoy")
        (half / "Dockerfile").write_text('FROM scratch\nCOPY . /\nENTRYPOINT ["/envoy"]\n')
        half.rename(root)
    podman("build", "-q", "-t", "localhost/envoy-sidecar", root, timeout=300)


def sidecar_configuration(folder):
    """What tells an Istio sidecar apart, as far as a real Envoy alone can be one: the agent's paths lead to its own admin API."""
    def address(ip, port):
        return {"socket_address": {"address": ip, "port_value": port}}

    def listener(port, routes):
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": str(port),
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"path": path}, "route": {"cluster": "admin", "prefix_rewrite": to}} for path, to in routes
            ]}]},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
        }
        filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
        return {"name": str(port), "address": address("0.0.0.0", port), "filter_chains": [{"filters": filters}]}

    def original_destination(name):
        return {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": name, "type": "ORIGINAL_DST",
                "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "5s"}

    admin = {"name": "admin", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
        "cluster_name": "admin", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address("127.0.0.1", 15000)}}]}]}}
    bootstrap = {
        "node": {"id": "sidecar", "cluster": "hello", "metadata": {"ISTIO_VERSION": "1.24.0"}},
        "admin": {"address": address("127.0.0.1", 15000)},
        "dynamic_resources": {"cds_config": {"resource_api_version": "V3", "path_config_source": {"path": "/etc/envoy/cds.json"}}},
        "static_resources": {"clusters": [admin], "listeners": [
            listener(15001, []), listener(15006, []), listener(15090, [("/stats/prometheus", "/stats/prometheus")]),
            listener(15021, [("/healthz/ready", "/ready")]), listener(15020, [("/quitquitquit", "/quitquitquit")]),
        ]},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "envoy.json").write_text(json.dumps(bootstrap))
    clusters = [original_destination("inbound|8080||"), original_destination("InboundPassthroughCluster")]
    (folder / "cds.json").write_text(json.dumps({"version_info": "1", "resources": clusters}))


def image_volume():
    """What an image volume of meshim's image shows: its root, read-only."""
    folder = WORK / "image-volume"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "target" / f"{os.uname().machine}-unknown-linux-musl" / "release" / "meshim", folder / "meshim")
    return folder


class Pod:
    """A manifest's pod, played with a sidecar as Istio's webhook adds it; gone at the end of the block."""

    def __init__(self, name, manifest, change=lambda spec, app: None):
        document = next(yaml.safe_load_all((ROOT / manifest).read_text()))
        template = document["spec"]["template"] if "template" in document["spec"] else document
        spec, self.name = template["spec"], name
        # podman restarts init containers, too, otherwise; publishes ports on the machine; and has no exec probes without systemd.
        spec["restartPolicy"] = "Never"
        for container in spec["containers"]:
            for unplayed in ("ports", "startupProbe", "readinessProbe"):
                container.pop(unplayed, None)
        app = spec["containers"][0]
        change(spec, app)
        self.app = f"{name}-{app['name']}"
        folder = WORK / "sidecar"
        sidecar_configuration(folder)
        spec["containers"].append({
            "name": "istio-proxy", "image": "localhost/envoy-sidecar", "imagePullPolicy": "Never",
            "args": ["--config-path", "/etc/envoy/envoy.json", "--disable-hot-restart", "--concurrency", "1"],
            "volumeMounts": [{"name": "envoy", "mountPath": "/etc/envoy", "readOnly": True}],
            "securityContext": {"runAsUser": 1337, "runAsGroup": 1337, "allowPrivilegeEscalation": False,
                                "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        })
        for volume in spec.setdefault("volumes", []):
            if "image" in volume:
                # podman 4.3 knows no image volumes: the folder that the image holds stands in for it.
                del volume["image"]
                volume["hostPath"] = {"path": str(image_volume()), "type": "Directory"}
        # A volume of its own for each pod: podman's emptyDir is a named volume.
        for volume in spec["volumes"]:
            if "emptyDir" in volume:
                for container in spec["containers"] + spec.get("initContainers", []):
                    for mount in container.get("volumeMounts", []):
                        if mount["name"] == volume["name"]:
                            mount["name"] = f"{name}-volume"
                volume["name"] = f"{name}-volume"
        spec["volumes"].append({"name": "envoy", "hostPath": {"path": str(folder), "type": "Directory"}})
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self.file = WORK / f"{name}.yaml"
        self.file.write_text(yaml.safe_dump(pod))

    def __enter__(self):
        self.remove()
        podman("kube", "play", self.file)
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        podman("pod", "rm", "-f", "-t", "0", self.name, check=False)
        podman("volume", "rm", "-f", f"{self.name}-volume", check=False)

    def logs(self, container=None):
        done = podman("logs", container or self.app, check=False)
        return done.stdout + done.stderr

    def wait_for(self, text):
        until = time.monotonic() + DEADLINE
        while text not in self.logs():
            if time.monotonic() > until or self.state(self.app)["Status"] == "exited":
                fail(f"{self.name}: `{text}` never came; the application's log:\n{self.logs()}\nthe proxy's, its end:\n"
                     f"{self.logs(self.name + '-istio-proxy')[-1500:]}")
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


def a_scratch_image_gets_meshim(manifest, user):
    def change(spec, app):
        spec["securityContext"].update(runAsUser=user, runAsGroup=user)

    with Pod(f"{manifest}-{user}", f"deploy/{manifest}.yaml", change) as pod:
        pod.wait_for("listening on 0.0.0.0:8080")
        log = pod.logs()
        expect("the proxy is ready mesh=istio" in log, "meshim did not wait:", log)
        inspected = json.loads(podman("inspect", pod.app).stdout)[0]
        expect(inspected["HostConfig"]["ReadonlyRootfs"] and not inspected["EffectiveCaps"], "not as restricted as it says", inspected)
        status = subprocess.run(["cat", f"/proc/{inspected['State']['Pid']}/status"], capture_output=True, text=True).stdout
        expect(f"Uid:\t{user}\t{user}" in status and "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status,
               "not the user, or with privileges", status)
        address = pod.address()
        body = urllib.request.urlopen(f"http://{address}:8080/", timeout=10).read()
        expect(body == b"hello from the application\n", "the pod does not answer", body)
        checked = pod.exec("/meshim-bin/meshim", "check")
        expect(checked.returncode == 0 and "ok: 0 errors" in checked.stdout and address in checked.stdout, "check", checked)
        expect("8080 -> pod address" in checked.stdout, "the inbound clusters were not read", checked)
        expect(pod.exec("/meshim-bin/meshim", "probe", "http://127.0.0.1:8080/healthz").returncode == 0, "probe says no")
        refused = pod.exec("/meshim-bin/meshim", "probe", "tcp://127.0.0.1:9")
        expect(refused.returncode == 1 and "nobody listens there" in refused.stderr, "probe says yes", refused)
        podman("kill", "--signal", "TERM", pod.app)
        expect(pod.exit_code() == 0 and "got SIGTERM" in pod.logs(), "TERM did not reach the application", pod.logs())


def check_by_exec_prints_a_finding_that_a_newcomer_can_act_on():
    def change(spec, app):
        app["args"] = ["127.0.0.1:8080"]
        app["env"] = []

    with Pod("loopback", "deploy/server.yaml", change) as pod:
        pod.wait_for("listening on 127.0.0.1:8080")
        checked = pod.exec("/meshim-bin/meshim", "check")
        print("\n".join("    " + line for line in checked.stdout.splitlines()))
        wanted = ["error: the application (hello-server, process ", "listens on 127.0.0.1 only, port 8080", "fix: let the application"]
        expect(checked.returncode == 1 and all(part in checked.stdout for part in wanted), "check found something else", checked)


def a_listen_address_that_cannot_be_reached_is_refused_before_start():
    def change(spec, app):
        app["env"] = [{"name": "MESHIM_LISTEN", "value": "127.0.0.1:8080"}]

    with Pod("announced", "deploy/server.yaml", change) as pod:
        code = pod.exit_code()
        expect(code == 125 and "listens on 127.0.0.1 only" in pod.logs(), f"ended with {code}", pod.logs())
        expect("listening on" not in pod.logs(), "the application was started", pod.logs())


def the_proxys_own_user_is_refused():
    with Pod("reserved", "deploy/server.yaml", lambda spec, app: spec["securityContext"].update(runAsUser=1337)) as pod:
        code = pod.exit_code()
        expect(code == 125 and "uid-is-the-proxys" in pod.logs(), f"ended with {code}", pod.logs())


def the_example_with_meshim_in_its_image_runs():
    with Pod("after", "examples/shell-loop/after.yaml") as pod:
        pod.wait_for("listening on 0.0.0.0:8080 as process 1")
        expect(pod.exec("/meshim", "check").returncode == 0, "check says no")
        podman("kill", "--signal", "TERM", pod.app)
        expect(pod.exit_code() == 0, "TERM", pod.logs())


def a_server_under_a_classic_sidecar_is_stopped_in_order():
    with Pod("classic", "deploy/server-classic.yaml") as pod:
        pod.wait_for("listening on 0.0.0.0:8080")
        podman("kill", "--signal", "TERM", pod.app)
        expect(pod.exit_code() == 0 and "got SIGTERM" in pod.logs(), "TERM did not reach the application", pod.logs())


def a_job_ends_and_takes_its_sidecar_with_it():
    def change(spec, app):
        app["args"] = ["--fetch", "127.0.0.1:15021"]

    with Pod("job", "deploy/job-classic.yaml", change) as pod:
        code = pod.exit_code()
        expect(code == 0 and "hello-server: got HTTP/1.1" in pod.logs(), f"the job ended with {code}", pod.logs())
        expect(pod.exit_code("job-istio-proxy") == 0, "the proxy still runs", pod.logs())


def the_base_image_is_an_entrypoint():
    version = subprocess.run(["sed", "-n", 's/^version = "\\(.*\\)"/\\1/p', ROOT / "Cargo.toml"], capture_output=True, text=True)
    image = f"registry.example/meshim-base:{version.stdout.split()[0]}"
    done = podman("run", "--rm", "--network", "none", "--read-only", "--cap-drop", "all", "-e", "MESHIM_MESH=none", image, "/meshim", "-V")
    expect(done.stdout.startswith("meshim "), "the entrypoint does not start its command", done)


install_packages()
PODMAN = configure()
build_images()
TESTS = [
    (a_scratch_image_gets_meshim, "server", 10001),
    (a_scratch_image_gets_meshim, "server", 65534),
    (a_scratch_image_gets_meshim, "server-init-container", 10001),
    (a_scratch_image_gets_meshim, "server-native", 10001),
    (check_by_exec_prints_a_finding_that_a_newcomer_can_act_on,),
    (a_listen_address_that_cannot_be_reached_is_refused_before_start,),
    (the_proxys_own_user_is_refused,),
    (the_example_with_meshim_in_its_image_runs,),
    (a_server_under_a_classic_sidecar_is_stopped_in_order,),
    (a_job_ends_and_takes_its_sidecar_with_it,),
    (the_base_image_is_an_entrypoint,),
]
for test, *args in TESTS:
    print(f"  {test.__name__.replace('_', ' ')} {' '.join(map(str, args))}".rstrip(), flush=True)
    test(*args)
print(f"tests/pod/play.py: {len(TESTS)} passed")
