#!/usr/bin/env python3
"""Works out docs/cost.md from docs/figures.json, which `cargo bench` writes: docs/cost.py [--check]

Replaces the table between the markers; with --check it only says whether the page and the figures
agree.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
MARKERS = "<!-- docs/cost.py writes from here -->\n", "<!-- to here -->"

STARTS = 100_000  # pods started in a day
WAIT = 2.25  # seconds until the proxy is ready: the middle of 0.5-4 s, as measured
MS_PER_HOUR = 3_600_000
WAYS = "meshim", "sh + curl, sleep 1", "sh + curl, sleep 0.1"


def medians():
    rows = json.loads((HERE / "figures.json").read_text())["rows"]
    return {
        row["key"]: {column["name"]: column["median"] for column in row["columns"]} for row in rows
    }


def one_start(figures, way):
    """What one start costs: milliseconds late, of the pod's own CPU, of the proxy's CPU."""
    start = figures["start"]["meshim" if way == "meshim" else "sh + curl"]
    return {
        "later than its proxy": figures["lag_short"][way],
        "CPU of its own": figures["cpu_short"][way] * WAIT + start,
        "CPU of its proxy": max(figures["load_one"][way], 0) * WAIT,
    }


def table(figures):
    starts = {way: one_start(figures, way) for way in WAYS}
    lines = ["| | " + " | ".join(WAYS) + " |", "|---" * (len(WAYS) + 1) + "|"]
    for what in starts["meshim"]:
        cells = (f"{starts[way][what]:,.1f} ms" for way in WAYS)
        lines.append(f"| one start, {what} | " + " | ".join(cells) + " |")
    for what, unit in (
        ("later than its proxy", "hours of waiting pods"),
        ("CPU of its own", "core-hours in the pods"),
        ("CPU of its proxy", "core-hours in the proxies"),
    ):
        cells = (f"{starts[way][what] * STARTS / MS_PER_HOUR:,.2f}" for way in WAYS)
        lines.append(f"| {STARTS:,} starts a day, {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(figures):
    own, loop = (one_start(figures, way) for way in WAYS[:2])
    saved = (loop["later than its proxy"] - own["later than its proxy"]) * STARTS / MS_PER_HOUR
    more = (
        sum(own[what] - loop[what] for what in own if what.startswith("CPU")) * STARTS / MS_PER_HOUR
    )
    cpu = f"costs {more:.2f} core-hours more" if more > 0 else f"saves {-more:.2f} core-hours, too"
    return (
        f"Against the loop with `sleep 1`, {STARTS:,} starts a day save {saved:,.1f} hours of"
        f" waiting; that {cpu}."
    )


def main():
    page = HERE / "cost.md"
    text = page.read_text()
    before, rest = text.split(MARKERS[0])
    _, after = rest.split(MARKERS[1])
    figures = medians()
    new = f"{before}{MARKERS[0]}{table(figures)}\n\n{summary(figures)}\n{MARKERS[1]}{after}"
    if "--check" in sys.argv[1:]:
        sys.exit(
            0
            if new == text
            else "docs/cost.py: docs/cost.md is not what docs/figures.json says; run docs/cost.py"
        )
    page.write_text(new)


main()
