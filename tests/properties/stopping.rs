//! The machines that stop a run, with what may happen to them by chance.

use crate::Cases;
use crate::laws::{drain, lifecycle, quit, unsent};

#[test]
fn a_run_ends_as_its_application_did_and_asks_the_proxy_only_then() {
    lifecycle::a_run_ends_as_its_application_did_and_asks_the_proxy_only_then(&mut Cases(800));
}

#[test]
fn with_grace_a_stop_ends_by_itself_whatever_else_comes() {
    lifecycle::with_grace_a_stop_ends_by_itself_whatever_else_comes(&mut Cases(800));
}

#[test]
fn draining_ends_between_its_shortest_and_its_longest_time() {
    drain::draining_ends_between_its_shortest_and_its_longest_time(&mut Cases(150));
}

#[test]
fn a_request_in_flight_is_waited_for_until_the_longest_time() {
    drain::a_request_in_flight_is_waited_for_until_the_longest_time(&mut Cases(150));
}

#[test]
fn asking_ends_within_its_budget_and_nobody_is_asked_after_agreeing() {
    quit::asking_ends_within_its_budget_and_nobody_is_asked_after_agreeing(&mut Cases(400));
}

#[test]
fn waiting_for_unsent_bytes_ends_and_says_empty_only_where_nothing_was_seen_twice() {
    unsent::waiting_for_unsent_bytes_ends_and_says_empty_only_where_nothing_was_seen_twice(
        &mut Cases(400),
    );
}
