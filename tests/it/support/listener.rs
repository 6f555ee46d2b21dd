//! An application that says which signals it gets: `ready`, then a line each, as `got 15`. 64 ends
//! it.

use super::meshim::{Meshim, Running};

/// Blocks every signal and takes them one by one, so that not one is lost in itself. `{}` is Python
/// run before.
const SCRIPT: &str = "
import os, signal, sys
every = set(range(1, 65)) - {9, 19, 32, 33}
signal.pthread_sigmask(signal.SIG_BLOCK, every)
print('ready', os.getpid(), os.getpgrp(), flush=True)
count = {}
while True:
    got = signal.sigwaitinfo(every).si_signo
    if got == 64:
        print('count', sorted(count.items()), flush=True)
        sys.exit(0)
    count[got] = count.get(got, 0) + 1
    print('got', got, flush=True)
";

/// Its command line.
pub(crate) fn command() -> [&'static str; 3] {
    ["python3", "-c", SCRIPT]
}

/// Starts it under a supervising meshim with these further options, and waits until it listens.
pub(crate) fn supervised(options: &[&str]) -> Running {
    let run = Meshim::starts(command())
        .with(["--mesh=none", "--supervise"])
        .with(options.to_vec())
        .spawn();
    run.wait_for_stdout("ready");
    run
}
