"""An OCI image layout (image-spec 1.1), written so that equal contents give equal bytes.

Owns the format: tar headers, digests, indexes. Must never look at the clock, the user or the umask:
every time is the one that is given, every owner is root.
"""

import gzip, hashlib, io, json, pathlib, tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def encoded(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(files, time):
    """A tar archive of {path: (bytes, mode)}, with the folders above them."""
    data, folders = io.BytesIO(), set()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, (content, mode) in sorted(files.items()):
            for folder in reversed(pathlib.PurePosixPath(path).parents[:-1]):
                if folder not in folders:
                    folders.add(folder)
                    entry = tarfile.TarInfo(f"{folder}/")
                    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, time
                    archive.addfile(entry)
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(content), mode, time
            archive.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def compressed(data):
    out = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=9, mtime=0) as stream:
        stream.write(data)
    return out.getvalue()


class Layout:
    """A folder with an index of one image for several architectures."""

    def __init__(self, folder, created):
        """`created` is RFC 3339, in UTC."""
        self.folder, self.created, self.manifests = pathlib.Path(folder), created, []
        (self.folder / "blobs" / "sha256").mkdir(parents=True)
        (self.folder / "oci-layout").write_bytes(encoded({"imageLayoutVersion": "1.0.0"}))

    def blob(self, media_type, data):
        digest = sha256(data)
        (self.folder / "blobs" / "sha256" / digest.split(":")[1]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def add(self, architecture, layer, settings, labels):
        """One image of one layer; how many bytes a pull of it takes."""
        packed = compressed(layer)
        config = {
            "architecture": architecture, "os": "linux", "created": self.created,
            "config": settings | {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]},
            "history": [{"created": self.created, "created_by": "images/release"}],
        }
        parts = [self.blob(CONFIG, encoded(config)), self.blob(LAYER, packed)]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": parts[0],
            "layers": parts[1:],
            "annotations": labels,
        }
        described = self.blob(MANIFEST, encoded(manifest))
        self.manifests.append(
            described | {"platform": {"architecture": architecture, "os": "linux"}}
        )
        return described["size"] + sum(part["size"] for part in parts)

    def finish(self, tag, labels):
        """Writes the index under this tag; its digest is what manifests name."""
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": self.manifests,
            "annotations": labels,
        }
        described = self.blob(INDEX, encoded(index))
        entry = described | {"annotations": {"org.opencontainers.image.ref.name": tag}}
        (self.folder / "index.json").write_bytes(
            encoded({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
        )
        return described["digest"]
