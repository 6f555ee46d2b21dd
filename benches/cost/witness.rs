//! The application of the benchmark: says when it began and what its process had cost until then.
//!
//! Tiny and static, so that its own start is the same, and small, behind every contender. What it
//! says is for the benchmark beside it alone, which builds and starts it.

#![expect(clippy::print_stdout, reason = "saying so is its whole purpose")]

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::time::TimeValLike as _;
use nix::time::{ClockId, clock_gettime};

fn main() -> nix::Result<()> {
    let began = now()?;
    if std::env::args().nth(1).is_some_and(|job| job == "signals") {
        return signals();
    }
    // Exec keeps the account of a process: this is what the waiting before us has cost, children
    // included.
    let (own, children) = (cpu_time(UsageWho::RUSAGE_SELF)?, cpu_time(UsageWho::RUSAGE_CHILDREN)?);
    println!("{began} {own} {children}");
    Ok(())
}

/// Tells when each SIGUSR1 has arrived, until it is killed.
fn signals() -> nix::Result<()> {
    let mut awaited = SigSet::empty();
    awaited.add(Signal::SIGUSR1);
    awaited.thread_block()?;
    println!("listening");
    loop {
        awaited.wait()?;
        println!("{}", now()?);
    }
}

/// Nanoseconds of the clock that all processes share.
fn now() -> nix::Result<i64> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.num_nanoseconds())
}

/// Microseconds of CPU, user's and system's.
fn cpu_time(who: UsageWho) -> nix::Result<i64> {
    let usage = getrusage(who)?;
    Ok(usage.user_time().num_microseconds() + usage.system_time().num_microseconds())
}
