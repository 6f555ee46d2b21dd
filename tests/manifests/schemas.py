#!/usr/bin/env python3
"""Are the manifests valid? tests/manifests/schemas.py

Each document of deploy/ and examples/, and what the fixtures beside this file come out as, is held
against Kubernetes' own schemas, strictly, for the oldest and the newest version it is meant for.
Needs a network once: the schemas are the Python package kubernetes-validate, pinned, in a virtual
environment below target/.
"""

import os, pathlib, subprocess, sys, venv

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = ROOT / "target" / "manifests-1"
PINNED = ["kubernetes-validate==1.37.0", "PyYAML==6.0.3"]
# The policy is stable from 1.36 on, image volumes are on from 1.35 on; without either, 1.30 is the
# oldest.
VERSIONS = {"policy.yaml": ["1.36", "1.37"]}
WITH_IMAGE_VOLUMES = ["1.35", "1.37"]
USUAL = ["1.30", "1.37"]

if pathlib.Path(sys.prefix) != ENVIRONMENT:
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / ".complete").exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PINNED]
        if subprocess.run(install).returncode:
            sys.exit(
                f"tests/manifests/schemas.py: cannot install {' and '.join(PINNED)}: is there a "
                "network?"
            )
        (ENVIRONMENT / ".complete").touch()
    os.execv(python, [python, *sys.argv])

import kubernetes_validate, yaml

failed, checked = [], 0


def check(name, text):
    global checked
    for document in filter(None, yaml.safe_load_all(text)):
        if document.get("apiVersion", "").startswith("kustomize.config.k8s.io"):
            continue
        usual = (
            WITH_IMAGE_VOLUMES if "image: { reference:" in text or "reference: " in text else USUAL
        )
        for version in VERSIONS.get(pathlib.Path(name).name, usual):
            try:
                kubernetes_validate.validate(document, version, strict=True)
                checked += 1
            except Exception as error:
                what = f"{name} ({document.get('kind')}, Kubernetes {version})"
                failed.append(f"{what}: {str(error).splitlines()[0]}")


for folder in ("deploy", "examples", "tests/manifests/fixtures"):
    for path in sorted((ROOT / folder).rglob("*.yaml")):
        # Patches, which are seen as what they make.
        is_part = path.parent.name == "component" and folder == "deploy"
        is_input = folder.startswith("tests") and not path.name.endswith(".expected.yaml")
        if not is_part and not is_input:
            check(path.relative_to(ROOT), path.read_text())
if failed:
    sys.exit("tests/manifests/schemas.py: " + "\ntests/manifests/schemas.py: ".join(failed))
print(f"tests/manifests/schemas.py: {checked} documents are valid")
