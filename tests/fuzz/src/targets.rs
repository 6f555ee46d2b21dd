//! The list of targets: a name, and what must hold for any bytes. A new parser is a row here, and
//! seeds in `tests/fuzz/seeds.py`.

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use meshim::core::envoy::{
    certs, cluster_types, clusters, counters, endpoints, inbound_clusters, init_dump, listeners,
    manifest, routes, runtime, server_info, stats, usage, warming_secrets,
};
use meshim::core::metrics::{agent, in_flight, linkerd};

use crate::laws::{
    self, Tries, answer, doctor, drain, executable, lifecycle, page, process, quit, socket, text,
    unsent,
};

/// What is tried: it panics where the law does not hold.
pub(crate) type Try = fn(&[u8]);

pub(crate) const TARGETS: &[(&str, Try)] = &[
    // What others send.
    ("http", answer::is_read),
    ("sock-diag", socket::are_messages),
    ("proc-net-tcp", socket::are_lines),
    ("process-stat", process::is_a_stat),
    ("executable", executable::is_told),
    ("picker", page::is_picked),
    ("json", page::is_walked),
    ("lines", page::is_text),
    ("server-info", |bytes| {
        page::is_read::<server_info::ServerInfoPage>(bytes);
        page::is_read::<manifest::ManifestPage>(bytes);
    }),
    ("init-dump", page::is_read::<init_dump::InitDump>),
    ("runtime", page::is_read::<runtime::RuntimePage>),
    ("warming-secrets", page::is_read::<warming_secrets::WarmingSecretsPage>),
    ("certs", page::is_read::<certs::CertsPage>),
    ("listeners", |bytes| {
        page::is_read::<listeners::ListenersPage>(bytes);
        page::is_read::<listeners::AllListenersPage>(bytes);
    }),
    ("routes", page::is_read::<routes::RoutesPage>),
    ("endpoints", |bytes| {
        page::is_read::<endpoints::EndpointsPage>(bytes);
        page::is_read::<endpoints::StaticEndpointsPage>(bytes);
    }),
    ("clusters", |bytes| {
        page::is_read::<clusters::Clusters>(bytes);
        page::is_read::<inbound_clusters::InboundClustersPage>(bytes);
        page::is_read::<cluster_types::OriginalDestinationsPage>(bytes);
    }),
    ("stats", |bytes| {
        page::is_read::<stats::StatsPage>(bytes);
        page::is_read::<counters::CountersPage>(bytes);
    }),
    ("usage", page::is_read::<usage::UsagePage>),
    ("agent-metrics", page::is_read::<agent::AgentPage>),
    ("linkerd-metrics", |bytes| {
        page::is_read::<linkerd::LinkerdPage>(bytes);
        page::is_read::<in_flight::InFlightPage>(bytes);
    }),
    ("doctor", doctor::is_judged),
    // What people type.
    ("durations", text::is_a_duration),
    ("moments", text::is_a_moment),
    ("urls", text::is_a_url),
    ("signal-maps", text::are_mappings),
    ("messages", text::is_a_message),
    ("settings", text::are_settings),
    // What happens to the machines, in which order.
    ("lifecycle", |bytes| {
        let tries = &mut Bytes(bytes);
        lifecycle::a_run_ends_as_its_application_did_and_asks_the_proxy_only_then(tries);
        lifecycle::with_grace_a_stop_ends_by_itself_whatever_else_comes(tries);
    }),
    ("drain", |bytes| {
        let tries = &mut Bytes(bytes);
        drain::draining_ends_between_its_shortest_and_its_longest_time(tries);
        drain::a_request_in_flight_is_waited_for_until_the_longest_time(tries);
    }),
    ("quit", |bytes| {
        let tries = &mut Bytes(bytes);
        quit::asking_ends_within_its_budget_and_nobody_is_asked_after_agreeing(tries);
    }),
    ("unsent", |bytes| {
        let tries = &mut Bytes(bytes);
        unsent::waiting_for_unsent_bytes_ends_and_says_empty_only_where_nothing_was_seen_twice(
            tries,
        );
    }),
    ("wait", |bytes| {
        let tries = &mut Bytes(bytes);
        laws::wait::a_wait_goes_forward_and_ends_within_its_timeout(tries);
        laws::wait::a_pause_is_never_without_end_nor_shorter_than_the_proxy_can_bear(tries);
    }),
];

/// Takes all choices from generators that start from these bytes. Not the bytes themselves choose
/// (`RngAlgorithm::PassThrough`): each choice among kinds would take half of those that are left,
/// and behind their end zeros are refused for ever. So libFuzzer keeps the starts that reach new
/// code, and cannot change one choice alone.
struct Bytes<'a>(&'a [u8]);

impl Tries for Bytes<'_> {
    fn try_all<S: Strategy>(&mut self, kind: S, law: impl Fn(S::Value)) {
        let mut seed = [0; 32];
        for (at, byte) in self.0.iter().enumerate() {
            let place: &mut u8 = &mut seed[at % 32];
            *place = place.wrapping_mul(31).wrapping_add(*byte);
        }
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let config = Config { failure_persistence: None, ..Config::default() };
        // What rejects all of these choices has nothing to try.
        if let Ok(tree) = kind.new_tree(&mut TestRunner::new_with_rng(config, rng)) {
            law(tree.current());
        }
    }
}
