//! From "the proxy is ready" to the application's first instruction, what the waiting costs its own
//! container, and what it asks of the proxy.
//!
//! The proxy is a stand-in with Istio's two endpoints, because of a real one nobody knows the
//! moment it became ready. It does what Envoy 1.36 and 1.40 were seen to do under xDS: at first
//! nobody listens; then the admin API says `PRE_INITIALIZING`, and `INITIALIZING` once it has its
//! clusters; and only when it is LIVE do its listeners listen, that of `/healthz/ready` among them.
//! Here that is a third of the start-up, all but the last tenth, and its end.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are for meshim; here threads wait for start-ups"
)]

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Plan;
use super::figures::{Goal, Row};
use super::machine::{milliseconds, now};
use super::peers::{Peers, shell_loop};
use super::support::process::Process;
use super::support::reply::Reply;
use super::support::standin::StandIn;

/// So many start-ups wait at once. Nearly all of them sleep: together they take less than half of
/// one core.
const LANES: usize = 5;

/// The one number behind all start-ups, so that two runs measure the same ones.
const SEED: u64 = 0x6d65_7368_696d;

const CONTENDERS: [Contender; 3] = [
    Contender { name: "meshim", pause: None },
    Contender { name: "sh + curl, sleep 1", pause: Some("1") },
    Contender { name: "sh + curl, sleep 0.1", pause: Some("0.1") },
];

/// A way to wait: meshim's, or a shell's with this pause.
#[derive(Clone, Copy, Debug)]
struct Contender {
    name: &'static str,
    pause: Option<&'static str>,
}

/// One start-up to wait for.
#[derive(Clone, Copy, Debug)]
struct StartUp {
    contender: usize,
    takes: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    contender: usize,
    lag: f64,
    cpu_per_second: f64,
    cheap: usize,
    authority: usize,
}

pub(crate) fn rows(peers: &Peers, plan: &Plan) -> Vec<Row> {
    let bare = bare_cpu(peers, plan.choose(30, 10));
    let short = wait_for_all(peers, bare, &drawn(500..4_000, plan.choose(100, 10)));
    let long = wait_for_all(peers, bare, &drawn(8_000..20_000, plan.choose(25, 2)));
    let row = |key, figure: &str, unit, of: &[Outcome], value: fn(&Outcome) -> f64| {
        CONTENDERS.iter().enumerate().fold(Row::new(key, figure, unit), |row, (at, contender)| {
            row.with(
                contender.name,
                of.iter().filter(|outcome| outcome.contender == at).map(value).collect(),
            )
        })
    };
    let lag = |outcome: &Outcome| outcome.lag;
    let cpu = |outcome: &Outcome| outcome.cpu_per_second;
    let requests = |key, figure, of: &[Outcome]| {
        row(key, figure, "", of, |outcome| count(outcome.cheap + outcome.authority))
    };
    vec![
        row(
            "lag_short",
            "from \"ready\" to the application's first instruction, start-ups of 0.5-4 s",
            "ms",
            &short,
            lag,
        )
        .spread()
        .goal(Goal { median: 3.0, p90: Some(8.0) }),
        row("lag_long", "the same, start-ups of 8-20 s", "ms", &long, lag)
            .spread()
            .goal(Goal::median(15.0)),
        row("cpu_short", "own CPU per second of waiting, start-ups of 0.5-4 s", "ms", &short, cpu)
            .spread()
            .goal(Goal::median(5.0)),
        row("cpu_long", "the same, start-ups of 8-20 s", "ms", &long, cpu)
            .spread()
            .goal(Goal::median(5.0)),
        requests("requests_short", "requests to the proxy in one start-up of 0.5-4 s", &short),
        requests("requests_long", "the same, start-ups of 8-20 s", &long),
    ]
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("no start-up takes that many requests"))
}

/// As many start-ups as `number`, from a range of milliseconds, each for every contender.
fn drawn(range: std::ops::Range<u64>, number: usize) -> Vec<StartUp> {
    let mut state = SEED;
    let mut start_ups = Vec::new();
    for round in 0..number {
        let takes =
            Duration::from_millis(range.start + random(&mut state) % (range.end - range.start));
        // Everybody is first, second and last equally often.
        let order = (0..CONTENDERS.len()).map(|at| (at + round) % CONTENDERS.len());
        start_ups.extend(order.map(|contender| StartUp { contender, takes }));
    }
    start_ups
}

/// splitmix64: seven lines, the same everywhere (Steele, Lea, Flood 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn wait_for_all(peers: &Peers, bare: f64, start_ups: &[StartUp]) -> Vec<Outcome> {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(start_up) = start_ups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = wait_for(peers, bare, *start_up);
                    outcomes.lock().expect("no lane panics with it").push(outcome);
                }
            });
        }
    });
    outcomes.into_inner().expect("no lane has panicked")
}

fn wait_for(peers: &Peers, bare: f64, start_up: StartUp) -> Outcome {
    let (mut admin, mut agent) = (StandIn::late(), StandIn::late());
    admin.says("/ready", Reply::not_ready("PRE_INITIALIZING"));
    agent.says("/healthz/ready", Reply::plain(200, ""));
    let began = now();
    let process = Process::spawn(&mut waiting(peers, start_up.contender, &admin, &agent));
    let (listens, has_clusters) = (start_up.takes / 3, start_up.takes / 10 * 9);
    std::thread::sleep(listens);
    admin.open();
    std::thread::sleep(has_clusters.saturating_sub(listens));
    admin.says("/ready", Reply::not_ready("INITIALIZING"));
    std::thread::sleep(start_up.takes / 10);
    let ready = now();
    admin.says("/ready", Reply::live());
    agent.open();
    let (first_instruction, cpu) = witnessed(process);
    Outcome {
        contender: start_up.contender,
        lag: milliseconds(ready, first_instruction),
        cpu_per_second: (cpu - bare) / milliseconds(began, first_instruction) * 1e3,
        cheap: admin.count("/ready"),
        authority: agent.count("/healthz/ready"),
    }
}

/// With `localhost` in each URL, as everybody has it by default.
fn waiting(peers: &Peers, contender: usize, admin: &StandIn, agent: &StandIn) -> Command {
    let ready = format!("localhost:{}/healthz/ready", agent.port());
    if let Some(pause) = CONTENDERS[contender].pause {
        return shell_loop(pause, &ready, &peers.witness);
    }
    let mut meshim = Command::new(&peers.meshim);
    meshim.args(["--mesh=istio", "--admin-url", &format!("http://localhost:{}", admin.port())]);
    meshim.args(["--ready-url", &format!("http://{ready}"), "--"]).arg(&peers.witness);
    meshim
}

/// What the witness says: the moment it began, and the CPU time its process had taken by then, in
/// milliseconds.
fn witnessed(process: Process) -> (i64, f64) {
    let ended = process.wait();
    let numbers: Vec<i64> =
        ended.stdout.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [began, own, children] = numbers[..] else { panic!("the witness never ran: {ended:?}") };
    (began, Duration::from_micros((own + children).unsigned_abs()).as_secs_f64() * 1e3)
}

/// What the witness costs by itself, in milliseconds of CPU.
fn bare_cpu(peers: &Peers, runs: usize) -> f64 {
    let alone = (0..runs).map(|_| witnessed(Process::spawn(&mut Command::new(&peers.witness))).1);
    super::figures::Sample::of(alone.collect()).median()
}
