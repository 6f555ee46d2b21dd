"""The application of the long run: takes every signal, one by one, and leaves orphans behind.

application.py ORPHANS_A_MINUTE: says `ready`, then `got N` for each signal; ends with 77 at signal
64, after a line of counts."""

import json, os, random, signal, sys, time

EVERY = set(range(1, 65)) - {4, 7, 8, 9, 11, 17, 19, 32, 33}
LAST = 64


def leave_an_orphan(chance):
    """A grandchild whose parent is gone at once; it ends within 200 ms, by an exit or a signal."""
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            time.sleep(chance / 5)
            if chance < 0.3:
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(int(chance * 255))
        os._exit(3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 3, f"our own child's status is {status}"


def main(orphans_a_minute):
    signal.pthread_sigmask(signal.SIG_BLOCK, EVERY)
    print("ready", os.getpid(), flush=True)
    chances, pause = random.Random(15), 60 / orphans_a_minute
    counts, orphans, due = {}, 0, time.monotonic()
    while True:
        got = signal.sigtimedwait(EVERY, max(0, due - time.monotonic()))
        if got is None:
            leave_an_orphan(chances.random())
            orphans, due = orphans + 1, due + pause
        elif got.si_signo == LAST:
            print("counts", json.dumps({"signals": counts, "orphans": orphans}), flush=True)
            sys.exit(77)
        else:
            counts[got.si_signo] = counts.get(got.si_signo, 0) + 1
            print("got", got.si_signo, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
