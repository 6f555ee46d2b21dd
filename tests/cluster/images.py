"""Images without a registry: each is one layer in an archive that containerd imports.

Owns what is in which image. Must never look at a cluster.
"""
import hashlib, io, json, os, pathlib, re, subprocess, sys, tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "images"))
import oci

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
CREATED = "2026-01-01T00:00:00Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER = "65532:65532"
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
HELLO = "registry.example/hello-server:scratch"
MESHIM = f"registry.example/meshim:{VERSION}"


def executable(path):
    return pathlib.Path(path).read_bytes(), 0o755


def archive(out, name, files, **settings):
    """A docker-archive; its layer is not compressed, since nobody pulls it. Settings are those of
    an image's config."""
    layer = oci.tar(files, 0)
    config = oci.encoded(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "created": CREATED,
            "config": {"Env": [PATH], **settings},
            "rootfs": {"type": "layers", "diff_ids": [oci.sha256(layer)]},
            "history": [{"created": CREATED}],
        }
    )
    named = hashlib.sha256(config).hexdigest() + ".json"
    manifest = oci.encoded([{"Config": named, "RepoTags": [name], "Layers": ["layer.tar"]}])
    with tarfile.open(out, "w") as whole:
        for path, data in (("layer.tar", layer), (named, config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            whole.addfile(entry, io.BytesIO(data))


def with_libraries(files):
    """The same, and the shared libraries that their programs load; {path in the image: path here}
    both."""
    loaded = {}
    for path in files.values():
        listed = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+\.so\S*) \(0x", listed):
            loaded[library.lstrip("/")] = library
    return {**loaded, **files}


def make(folder, meshim, hello_server, built):
    """The images of the manifests and of the cases, as archives in that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    app, alone = executable(built / "app"), executable(meshim)
    hello = {"hello-server": executable(hello_server)}
    both = {"app": app, "meshim": alone}
    # A file: the image's name, what is in it, its settings.
    wanted = {
        "pause": ("docker.io/local/pause:1", {"app": app}, {"Entrypoint": ["/app", "pause"]}),
        "meshim": (MESHIM, {"meshim": alone}, {"User": USER, "Entrypoint": ["/meshim"]}),
        "hello": (HELLO, hello, {"User": USER, "Entrypoint": ["/hello-server"]}),
    }
    for tag, signal in (("1", None), ("usr1", "SIGUSR1"), ("winch", "SIGWINCH")):
        settings = {"User": "10001:10001", **({"StopSignal": signal} if signal else {})}
        wanted[f"app-{tag}"] = (f"docker.io/local/app:{tag}", both, settings)
    for file, (name, files, settings) in wanted.items():
        archive(folder / f"{file}.tar", name, files, **settings)
    return [folder / f"{file}.tar" for file in wanted]
