#!/usr/bin/env python3
"""Tries every parser and every machine that decides on inputs that a fuzzer makes.

Builds tests/fuzz with what libFuzzer needs, and runs each target from the real answers of
tests/fixtures and from what earlier runs have found (target/fuzz/corpus). Fails at the first input
for which a law of tests/properties does not hold, that crashes, takes 25 seconds or 2 GB, and shows
its bytes. Needs a C++ compiler for libFuzzer, and nothing else beside Rust. Its options: --help.
"""
import argparse, concurrent.futures, datetime, json
import os, pathlib, platform, re, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import reliability, seeds

FOLDER = ROOT / "target" / "fuzz"
FIGURES = FOLDER / "figures.json"
PAGE = ROOT / "docs" / "reliability.md"
TRIPLE = f"{platform.machine()}-unknown-linux-gnu"
PROGRAM = FOLDER / TRIPLE / "release" / "meshim-fuzz"

# Counters at each edge and each comparison, which steer libFuzzer (what cargo-fuzz sets, too), and
# a check of each access to memory. The last is not stable in Rust; the pinned compiler takes it all
# the same if it is told that it is one of Rust's own.
COVERAGE = ["level=4", "inline-8bit-counters", "pc-table", "trace-compares"]
FLAGS = [
    "-Cpasses=sancov-module", *[f"-Cllvm-args=-sanitizer-coverage-{option}" for option in COVERAGE],
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0", "-Zsanitizer=address",
]


def fail(text):
    sys.exit(f"tests/fuzz/run.py: {text}")


def build():
    environment = {
        **os.environ,
        "RUSTC_BOOTSTRAP": "1",
        "RUSTFLAGS": " ".join(FLAGS),
        "CARGO_TARGET_DIR": str(FOLDER),
    }
    command = ["cargo", "build", "--locked", "--quiet", "--release", "--target", TRIPLE]
    subprocess.run(command, cwd=ROOT / "tests" / "fuzz", env=environment, check=True)


def targets():
    listed = subprocess.run(
        [PROGRAM], env={**os.environ, "MESHIM_FUZZ": "--list"}, capture_output=True, text=True,
        check=True,
    )
    return listed.stdout.split()


def try_target(target, seconds, seed):
    """Runs one target for so long; what it did."""
    corpus, crashes, first = (FOLDER / name / target for name in ("corpus", "crashes", "seeds"))
    seeds.write(target, first)
    for folder in (corpus, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    log = FOLDER / f"{target}.log"
    # Leaks end with the process, and looking for them needs ptrace, which containers often lack.
    options = [
        f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/", "-timeout=25",
        "-rss_limit_mb=2048", "-detect_leaks=0", "-print_final_stats=1", f"-seed={seed}",
    ]
    before, began = set(crashes.iterdir()), time.monotonic()
    with log.open("wb") as output:
        environment = {**os.environ, "MESHIM_FUZZ": target, "ASAN_OPTIONS": "detect_leaks=0"}
        process = subprocess.Popen(
            [PROGRAM, *options, corpus, first], env=environment, stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text(errors="replace")
    edges = [int(number) for number in re.findall(r"\bcov: (\d+)", text)]
    executions = re.search(r"stat::number_of_executed_units: (\d+)", text)
    return {
        "target": target,
        "status": process.returncode,
        "log": text,
        "new": sorted(set(crashes.iterdir()) - before),
        "edges": max(edges, default=0),
        "executions": int(executions[1]) if executions else 0,
        "cpu": used.ru_utime + used.ru_stime,
        "wall": time.monotonic() - began,
    }


def explain(ran):
    """What a person needs to go on."""
    print(f"\n{ran['target']}: ends with {ran['status']}")
    shown = [
        line
        for line in ran["log"].splitlines()
        if not re.match(r"#\d+\s|INFO: |\s+#\d+ 0x|stat::", line)
    ]
    print("\n".join(shown[:25]))
    for path in ran["new"]:
        bytes_of = path.read_bytes()
        print(
            f"{len(bytes_of)} bytes{', of which the first 600' if len(bytes_of) > 600 else ''}:\n"
            f"{bytes_of[:600]!r}"
        )
        print(
            f"again: MESHIM_FUZZ={ran['target']} {PROGRAM.relative_to(ROOT)} "
            f"{path.relative_to(ROOT)}"
        )


def add(ran):
    """The sum of all runs on this machine, so that an hour may be made of several."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    nothing = {"executions": 0, "cpu": 0.0, "wall": 0.0, "edges": 0}
    known = figures.setdefault(ran["target"], nothing)
    known["executions"] += ran["executions"]
    for time_of in ("cpu", "wall"):
        known[time_of] = round(known[time_of] + ran[time_of], 1)
    known["edges"] = max(known["edges"], ran["edges"])
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{model[1] if model else platform.machine()}, Linux {platform.release()}"


def report():
    """Writes the section of docs/reliability.md."""
    figures = json.loads(FIGURES.read_text())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    ).stdout.strip()

    def line(name, row, edges):
        minutes = f"{row['wall'] / 60:.1f} | {row['cpu'] / 60:.1f}"
        return f"| {name} | {row['executions']:,} | {edges} | {minutes} |"

    lines = [line(f"`{name}`", row, f"{row['edges']:,}") for name, row in figures.items()]
    rows = figures.values()
    whole = {key: sum(row[key] for row in rows) for key in ("executions", "wall", "cpu")}
    hours, of_cpu = (f"{whole[key] / 3600:.1f} hours" for key in ("wall", "cpu"))
    section = f"""\
## Fuzzing

`tests/fuzz/run.py`, last on {datetime.date.today()} at {commit} ({machine()}):
{hours}, those of all targets added up, in which they had {of_cpu} of CPU. Each
execution is one input that libFuzzer has made from real answers, and for which a law of
`tests/properties/laws` held, under AddressSanitizer and with checks for overflow; edges are the
places in the code that the inputs of a target reach.

| target | executions | edges | minutes | CPU minutes |
|---|--:|--:|--:|--:|
{chr(10).join(lines)}
{line('all', whole, '')}
"""
    reliability.write(PAGE, "fuzz", section)


def main():
    parser = argparse.ArgumentParser(
        usage="tests/fuzz/run.py [OPTION…] [TARGET…]", description=__doc__.splitlines()[0]
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all without one")
    parser.add_argument(
        "--seconds", type=int, default=10, help="how long each is tried, at least once (10)"
    )
    parser.add_argument(
        "--seed", type=int, default=0,
        help="make the same inputs as another run with this seed (0: others in each run)",
    )
    parser.add_argument("--rounds", type=int, default=1, help="how many times that (1)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time (2)")
    parser.add_argument("--built", action="store_true", help="try what was built last")
    parser.add_argument(
        "--report",
        action="store_true",
        help="write docs/reliability.md's figures: the sums of all runs so far",
    )
    parser.add_argument("--list", action="store_true", help="name the targets")
    options = parser.parse_args()
    if not options.built:
        build()
    known = targets()
    if options.list:
        print("\n".join(known))
        return
    unknown = set(options.targets) - set(known)
    if unknown:
        fail(f"no target {', '.join(sorted(unknown))}; --list names them")
    began, failed = time.monotonic(), []
    for _ in range(options.rounds):
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for ran in pool.map(
                lambda target: try_target(target, options.seconds, options.seed),
                options.targets or known,
            ):
                print(
                    f"{ran['target']}: {ran['executions']:,} executions, {ran['edges']:,} edges, "
                    f"{ran['cpu']:.0f} s of CPU",
                    flush=True,
                )
                add(ran)
                if ran["status"] or not ran["executions"]:
                    explain(ran)
                    failed.append(ran["target"])
        if options.report:
            report()
        if failed:
            fail(f"found something in {', '.join(failed)}")
    print(f"nothing found in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
