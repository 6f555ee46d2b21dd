#!/usr/bin/env python3
"""meshim for a long time: tests/soak/run.py [--minutes N] [--meshim PATH] [--report PAGE]

At once, for N minutes (1 where it is not said):
  a supervisor   whose application leaves 1,000 orphans a minute and takes every signal that can
                 be forwarded; its stderr is a small pipe that is read for five seconds and not
                 read for five. At half time comes the first stop signal, it drains, and from then
                 on every stop signal is forwarded, too.
  a waiting run  whose proxy never becomes ready, in any of the moods of admin.py.
  short runs     three at a time, beside an admin API of all moods: each ends by itself or by
                 TERM, drains, quits the proxy, and must pass its application's exit code on.
Fails where a status or a signal is lost or doubled, where a run hangs, where a line of the log is
torn, and where memory, descriptors or zombies of the two long runs grow after the warm-up.
--report writes the figures into that page.
"""
import argparse, fcntl, itertools, json, os, pathlib, random
import re, signal, subprocess, sys, threading, time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(ROOT / "tests"))
import admin, reliability
from application import EVERY, LAST

ORPHANS_A_MINUTE = 1000
LANES = 3
MOOD = 3.0                      # seconds
READ, UNREAD = 5.0, 5.0         # seconds in which stderr is read, and is not
PAUSE = 0.03                    # seconds between two signals
BURST = 50                      # real-time signals of one kind, which the kernel queues one by one
PATIENCE = 60                   # seconds for anything that must happen
GROWTH_KIB = 256                # anonymous memory: a drain and its pages come after the warm-up
# A user of its own for the supervisor, so that nobody else's signals fill its queue. It may still
# read what only root may: this checkout, and a python that is root's.
OWN_USER = ["setpriv", "--reuid=64015", "--regid=64015", "--clear-groups",
            "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
# musl keeps 34 for itself.
KINDS = [number for number in sorted(EVERY) if number not in (34, LAST)]


class Failures(list):
    def add(self, text):
        print(f"FAILED: {text}", flush=True)
        self.append(text)


class Long:
    """A run that lives as long as the test, and what was seen of it each second."""

    def __init__(self, name, command, **streams):
        self.name, self.samples = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **streams)
        self.previous_zombies, self.lasting_zombies, self.most_zombies = set(), set(), 0

    def sample(self):
        proc = pathlib.Path(f"/proc/{self.process.pid}")
        try:
            status = (proc / "status").read_text()
            descriptors = len(os.listdir(proc / "fd"))
            children = (proc / f"task/{self.process.pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return
        number = lambda name: int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1])
        zombies = {child for child in children if state_of(child) == "Z"}
        self.lasting_zombies |= zombies & self.previous_zombies
        self.previous_zombies, self.most_zombies = zombies, max(self.most_zombies, len(zombies))
        self.samples.append((number("RssAnon"), number("VmRSS"), descriptors))

    def judge(self, warm, failures):
        """The figures after the warm-up: [first, most, last] of each."""
        columns = list(zip(*self.samples[warm:]))
        if not columns:
            return failures.add(f"{self.name} lived too short to be judged") or {}
        figures = {
            name: [column[0], max(column), column[-1]]
            for name, column in zip(("anonymous", "resident", "descriptors"), columns)
        }
        first, most, last = figures["anonymous"]
        if last > first + GROWTH_KIB:
            failures.add(f"{self.name}: anonymous memory grew from {first} to {last} KiB")
        first, most, last = figures["descriptors"]
        # What a look, a drain or the application's list needs for a moment is closed again.
        if most > first + 4 or last > first + 1:
            failures.add(f"{self.name}: descriptors grew from {first} to {last}, at most {most}")
        if self.lasting_zombies:
            failures.add(
                f"{self.name}: zombies were there for a second and more: "
                f"{sorted(self.lasting_zombies)[:5]}"
            )
        return figures


class Queue:
    """The signals that wait for all processes of the supervisor's user (SigQ of
    proc_pid_status(5)). Above the limit the kernel drops real-time ones in silence, so another
    program's flood would be taken for our loss."""

    def __init__(self, pid):
        self.status = pathlib.Path(f"/proc/{pid}/status")
        self.crowded = 0.0      # when it was last more than a quarter full
        threading.Thread(target=self.look, daemon=True).start()

    def look(self):
        while True:
            try:
                status = self.status.read_text()
            except (FileNotFoundError, ProcessLookupError):
                return
            waiting, limit = re.search(r"^SigQ:\s+(\d+)/(\d+)", status, re.M).groups()
            if int(waiting) > int(limit) / 4:
                self.crowded = time.monotonic()
            time.sleep(0.02)


def state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


class Log:
    """meshim's stderr through a pipe of one page that is read now and then; holds that each line is
    whole."""

    def __init__(self, failures):
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        self.failures, self.lines, self.lost, self.open = failures, 0, 0, threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        threading.Thread(target=self.turn, daemon=True).start()

    def turn(self):
        while True:
            self.open.set()
            time.sleep(READ)
            self.open.clear()
            time.sleep(UNREAD)

    def read(self):
        rest = b""
        while self.open.wait() and (piece := os.read(self.reader, 4096)):
            *lines, rest = (rest + piece).split(b"\n")
            self.lines += len(lines)
            for line in lines:
                self.lost += b"lost, since nobody read stderr" in line
                if not line.startswith(b"meshim: "):
                    self.failures.add(f"a torn line: {line[:200]}")


class Signals:
    """Sends signals and counts what the application says that it got; the next one goes when the
    last one was seen."""

    def __init__(self, run, failures):
        self.run, self.failures, self.sent, self.got = run, failures, {}, {}
        self.counts, self.unjudged = None, 0
        self.changed, self.queue = threading.Condition(), Queue(run.process.pid)
        threading.Thread(target=self.hear, daemon=True).start()

    def hear(self):
        for line in self.run.process.stdout:
            word, _, rest = line.partition(" ")
            with self.changed:
                if word == "got":
                    self.got[int(rest)] = self.got.get(int(rest), 0) + 1
                elif word == "counts":
                    self.counts = json.loads(rest)
                self.changed.notify_all()

    def send(self, number, times=1):
        self.sent[number], began = self.sent.get(number, 0) + times, time.monotonic()
        for _ in range(times):
            self.run.process.send_signal(number)
        with self.changed:
            if self.changed.wait_for(
                lambda: self.got.get(number, 0) >= self.sent[number], PATIENCE
            ):
                return True
            if times > 1 and self.queue.crowded > began:
                self.sent[number], self.unjudged = self.got.get(number, 0), self.unjudged + 1
                return True
        self.failures.add(
            f"signal {number}: {self.sent[number]} sent, {self.got.get(number, 0)} seen"
        )
        return False

    def rounds(self, until, kinds):
        """All kinds in turn, then one kind of real-time signal many times at once."""
        for turn in itertools.count():
            for number in kinds:
                if time.monotonic() > until or not self.send(number):
                    return
                time.sleep(PAUSE)
            if not self.send(35 + turn % (LAST - 35), BURST):
                return

    def judge(self):
        if self.counts is None:
            return self.failures.add("the application never said its counts")
        for number, sent in self.sent.items():
            got = self.counts["signals"].get(str(number), 0)
            # A stopped application is continued at the first stop signal, and this one blocks all
            # signals.
            if got != sent and not (number == signal.SIGCONT and got > sent):
                self.failures.add(f"signal {number}: {sent} sent, the application had {got}")


class Shorts:
    """Runs of a second or less beside a moody proxy: every one's code is its application's."""

    SCRIPT = "trap 'exit {code}' TERM; echo ready; {then}"

    def __init__(self, meshim, url, failures):
        self.meshim, self.url, self.failures = meshim, url, failures
        self.ended, self.stopped, self.longest = 0, 0, 0.0
        self.lock = threading.Lock()

    def lane(self, number, until):
        chances = random.Random(number)
        while time.monotonic() < until:
            self.one(chances.randrange(100), is_stopped=chances.random() < 0.5)

    def one(self, code, is_stopped):
        then = "while :; do sleep 0.02; done" if is_stopped else f"(sleep 0.1 &); exit {code}"
        options = [
            "--mesh=envoy", f"--admin-url={self.url}", "--timeout=1s", "--on-timeout=start",
            "--request-timeout=300ms",
        ]
        options += ["--drain", "--drain-min=0", "--drain-max=500ms", "--quit=always"]
        line = [self.meshim, *options, "--", "sh", "-c", self.SCRIPT.format(code=code, then=then)]
        began = time.monotonic()
        run = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )
        killer = threading.Timer(PATIENCE, run.kill)
        killer.start()
        first = run.stdout.readline()
        if is_stopped:
            run.send_signal(signal.SIGTERM)
        said = run.communicate()[1]
        killer.cancel()
        with self.lock:
            self.ended, self.stopped = self.ended + 1, self.stopped + is_stopped
            self.longest = max(self.longest, time.monotonic() - began)
        if first != "ready\n" or run.returncode != code:
            self.failures.add(
                f"a short run ended with {run.returncode}, its application with {code} "
                f"({first!r}):\n{said[-2000:]}"
            )


def soak(meshim, minutes):
    failures, began = Failures(), time.monotonic()
    until, half = began + 60 * minutes, began + 30 * minutes
    never_ready = [admin.says_no, *admin.PAGES[3:], *admin.CONNECTIONS, admin.AWAY]
    moody, never = admin.Admin(MOOD), admin.Admin(MOOD, always=never_ready)
    log = Log(failures)
    application = [
        sys.executable, "-B", str(pathlib.Path(__file__).with_name("application.py")),
        str(ORPHANS_A_MINUTE),
    ]
    options = [
        "--mesh=envoy", f"--admin-url={moody.url}", "--timeout=0", "--drain", "--drain-min=1s",
        "--drain-max=2s", "--quit=always", "--log=debug",
    ]
    own = OWN_USER if os.getuid() == 0 else []
    supervisor = Long(
        "the supervisor", [*own, meshim, *options, "--", *application], stdout=subprocess.PIPE,
        stderr=log.writer, text=True,
    )
    waiting = Long(
        "the waiting run",
        [
            meshim, "wait", "--mesh=envoy", f"--admin-url={never.url}", "--timeout=0",
            "--request-timeout=1s",
        ],
        stderr=subprocess.DEVNULL,
    )
    # Whatever happens here, nothing is left behind.
    pid = None
    try:
        word, _, pid = supervisor.process.stdout.readline().partition(" ")
        if word != "ready":
            return failures.add("the application of the supervisor never started") or (failures, {})
        signals, shorts = Signals(supervisor, failures), Shorts(meshim, moody.url, failures)
        lanes = [
            threading.Thread(target=shorts.lane, args=(number, until)) for number in range(LANES)
        ]
        teller = threading.Thread(target=send_all, args=(signals, half, until))
        for thread in [*lanes, teller]:
            thread.start()
        while time.monotonic() < until and not (
            supervisor.process.poll() or waiting.process.poll()
        ):
            time.sleep(1)
            supervisor.sample()
            waiting.sample()
        for thread in [*lanes, teller]:
            thread.join()
        return failures, the_end(
            supervisor, waiting, signals, shorts, (moody, never), log, failures, minutes
        )
    finally:
        for run in (supervisor, waiting):
            run.process.kill()
            run.process.wait()
        if pid and state_of(int(pid)) != "gone":
            os.kill(int(pid), signal.SIGKILL)


def send_all(signals, half, until):
    signals.rounds(half, [number for number in KINDS if number not in STOPS])
    # The drain comes between this one and the application's; then the stop signals are signals like
    # others.
    if not signals.failures and signals.send(signal.SIGTERM):
        signals.rounds(until, KINDS)


def the_end(supervisor, waiting, signals, shorts, admins, log, failures, minutes):
    for run in (supervisor, waiting):
        if run.process.poll() is not None:
            failures.add(f"{run.name} ended by itself: {run.process.returncode}")
    if not failures:
        supervisor.process.send_signal(LAST)
        waiting.process.send_signal(signal.SIGTERM)
        for run, code in ((supervisor, 77), (waiting, 143)):
            try:
                run.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                failures.add(f"{run.name} did not end")
            if run.process.returncode != code:
                failures.add(f"{run.name} ended with {run.process.returncode}, not {code}")
        signals.judge()
    warm = max(10, int(6 * minutes))  # samples, one a second: a tenth of the time
    long_runs = {
        run.name: {**run.judge(warm, failures), "zombies": run.most_zombies}
        for run in (supervisor, waiting)
    }
    counts = signals.counts or {"signals": {}, "orphans": 0}
    if not log.lost:
        failures.add("the pipe of the log was never full")
    if counts["orphans"] < 0.8 * ORPHANS_A_MINUTE * minutes:
        failures.add(f"only {counts['orphans']} orphans in {minutes} minutes")
    return {
        "minutes": minutes,
        "orphans": counts["orphans"],
        "kinds": len(signals.sent),
        "signals": sum(signals.sent.values()),
        "unjudged": signals.unjudged,
        "short": shorts.ended,
        "stopped": shorts.stopped,
        "longest": shorts.longest,
        "requests": sum(one.requests for one in admins),
        "moods": len(admins[0].seen),
        "lines": log.lines,
        "lost": log.lost,
        "long": long_runs,
    }


def page(figures, meshim):
    """What is said about it: one table."""
    unjudged = (
        f"; {figures['unjudged']} bursts not judged: another program had filled this user's queue"
        if figures["unjudged"]
        else ""
    )
    rows = [
        ("orphans adopted and reaped", f"{figures['orphans']:,}"),
        (
            "signals sent and seen by the application",
            f"{figures['signals']:,} of {figures['kinds']} kinds; none lost, none twice{unjudged}",
        ),
        (
            "short runs, each with its application's exit code",
            f"{figures['short']:,}, of which {figures['stopped']:,} by a stop signal; the longest "
            f"{figures['longest']:.1f} s",
        ),
        ("requests to admin APIs", f"{figures['requests']:,}, in {figures['moods']} moods"),
        (
            "log lines read from a pipe that blocks half of the time",
            f"{figures['lines']:,} whole; {figures['lost']:,} notices of lines that were lost",
        ),
    ]
    for name, run in figures["long"].items():
        for what, unit in (("resident", " KiB"), ("anonymous", " KiB"), ("descriptors", "")):
            if what in run:
                rows.append(
                    (
                        f"{name}: {what}, after the warm-up, at most, at the end",
                        " · ".join(f"{number:,}{unit}" for number in run[what]),
                    )
                )
        rows.append(
            (
                f"{name}: zombies at any moment, and for a second or more",
                f"at most {run['zombies']} · 0",
            )
        )
    table = "\n".join(f"| {what} | {found} |" for what, found in rows)
    how = f"`tests/soak/run.py --minutes {figures['minutes']:g}`"
    seen = f"{how}, {reliability.when_and_where(meshim)}."
    return f"## Soak\n\n{seen}\n\n| what | seen |\n|---|---|\n{table}\n"


def main():
    built = ROOT / "target" / f"{os.uname().machine}-unknown-linux-musl" / "release" / "meshim"
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--minutes", type=float, default=1)
    options.add_argument("--meshim", type=pathlib.Path, default=built)
    options.add_argument("--report", type=pathlib.Path)
    options = options.parse_args()
    if not options.meshim.exists():
        sys.exit(f"tests/soak/run.py: {options.meshim} is missing: images/build-static builds it")
    failures, figures = soak(str(options.meshim), options.minutes)
    if failures:
        sys.exit(f"tests/soak/run.py: {len(failures)} failures; the first: {failures[0]}")
    text = page(figures, options.meshim)
    print(text)
    if options.report:
        reliability.write(options.report, "soak", text)


if __name__ == "__main__":
    main()
