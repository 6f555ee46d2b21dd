//! A wait, with what may happen to it by chance.

use crate::Cases;
use crate::laws::wait;

#[test]
fn a_wait_goes_forward_and_ends_within_its_timeout() {
    wait::a_wait_goes_forward_and_ends_within_its_timeout(&mut Cases(250));
}

#[test]
fn a_pause_is_never_without_end_nor_shorter_than_the_proxy_can_bear() {
    wait::a_pause_is_never_without_end_nor_shorter_than_the_proxy_can_bear(&mut Cases(1_000));
}
