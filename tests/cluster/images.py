"""Images without a registry: each is one layer in an archive that containerd imports.

Owns what is in which image. Must never look at a cluster.
"""
import hashlib, io, json, pathlib, re, subprocess, sys, tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "images"))
import oci

CREATED = "2026-01-01T00:00:00Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER = "65532:65532"


def executable(path):
    return pathlib.Path(path).read_bytes(), 0o755


def archive(out, name, files, **settings):
    """A docker-archive; its layer is not compressed, since nobody pulls it. Settings are those of an image's config."""
    layer = oci.tar(files, 0)
    config = oci.encoded({
        "architecture": "amd64", "os": "linux", "created": CREATED, "config": {"Env": [PATH], **settings},
        "rootfs": {"type": "layers", "diff_ids": [oci.sha256(layer)]}, "history": [{"created": CREATED}],
    })
    named = hashlib.sha256(config).hexdigest() + ".json"
    manifest = oci.encoded([{"Config": named, "RepoTags": [name], "Layers": ["layer.tar"]}])
    with tarfile.open(out, "w") as whole:
        for path, data in (("layer.tar", layer), (named, config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            whole.addfile(entry, io.BytesIO(data))


def with_libraries(files):
    """The same, and the shared libraries that their programs load; {path in the image: path here} both."""
    loaded = {}
    for path in files.values():
        listed = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+\.so\S*) \(0x", listed):
            loaded[library.lstrip("/")] = library
    return {**loaded, **files}


def make(folder, meshim, hello_server, built):
    """The images of the manifests and of the cases, as archives in that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    app, alone = executable(built / "app"), executable(meshim)
    archive(folder / "pause.tar", "docker.io/local/pause:1", {"app": app}, Entrypoint=["/app", "pause"])
    archive(folder / "meshim.tar", f"registry.example/meshim:{version}", {"meshim": alone}, User=USER, Entrypoint=["/meshim"])
    archive(folder / "hello.tar", "registry.example/hello-server:scratch", {"hello-server": executable(hello_server)}, User=USER, Entrypoint=["/hello-server"])
    both = {"app": app, "meshim": alone}
    for tag, signal in (("1", None), ("usr1", "SIGUSR1"), ("winch", "SIGWINCH")):
        archive(folder / f"app-{tag}.tar", f"docker.io/local/app:{tag}", both, User="10001:10001", **({"StopSignal": signal} if signal else {}))
    return sorted(folder.glob("*.tar"))
