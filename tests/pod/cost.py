#!/usr/bin/env python3
"""What it costs a pod to get meshim, and to be probed: tests/pod/cost.py [--write]

Runs runc, which a node runs, too, and counts the time and the CPU of it and of all its children: an
init container that copies meshim, a container with and without one more mount, as an image volume
is, an exec probe, and a GET as the kubelet's httpGet is one. The kubelet's and containerd's own
part is not in it. --write brings the rows into docs/cost.md.
"""

import http.client, json, os, pathlib, re, shutil, statistics, subprocess, sys, tempfile, time

sys.dont_write_bytecode = True
import pods
from pods import ROOT, Pod, expect, podman

RUNS = 30
MARKS = ("<!-- tests/pod/cost.py writes from here -->\n", "<!-- tests/pod/cost.py: to here -->")


def run(*command):
    """Milliseconds that it took, and milliseconds of CPU of it and its children."""
    start = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    said = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    took = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    expect(process.returncode == 0, f"{command} ended with {process.returncode}", said)
    return took * 1000, (used.ru_utime + used.ru_stime) * 1000


def alternately(*measures):
    """The medians of each, taken in turn: what disturbs the machine disturbs all of them."""
    taken = [[] for _ in measures]
    for _ in range(RUNS):
        for measure, results in zip(measures, taken):
            results.append(measure())
    return [tuple(statistics.median(column) for column in zip(*results)) for results in taken]


def bundle(folder, root, arguments, volume=None, writable=False):
    """A container as a pod's: restricted, in the pod's network."""
    folder.mkdir()
    subprocess.run(["runc", "spec"], cwd=folder, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["root"] = {"path": str(root), "readonly": True}
    config["process"] |= {
        "args": arguments,
        "terminal": False,
        "user": {"uid": 10001, "gid": 10001},
        "env": ["MESHIM_MESH=none"],
    }
    config["process"]["capabilities"] = {}
    config["linux"]["namespaces"] = [
        kind for kind in config["linux"]["namespaces"] if kind["type"] != "network"
    ]
    if volume:
        options = ["rbind", "rw" if writable else "ro"]
        config["mounts"].append(
            {"destination": "/mnt", "type": "bind", "source": str(volume), "options": options}
        )
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def container(folder):
    return lambda: run("runc", "run", "--bundle", folder, f"meshim-cost-{folder.name}")


def of_getting_it(folder):
    root = folder / "root"
    shutil.copytree(pods.image_volume(f"registry.example/meshim:{pods.VERSION}"), root)
    (
        root / "mnt"
    ).mkdir()  # runc cannot make the place of a mount in a root that is read-only for good
    volume = folder / "volume"
    volume.mkdir(mode=0o777)
    volume.chmod(0o777)
    (folder / "copied").mkdir()
    installs = bundle(
        folder / "installs", root, ["/meshim", "install", "/mnt"], volume, writable=True
    )
    without = bundle(folder / "without", root, ["/meshim", "-V"])
    mounted = bundle(folder / "mounted", root, ["/meshim", "-V"], root)
    return alternately(
        container(installs),
        lambda: run(root / "meshim", "install", folder / "copied"),
        container(without),
        container(mounted),
    )


def of_a_probe():
    with Pod("cost", "deploy/server.yaml") as pod:
        pod.wait_for("listening on 0.0.0.0:8080")
        identity = json.loads(podman("inspect", pod.app).stdout)[0]["Id"]
        address = pod.address()

        def get():
            start, used = time.monotonic(), time.process_time()
            connection = http.client.HTTPConnection(address, 8080, timeout=60)
            connection.request("GET", "/healthz")
            expect(connection.getresponse().status == 200, "the application does not answer")
            connection.close()
            return (time.monotonic() - start) * 1000, (time.process_time() - used) * 1000

        probe = ["/meshim-bin/meshim", "probe", "http://127.0.0.1:8080/healthz"]
        return alternately(lambda: run("runc", "exec", identity, *probe), get)


def table(installs, copy, without, mounted, probe, get):
    rows = [
        ("init container: start it, copy meshim, end it", installs),
        ("of that, the copy alone", copy),
        ("a container without an image volume", without),
        ("the same with one, which is one more mount", mounted),
        ("`exec` probe, `meshim probe http://…`", probe),
        ("`httpGet` probe", get),
    ]
    lines = [
        "| | takes | CPU |",
        "|---|---|---|",
        *(f"| {name} | {took:.1f} ms | {used:.1f} ms |" for name, (took, used) in rows),
    ]
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    version = subprocess.run(["runc", "--version"], capture_output=True, text=True).stdout.split(
        "\n"
    )[0]
    lines += [
        "",
        f"Medians of {RUNS}, {time.strftime('%Y-%m-%d', time.gmtime())}, {version}, "
        f"{model[1] if model else os.uname().machine}, "
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}.",
    ]
    return "\n".join(lines) + "\n"


pods.set_up()
with tempfile.TemporaryDirectory() as folder:
    results = *of_getting_it(pathlib.Path(folder)), *of_a_probe()
text = table(*results)
print(text)
(_, used_probe), (_, used_get) = results[-2:]
expect(
    used_probe > 2 * used_get,
    "an exec probe costs no more than a GET: then the manifests need not prefer httpGet",
    results,
)
if "--write" in sys.argv[1:]:
    page = ROOT / "docs" / "cost.md"
    before, rest = page.read_text().split(MARKS[0])
    page.write_text(before + MARKS[0] + text + MARKS[1] + rest.split(MARKS[1])[1])
