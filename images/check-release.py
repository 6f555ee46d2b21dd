#!/usr/bin/env python3
"""Is a release the same wherever it is built, and does what is in it run? images/check-release.py
[REGISTRY=…] [TAG=…]

Runs images/release twice: here, and in a clone in another folder with an empty CARGO_HOME; compares
every byte. Runs the binaries of both architectures (the foreign one by qemu-user), reads every blob
of the images, and checks that version, changelog and manifests agree, and that the manifests name
the image that was made; once more for a registry and a tag of its own, where the arguments name
none. The last commit is what is built: commit first.
"""

import hashlib, json, os, pathlib, re, shutil, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
QEMU = {"x86_64": "qemu-x86_64-static", "aarch64": "qemu-aarch64-static"}


def fail(text):
    sys.exit(f"images/check-release.py: {text}")


def run(*command, **more):
    return subprocess.run(command, check=True, **more)


def bytes_of(dist):
    return {
        str(path.relative_to(dist)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(dist.rglob("*"))
        if path.is_file()
    }


def built_elsewhere(folder, arguments):
    """A clone of the last commit, built as on a machine that has nothing yet but Rust."""
    clone, cargo = folder / "somewhere" / "else", folder / "cargo-home"
    run("git", "clone", "-q", ROOT, clone)
    environment = {
        **os.environ,
        "CARGO_HOME": str(cargo),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(pathlib.Path.home() / ".rustup")),
    }
    environment.pop("CARGO_TARGET_DIR", None)
    environment["PATH"] = f"{pathlib.Path(shutil.which('cargo')).parent}:{environment['PATH']}"
    run("images/release", *arguments, cwd=clone, env=environment, stdout=subprocess.DEVNULL)
    return bytes_of(clone / "dist")


def runs(binary, architecture):
    wrapper = [] if os.uname().machine == architecture else [QEMU[architecture]]
    if wrapper and not shutil.which(wrapper[0]):
        fail(f"{wrapper[0]} is missing (apt-get install qemu-user-static)")
    said = run(*wrapper, binary, "--version", capture_output=True, text=True).stdout
    if not said.startswith("meshim "):
        fail(f"{binary.name} says {said!r}")
    # Not by exec, which the kernel would refuse for a foreign program: a look that comes to nothing
    # says no.
    looked = subprocess.run(
        [*wrapper, binary, "probe", "tcp://127.0.0.1:1"], capture_output=True, text=True
    )
    if looked.returncode != 1 or "nobody listens there" not in looked.stderr:
        fail(f"{binary.name} probe ends with {looked.returncode}: {looked.stderr}")


def image_is_whole(layout, version):
    """Every blob has the digest that names it, and both images are labelled, licensed and of no
    root."""
    blob = lambda digest: (layout / "blobs" / digest.replace(":", "/")).read_bytes()
    for path in (layout / "blobs/sha256").iterdir():
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
            fail(f"{path} is not what its name says")
    index = json.loads(
        blob(json.loads((layout / "index.json").read_text())["manifests"][0]["digest"])
    )
    if [entry["platform"]["architecture"] for entry in index["manifests"]] != ["amd64", "arm64"]:
        fail(f"{layout.name}: the index names {index['manifests']}")
    for entry in index["manifests"]:
        manifest = json.loads(blob(entry["digest"]))
        config = json.loads(blob(manifest["config"]["digest"]))
        labels = config["config"]["Labels"]
        if (
            config["config"]["User"] != "65532:65532"
            or labels["org.opencontainers.image.version"] != version
        ):
            fail(f"{layout.name}: {config}")


def versions_agree(version):
    changelog = re.findall(r"^## (?:\[)?([0-9][^\]\s]*)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    if changelog and changelog[0] != version:
        fail(f"Cargo.toml says {version}, CHANGELOG.md {changelog[0]}")
    tags = run(
        "git", "tag", "--points-at", "HEAD", cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    wrong = [tag for tag in tags if re.fullmatch(r"v[0-9].*", tag) and tag != f"v{version}"]
    if wrong or (tags and not changelog):
        fail(f"tagged {tags}, but Cargo.toml says {version} and CHANGELOG.md {changelog}")
    for path in (ROOT / "deploy").rglob("*.*"):
        for found in re.findall(
            r"registry\.example/meshim(?:-base)?:([0-9][\w.-]*)", path.read_text()
        ):
            if found.rstrip(".") != version:
                fail(f"{path.relative_to(ROOT)} names {found}, Cargo.toml says {version}")


def manifests_name_the_image(dist, registry, tag):
    """Whatever in deploy/ names meshim's image names this one, by its digest; that index is the one
    of the layout."""
    entry = json.loads((dist / "image/index.json").read_text())["manifests"][0]
    if entry["annotations"]["org.opencontainers.image.ref.name"] != tag:
        fail(f"the layout's tag is {entry['annotations']}, not {tag}")
    wanted, named = f"{registry}/meshim:{tag}@{entry['digest']}", 0
    for path in sorted(path for path in (dist / "deploy").rglob("*") if path.is_file()):
        for found in re.findall(r"[\w.:/-]+/meshim(?:-base)?:[\w.@:-]+", path.read_text()):
            named += 1
            if found != wanted:
                fail(f"{path.relative_to(dist)} names {found}, not {wanted}")
    if named < 10:
        fail(f"only {named} places in {dist / 'deploy'} name the image")


version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
arguments = sys.argv[1:]
named = dict(argument.partition("=")[::2] for argument in arguments)
if not named.keys() <= {"REGISTRY", "TAG"}:
    sys.exit(__doc__)
versions_agree(version)
if run("git", "status", "--porcelain", cwd=ROOT, capture_output=True, text=True).stdout.strip():
    fail("there are changes that are not committed: the clone would be another release")
run("images/release", *arguments, cwd=ROOT, stdout=subprocess.DEVNULL)
dist = ROOT / "dist"
for architecture in QEMU:
    runs(dist / f"meshim-{version}-linux-{architecture}", architecture)
for folder in ("image", "base-image"):
    image_is_whole(dist / folder, version)
manifests_name_the_image(dist, named.get("REGISTRY", "registry.example"), named.get("TAG", version))
run("sha256sum", "--quiet", "-c", "SHA256SUMS", cwd=dist)
with tempfile.TemporaryDirectory() as folder:
    if not arguments:
        run(
            "images/release",
            "REGISTRY=localhost:5000/mesh",
            "TAG=trial",
            f"DIST={folder}/trial",
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        manifests_name_the_image(pathlib.Path(folder) / "trial", "localhost:5000/mesh", "trial")
    here, there = bytes_of(dist), built_elsewhere(pathlib.Path(folder), arguments)
different = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
if different:
    fail(f"two builds of the same commit differ in {', '.join(different)}")
print(f"images/check-release.py: {len(here)} files, the same twice; both architectures run")
