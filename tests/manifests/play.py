#!/usr/bin/env python3
"""What the component, the policy and the chart's template make of workloads:
tests/manifests/play.py [--write]

Each fixture is put through the real thing (kustomize, the API server's own admission code with its
CEL engine, helm; built from tools/go.mod into target/) and compared with the file beside it:
NAME.yaml becomes NAME.expected.yaml, or is refused with the text in NAME.refused. The manifests of
deploy/ are held against PodSecurity's `restricted`, by its own code. --write writes what came out,
to be read before it is committed. Needs Go 1.26 or later, or python3-venv, by which one is fetched.
"""

import pathlib, shutil, subprocess, sys, tempfile

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import golang

HERE = ROOT / "tests" / "manifests"
BUILT = ROOT / "target" / "manifest-tools"
PROGRAMS = {
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5",
    "helm": "helm.sh/helm/v3/cmd/helm",
    "policy": "./policy",
    "security": "./security",
}


def build():
    compiler = golang.go()
    for name, package in PROGRAMS.items():
        subprocess.run(
            [compiler, "build", "-trimpath", "-o", BUILT / name, package],
            cwd=HERE / "tools",
            check=True,
        )


def run(*command, text=""):
    return subprocess.run(
        [str(word) for word in command], input=text, capture_output=True, text=True
    )


def component(fixture):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shutil.copytree(ROOT / "deploy" / "component", folder / "component")
        (folder / "overlay").mkdir()
        shutil.copy(fixture, folder / "overlay" / "workload.yaml")
        kustomization = (
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:"
            " [workload.yaml]\ncomponents: [../component]\n"
        )
        (folder / "overlay" / "kustomization.yaml").write_text(kustomization)
        return run(BUILT / "kustomize", "build", folder / "overlay")


def policy(fixture):
    done = run(BUILT / "policy", ROOT / "deploy" / "policy.yaml", text=fixture.read_text())
    if done.returncode == 2 or done.returncode < 0:
        sys.exit(
            f"tests/manifests/play.py: the API server would stumble over {fixture.name}:"
            f" {done.stderr}"
        )
    if done.returncode == 0:
        again = run(BUILT / "policy", ROOT / "deploy" / "policy.yaml", text=done.stdout)
        if again.stdout != done.stdout:
            sys.exit(
                f"tests/manifests/play.py: {fixture.name}, admitted twice, is changed"
                f" twice:\n{again.stdout}{again.stderr}"
            )
    return done


def helm(fixture):
    with tempfile.TemporaryDirectory() as folder:
        templates = pathlib.Path(folder) / "templates"
        templates.mkdir()
        (templates.parent / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
        shutil.copy(ROOT / "deploy" / "helm" / "_meshim.tpl", templates)
        shutil.copy(fixture, templates / "workload.yaml")
        return run(BUILT / "helm", "template", "shop", folder)


def refused_as_unsafe():
    """What PodSecurity's level `restricted` has against the manifests of deploy/ and against what
    the component makes."""
    overlay = run(BUILT / "kustomize", "build", ROOT / "deploy" / "overlay").stdout
    texts = [path.read_text() for path in sorted((ROOT / "deploy").glob("*.yaml"))] + [overlay]
    done = run(BUILT / "security", text="\n---\n".join(texts))
    if done.returncode:
        return (done.stdout + done.stderr).splitlines()
    return (
        []
        if int(done.stdout) >= 7
        else [f"PodSecurity looked at {done.stdout.strip()} workloads only"]
    )


def judge(kind, play, fixture, write):
    done, base = play(fixture), fixture.with_suffix("")
    expected, refused = base.with_suffix(".expected.yaml"), base.with_suffix(".refused")
    if write and done.returncode == 0:
        expected.write_text(done.stdout)
    said = done.stdout + done.stderr
    if refused.exists():
        return (
            []
            if done.returncode and refused.read_text().strip() in said
            else [f"{kind}/{fixture.name}: not refused as it should be: {said}"]
        )
    if done.returncode:
        return [f"{kind}/{fixture.name}: {said}"]
    if not expected.exists() or expected.read_text() != done.stdout:
        return [f"{kind}/{fixture.name}: came out as\n{done.stdout}"]
    return []


def main(write):
    build()
    wrong, played = refused_as_unsafe(), 0
    for kind, play in (("component", component), ("policy", policy), ("helm", helm)):
        fixtures = sorted(
            path
            for path in (HERE / "fixtures" / kind).glob("*.yaml")
            if not path.name.endswith(".expected.yaml")
        )
        if not fixtures:
            wrong.append(f"{kind}: there are no fixtures")
        for fixture in fixtures:
            wrong += judge(kind, play, fixture, write)
            played += 1
    if wrong:
        sys.exit("tests/manifests/play.py: " + "\ntests/manifests/play.py: ".join(wrong))
    print(
        f"tests/manifests/play.py: {played} workloads came out as expected; PodSecurity admits"
        " every manifest"
    )


main("--write" in sys.argv[1:])
