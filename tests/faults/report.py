#!/usr/bin/env python3
"""Runs tests/faults on a binary and writes the figures into docs/reliability.md.

tests/faults/report.py MESHIM [PAGE]
"""

import os, pathlib, re, subprocess, sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import reliability


def main(meshim, page=ROOT / "docs/reliability.md"):
    meshim = pathlib.Path(meshim).resolve()
    run = ["cargo", "test", "--locked", "-q", "--test", "faults", "--", "--nocapture"]
    ended = subprocess.run(
        run,
        cwd=ROOT,
        env={**os.environ, "MESHIM_BINARY": str(meshim)},
        capture_output=True,
        text=True,
    )
    print(ended.stdout)
    if ended.returncode:
        sys.exit(f"tests/faults/report.py: the faults are not all endured\n{ended.stderr}")
    rows = re.findall(r"^test (\w+) \.\.\. .*?(\d+) injections in", ended.stdout, re.M)
    total = sum(int(made) for _, made in rows)
    lines = "\n".join(f"| {name.replace('_', ' ')} | {made} |" for name, made in sorted(rows))
    text = f"""## System calls that fail

`tests/faults`, {reliability.when_and_where(meshim)}. In each of {total:,} runs one system call \
failed once with an error that its manual
documents. All of them did their job all the same, or ended with one sentence and a documented \
code before the application had started.

| what ran | calls that failed |
|---|---|
{lines}
"""
    reliability.write(pathlib.Path(page), "faults", text)


main(*sys.argv[1:])
