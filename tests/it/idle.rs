//! Idle, as the kernel sees it: real sockets, of which the test itself is the application, and
//! `meshim drain --mesh none`, which looks at them.
//!
//! In namespaces of its own: this process is of the same container as meshim there, and has every
//! listening socket.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::meshim::{Meshim, Running};
use crate::support::namespace::inside;
use crate::support::shared::poll;

/// A connection to `listener`: the client's end, and the application's.
fn connected(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let address = listener.local_addr().expect("it is bound");
    let client = TcpStream::connect(address).expect("it listens");
    let (server, _) = listener.accept().expect("somebody has connected");
    (client, server)
}

/// Bytes from one end to the other, read there.
fn say(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"hello").expect("it is open");
    to.read_exact(&mut [0; 5]).expect("it is open");
}

/// The hook, of which nothing but the kernel's word can end the drain before an hour.
fn drain(quiet: &str) -> Running {
    let options = ["--mesh=none", "--drain-min=10ms", "--drain-max=1h", "--log=debug"];
    Meshim::does("drain").with(options).with([&format!("--drain-quiet={quiet}")]).spawn()
}

/// Holds that the drain goes on for more than three times the quiet time, and sees so many
/// connections at work.
fn goes_on(run: &Running, at_work: u32, quiet: Duration) {
    run.wait_for_stderr(&format!("at_work={at_work}"));
    let began = Instant::now();
    let ended = poll(|| (run.has_ended() || began.elapsed() > quiet * 3).then(|| run.has_ended()));
    assert_eq!(ended, Some(false), "{}", run.stderr());
}

#[test]
fn a_request_without_an_answer_is_at_work_however_long_it_takes() {
    inside(|| {
        for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            let mut client = match address {
                "[::]:0" => TcpStream::connect(("127.0.0.1", port)),
                _ => TcpStream::connect(listener.local_addr().unwrap()),
            }
            .unwrap();
            let (mut server, _) = listener.accept().unwrap();
            // A first request, and one that comes right behind an answer: their ages are equal.
            for _ in 0..2 {
                say(&mut client, &mut server);
                let run = drain("100ms");
                goes_on(&run, 1, Duration::from_millis(100));
                say(&mut server, &mut client);
                let ended = run.wait().expect_code(0);
                ended.expect_stderr(&["by the kernel alone", "quiet for longer than 100ms"]);
            }
        }
    });
}

#[test]
fn a_request_right_behind_an_answer_is_at_work_although_their_ages_are_equal() {
    inside(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut server) = connected(&listener);
        say(&mut client, &mut server);
        // In one tick of the kernel's clock, mostly.
        server.write_all(b"hello").unwrap();
        client.write_all(b"again").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        let asked = Instant::now();
        let run = drain("2s");
        run.wait_for_stderr("at_work=1");
        // By ages alone it would be idle at once. Where the tick ended between the two it is owed.
        let until = poll(|| (asked.elapsed() > Duration::from_millis(2_500)).then_some(()));
        assert!(until.is_some() && !run.has_ended(), "{}", run.stderr());
        say(&mut server, &mut client);
        run.wait().expect_code(0);
    });
}

#[test]
fn bytes_in_a_queue_are_at_work() {
    inside(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut server) = connected(&listener);
        say(&mut client, &mut server);
        // An answer that the client does not take: it fills the client's queue, then ours.
        server.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(length) = server.write(&[0; 8_192]) {
            sent += length;
        }
        let run = drain("100ms");
        goes_on(&run, 1, Duration::from_millis(100));
        client.read_exact(&mut vec![0; sent]).unwrap();
        run.wait().expect_code(0);
    });
}

#[test]
fn what_moved_before_the_stop_signal_counts_so_that_an_idle_server_pays_nothing() {
    inside(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut server) = connected(&listener);
        say(&mut client, &mut server);
        say(&mut server, &mut client);
        let answered = Instant::now();
        // Where both came in one tick, equal ages need two and a half times as long.
        let quiet = Duration::from_millis(400);
        poll(|| (answered.elapsed() > quiet * 5 / 2).then_some(())).unwrap();
        let ended = drain("400ms").wait().expect_code(0).expect_stderr(&["at_work=0"]);
        assert!(!ended.stderr.contains("at_work=1"), "{}", ended.stderr);
        // Just answered: it takes the quiet time, counted from the answer on.
        say(&mut client, &mut server);
        say(&mut server, &mut client);
        let answered = Instant::now();
        drain("400ms").wait().expect_code(0);
        assert!(answered.elapsed() >= quiet, "{:?}", answered.elapsed());
    });
}

#[test]
fn the_ports_are_those_of_the_stop_signal_also_when_the_application_closes_them() {
    inside(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut server) = connected(&listener);
        say(&mut client, &mut server);
        let run = drain("100ms");
        let port = listener.local_addr().unwrap().port();
        run.wait_for_stderr(&format!("ports={port}"));
        drop(listener);
        goes_on(&run, 1, Duration::from_millis(100));
        say(&mut server, &mut client);
        run.wait().expect_code(0);
    });
}

#[test]
fn connections_that_lead_out_of_the_pod_are_not_the_applications_inbound_ones() {
    inside(|| {
        // A database: what the application asks there is no inbound traffic. It listens in this
        // process, too, so its port is named as the proxy's.
        let database = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut ours, mut theirs) = connected(&database);
        say(&mut ours, &mut theirs);
        let url = format!("http://{}/ready", database.local_addr().unwrap());
        let options = ["--mesh=linkerd", "--drain-min=10ms", "--drain-max=1h"];
        let run = Meshim::does("drain").with(options).with(["--ready-url", &url]).spawn();
        run.wait().expect_code(0).expect_stderr(&["no connection to the application is open"]);
    });
}

#[test]
fn a_connection_that_the_client_has_closed_and_the_application_forgot_is_idle() {
    inside(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut server) = connected(&listener);
        say(&mut client, &mut server);
        say(&mut server, &mut client);
        drop(client);
        drain("100ms").wait().expect_code(0);
        drop(server);
    });
}
