#!/usr/bin/env python3
"""A platform team's first hour: tests/pod/adopt.py

Makes a release for a registry of its own, pushes it there as README says, signs and verifies it
where cosign is on this machine, and plays what README and the manifests of the release say, with an
image that knows nothing of meshim and a real Envoy: the pod of README's first screen waits for one
that comes late, a server drains, a Job ends with its sidecar, an init container copies. meshim's
image is pulled from the registry, by the digest that the release has written down.
"""

import contextlib, json, os, re, shutil, subprocess, sys, tempfile, time, urllib.request

sys.dont_write_bytecode = True
import pods
from pods import ROOT, WORK, Pod, expect, podman, yaml

sys.path.insert(0, str(ROOT / "tests"))
import golang

CRANE = "v0.22.1"  # of go-containerregistry: the registry, and the tool that pushes to it
SHOP = "localhost/shop:1.4"
TOOLS = WORK / "tools"
DIST = WORK / "dist"


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode:
        pods.fail(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def crane():
    program = TOOLS / CRANE / "crane"
    if not program.exists():
        environment = {**os.environ, "GOBIN": str(program.parent)}
        run(
            golang.go(),
            "install",
            f"github.com/google/go-containerregistry/cmd/crane@{CRANE}",
            env=environment,
        )
    return program


@contextlib.contextmanager
def registry():
    """A registry that forgets everything at the end of the block: its `localhost:PORT`.

    podman is told to trust it."""
    process = subprocess.Popen(
        [crane(), "registry", "serve", "--address", "localhost:0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = process.stderr.readline()
        port = re.search(r"serving on port (\d+)", said)
        expect(port, "the registry does not say where it listens", said)
        address = f"localhost:{port[1]}"
        # Its log is read to its end, so that it never waits for a reader.
        subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        settings = WORK / "registries.conf"
        settings.write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
        os.environ["CONTAINERS_REGISTRIES_CONF"] = str(settings)
        yield address
    finally:
        process.terminate()
        process.wait()


def released(address):
    """The release for that registry: `registry/meshim:tag@digest`."""
    said = run(ROOT / "images" / "release", f"REGISTRY={address}/mesh", "TAG=trial", f"DIST={DIST}")
    reference = said.split()[-1]
    run("sha256sum", "--quiet", "-c", "SHA256SUMS", cwd=DIST)
    return reference


def pushed(reference):
    """By the command of README; what the registry then has is what the manifests name."""
    name, digest = reference.split("@")
    said = run(crane(), "push", DIST / "image", name)
    expect(
        said.strip().endswith(digest),
        f"the registry has {said.strip()}, the manifests name {digest}",
    )
    run(crane(), "push", DIST / "base-image", name.replace("/meshim:", "/meshim-base:"))


def signed(reference):
    """With a pair of keys and without any service; another key does not verify."""
    cosign = shutil.which("cosign")
    if not cosign:
        note = os.environ.get("MESHIM_CI_NOT_CHECKED")
        print("    (no cosign on this machine: signing was not tried)")
        if note:
            with open(note, "a") as file:
                file.write("cosign is not on this machine, so that signing was not tried\n")
        return
    name, digest = reference.split("@")
    image = f"{name.rsplit(':', 1)[0]}@{digest}"
    with tempfile.TemporaryDirectory() as keys:
        environment = {**os.environ, "COSIGN_PASSWORD": ""}
        for pair in ("cosign", "other"):
            run(
                cosign,
                "generate-key-pair",
                f"--output-key-prefix={pair}",
                cwd=keys,
                env=environment,
            )
        run(
            cosign,
            "sign",
            "--key=cosign.key",
            "--tlog-upload=false",
            "--yes",
            image,
            cwd=keys,
            env=environment,
        )
        verify = [cosign, "verify", "--insecure-ignore-tlog", image]
        said = json.loads(run(*verify, "--key=cosign.pub", cwd=keys, env=environment))
        expect(
            said[0]["critical"]["image"]["docker-manifest-digest"] == digest,
            "another image was signed",
            said,
        )
        wrong = subprocess.run(
            [*verify, "--key=other.pub"], cwd=keys, env=environment, capture_output=True, text=True
        )
        expect(wrong.returncode != 0, "a signature by another key verifies", wrong)


def shop_image():
    """An application in a root as distroless images have it: no shell, no curl, no meshim."""
    context = WORK / "shop"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(ROOT / "images" / "distroless-root", context / "root")
    (context / "root/tmp").chmod(0o1777)
    (context / "root/app").mkdir()
    binary = (
        ROOT
        / "target"
        / f"{os.uname().machine}-unknown-linux-musl"
        / "release"
        / "examples"
        / "hello-server"
    )
    shutil.copy(binary, context / "root/app/shop")
    (context / "Dockerfile").write_text(
        'FROM scratch\nCOPY root /\nUSER 65532:65532\nENTRYPOINT ["/app/shop"]\n'
    )
    podman("build", "-q", "-t", SHOP, context, timeout=300)


def shop(change=lambda spec, app: None):
    """Changes what a manifest says CHANGE at: the image, and what follows the two dashes."""

    def changed(spec, app):
        app["image"], app["imagePullPolicy"] = SHOP, "Never"
        words = {
            "/hello-server": "/app/shop",
            "--port=8080": "0.0.0.0:8080",
        }  # as this shop is told its port
        app["command"] = [words.get(word, word) for word in app["command"]]
        change(spec, app)

    return changed


def by_meshim(log):
    """meshim's own lines, without what differs from run to run."""
    lines = [
        line for line in log.splitlines() if line.startswith("meshim: ") and "warning: " not in line
    ]
    return [re.sub(r"(waited|looks)=\S+", r"\1=", line) for line in lines]


def the_pod_of_the_first_screen_waits_and_becomes_the_application(reference):
    readme = (DIST / "README.md").read_text()
    document = yaml.safe_load(
        re.search(r"```yaml\n(apiVersion: v1\nkind: Pod\n.*?)```", readme, re.S)[1]
    )
    promised = re.search(r"\$ kubectl logs shop\n(.*?)```", readme, re.S)[1]
    named = document["spec"]["volumes"][0]["image"]
    expect(
        named["reference"] == reference.split("@")[0],
        "README of the release names another image",
        named,
    )

    with Pod("shop", document, shop(), late=True) as pod:
        pod.wait_for("waiting for a proxy to show up")
        expect("listening" not in pod.logs(), "the application did not wait", pod.logs())
        pod.start_sidecar()
        pod.wait_for("listening on 0.0.0.0:8080 as process 1")
        print("\n".join("    " + line for line in pod.logs().splitlines()))
        expect(
            by_meshim(pod.logs()) == by_meshim(promised), "README promises another log", pod.logs()
        )
        body = urllib.request.urlopen(f"http://{pod.address()}:8080/", timeout=60).read()
        expect(body == b"hello from the application\n", "the pod does not answer", body)
        checked = pod.exec("/meshim-bin/meshim", "check")
        expect(checked.returncode == 0, "check", checked)
        podman("kill", "--signal", "TERM", pod.app)
        expect(
            pod.exit_code() == 0 and "got SIGTERM" in pod.logs(),
            "TERM did not reach the application",
            pod.logs(),
        )


def a_server_serves_on_while_it_drains(_):
    def change(spec, app):
        # Long enough for any machine; a second stop signal ends it.
        app["env"] += [
            {"name": "MESHIM_DRAIN_MIN", "value": "10m"},
            {"name": "MESHIM_DRAIN_MAX", "value": "11m"},
        ]

    with Pod("drains", yaml_of("server"), shop(change)) as pod:
        pod.wait_for("listening on 0.0.0.0:8080")
        podman("kill", "--signal", "TERM", pod.app)
        pod.wait_for("draining")
        for _ in range(3):
            answer = urllib.request.urlopen(f"http://{pod.address()}:8080/", timeout=60)
            expect(answer.status == 200, "a request was lost while draining", answer)
        expect(
            "got SIGTERM" not in pod.logs(),
            "the application was told to stop before it had drained",
            pod.logs(),
        )
        podman("kill", "--signal", "TERM", pod.app)
        expect(
            pod.exit_code() == 0 and "got SIGTERM" in pod.logs(),
            "a second TERM did not end it",
            pod.logs(),
        )


def a_job_ends_and_takes_its_sidecar_with_it(_):
    def change(spec, app):
        app["args"] = ["--fetch", "127.0.0.1:15021"]

    with Pod("jobs", yaml_of("job-classic"), shop(change)) as pod:
        expect(pod.exit_code() == 0 and "got HTTP/1.1" in pod.logs(), "the Job failed", pod.logs())
        expect(pod.exit_code("jobs-istio-proxy") == 0, "the proxy still runs", pod.logs())


def an_init_container_copies_it_where_image_volumes_are_missing(reference):
    document = yaml_of("server-init-container")
    named = document["spec"]["template"]["spec"]["initContainers"][0]["image"]
    expect(named == reference, "the manifest names another image", named)
    document["spec"]["template"]["spec"]["initContainers"][0]["image"] = pods.by_digest(reference)
    with Pod("copied", document, shop()) as pod:
        pod.wait_for("listening on 0.0.0.0:8080")


def yaml_of(manifest):
    return next(yaml.safe_load_all((DIST / "deploy" / f"{manifest}.yaml").read_text()))


TESTS = [
    the_pod_of_the_first_screen_waits_and_becomes_the_application,
    a_server_serves_on_while_it_drains,
    a_job_ends_and_takes_its_sidecar_with_it,
    an_init_container_copies_it_where_image_volumes_are_missing,
]

pods.set_up()
shop_image()
with registry() as address:
    reference = released(address)
    pushed(reference)
    signed(reference)
    for test in TESTS:
        print(f"  {test.__name__.replace('_', ' ')}", flush=True)
        test(reference)
print(f"tests/pod/adopt.py: {len(TESTS)} passed")
