"""What is linked into the binaries: third-party notices, and a bill of materials in CycloneDX's
form.

Owns which crates count: those that end up in the binary, so neither tests' nor macros' nor build
scripts' own. Fails where a crate's licence text cannot be found and none is known here.
"""

import json, pathlib, subprocess, uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGETS = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"]

# Linked in, and no crates: the version is the toolchain's.
BESIDE_CRATES = [
    (
        "Rust's standard library",
        "MIT OR Apache-2.0",
        "https://github.com/rust-lang/rust",
        "Copyright (c) The Rust Project Contributors",
    ),
    ("musl libc", "MIT", "https://musl.libc.org", "Copyright © 2005-2020 Rich Felker, et al."),
]

MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

# Crates whose package carries no licence text: who holds the copyright, from their repositories.
WITHOUT_TEXT = {"rlsf": "Copyright (c) yvt"}


def crates():
    """The crates in either binary, as cargo's metadata has them, in the order of their names."""
    found = {}
    for target in TARGETS:
        command = [
            "cargo",
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            target,
        ]
        metadata = json.loads(
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
        )
        packages = {package["id"]: package for package in metadata["packages"]}
        nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
        open_ids = [metadata["resolve"]["root"]]
        while open_ids:
            package = packages[open_ids.pop()]
            if package["name"] in found or any(
                "proc-macro" in kind["kind"] for kind in package["targets"]
            ):
                continue
            found[package["name"]] = package
            needed = nodes[package["id"]]["deps"]
            open_ids += [
                dep["pkg"]
                for dep in needed
                if any(kind["kind"] is None for kind in dep["dep_kinds"])
            ]
    return [found[name] for name in sorted(found) if name != "meshim"]


def licence_text(package):
    """The text to pass on: MIT's where there is a choice, and whatever else the package says must
    go with it."""
    folder = pathlib.Path(package["manifest_path"]).parent
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    chosen = [
        name
        for name in ("LICENSE-MIT", "LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING")
        if name in files
    ][:1]
    chosen += [
        name
        for name in files
        if name in ("COPYRIGHT", "NOTICE", "LICENSE-THIRD-PARTY", "LICENSE-UNICODE")
    ]
    if chosen:
        return "\n".join(files[name].read_text(errors="replace").strip() for name in chosen)
    if package["name"] in WITHOUT_TEXT:
        return f"{WITHOUT_TEXT[package['name']]}\n\n{MIT.strip()}"
    raise SystemExit(
        f"images/release: {package['name']} {package['version']} has no licence text; name its "
        "holder in images/inventory.py"
    )


def notices(packages):
    """Each text once, with the crates it covers before it."""
    covered = {}
    for package in packages:
        name = f"{package['name']} {package['version']} ({package['license']})"
        name = f"{name} {package['repository'] or ''}".strip()
        covered.setdefault(licence_text(package), []).append(name)
    for name, licence, url, holder in BESIDE_CRATES:
        covered.setdefault(f"{holder}\n\n{MIT.strip()}", []).append(f"{name} ({licence}) {url}")
    parts = ["meshim's binaries contain the following software of others.\n"]
    for text, names in sorted(covered.items(), key=lambda item: item[1]):
        parts.append("-" * 80 + "\n" + "\n".join(names) + "\n\n" + text + "\n")
    return "\n".join(parts)


def bill_of_materials(version, packages, binaries, created):
    """CycloneDX 1.6, as JSON. Its serial number follows from the binaries, so that equal releases
    have equal ones."""
    def component(package):
        purl = f"pkg:cargo/{package['name']}@{package['version']}"
        licence = package["license"].replace("/", " OR ")
        return {
            "type": "library",
            "bom-ref": purl,
            "name": package["name"],
            "version": package["version"],
            "purl": purl,
            "licenses": [{"expression": licence}],
            "hashes": checksum(package),
        }

    locked = (ROOT / "Cargo.lock").read_text()

    def checksum(package):
        entry = locked.split(f'name = "{package["name"]}"\nversion = "{package["version"]}"\n')[
            1
        ].split("\n\n")[0]
        return [
            {"alg": "SHA-256", "content": line.split('"')[1]}
            for line in entry.splitlines()
            if line.startswith("checksum")
        ]

    root = f"pkg:cargo/meshim@{version}"
    serial = uuid.uuid5(
        uuid.NAMESPACE_URL,
        root + "".join(f"#{name}={digest}" for name, digest in sorted(binaries.items())),
    )
    files = [
        {
            "type": "file",
            "bom-ref": name,
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        for name, digest in sorted(binaries.items())
    ]
    parts = [component(package) for package in packages]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "serialNumber": f"urn:uuid:{serial}",
        "metadata": {
            "timestamp": created,
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "meshim",
                "version": version,
                "purl": root,
                "licenses": [{"expression": "Apache-2.0"}],
                "components": files,
            },
        },
        "components": parts,
        "dependencies": [{"ref": root, "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    return json.dumps(bill, indent=2, ensure_ascii=False) + "\n"
