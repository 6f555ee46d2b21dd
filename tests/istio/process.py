"""Programs in the background, and waiting for facts.

Owns starting and ending them, each by its id. Must know nothing of meshes.
"""
import os, signal, subprocess, time

DEADLINE = 60


class Failed(Exception):
    """What a case says when it does not hold."""


def expect(condition, text, *seen):
    if not condition:
        raise Failed("\n".join([text, *map(str, seen)]))


def until(what, seconds, look):
    """Waits for a fact: the first true answer of `look`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen
        time.sleep(0.02)
    raise Failed(f"{what}: not within {seconds} s")


class Process:
    """A program in the background, with a log and a session of its own. Ended, by its id, when the
    mesh goes down."""

    def __init__(self, mesh, name, command, **more):
        self.log = mesh.work / f"{name}.log"
        with self.log.open("w") as out:
            self.log.chmod(0o666)
            self.popen = subprocess.Popen(
                list(map(str, command)), stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                start_new_session=True, **more,
            )
        self.pid = self.popen.pid
        mesh.processes.append(self)

    def text(self):
        return self.log.read_text(errors="replace")

    def has_ended(self):
        return self.popen.poll() is not None

    def wait(self, seconds=DEADLINE):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(
                f"{self.log.name}: still runs after {seconds} s:\n{self.text()[-1500:]}"
            ) from None

    def send(self, number):
        if not self.has_ended():
            os.kill(self.pid, number)

    def kill(self):
        if not self.has_ended():
            os.killpg(self.pid, signal.SIGKILL)
            self.popen.wait(DEADLINE)
