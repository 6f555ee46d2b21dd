"""The sections of docs/reliability.md that programs write, between their marks."""
import datetime, os, platform, subprocess


def when_and_where(meshim):
    """Date, version with its commit, machine: what every figure is said with."""
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    version = subprocess.run(
        [meshim, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    kernel = platform.release().split("-")[0]
    return f"{date}, `{version}`, {platform.machine()}, {os.cpu_count()} cores, Linux {kernel}"


def write(page, name, text):
    """Replaces what stands between the marks of the section `name`."""
    begin, end = f"<!-- {name}: written by `tests/{name}` -->", f"<!-- /{name} -->"
    before, found, rest = page.read_text().partition(begin)
    if not found or end not in rest:
        raise SystemExit(f"{page} has no marks for {name}: {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{text.rstrip()}\n\n{end}{rest.partition(end)[2]}")
