//! Whole sets of pages, damaged, before all judges of `doctor` and `check`.

use proptest::prelude::{Strategy, any};
use proptest::sample::{Index, select};

use crate::Cases;
use crate::bytes::damaged;
use crate::laws::Tries as _;
use crate::laws::doctor::{BETWEEN, ORDER, is_judged};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/doctor/", $name))
    };
}

/// What each page says in a pod that is well, by its name in `ORDER`.
const HEALTHY: [(&str, &str); 10] = [
    ("circumstances", "istio 1795535700 inside deep"),
    ("server_info", fixture!("healthy.server_info.json")),
    ("stats", fixture!("healthy.stats.txt")),
    ("listeners", fixture!("healthy.listeners.json")),
    ("routes", fixture!("healthy.routes.json")),
    ("endpoints", fixture!("healthy.endpoints.json")),
    ("certs", fixture!("healthy.certs.json")),
    ("agent metrics", fixture!("renewal-failing.metrics.txt")),
    ("sockets", SOCKETS),
    ("usage", "outbound|80||a.b.svc.cluster.local::10.0.0.1:80::rq_total::18446744073709551615\n"),
];

const SOCKETS: &str = concat!(
    "   0: 00000000:3A9E 00000000:0000 0A 00000000:00000000 00:00000000 00000000  133",
    "7        0 4242 1 0000000000000000 100 0 0 10 0\n",
    "   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  100",
    "0        0 4243 1 0000000000000000 100 0 0 10 0\n",
    "   2: 0A00420A:1F90 1400420A:D2F0 01 00000000:00000000 00:00000000 00000000  100",
    "0        0 4244 1 0000000000000000 20 4 30 10 -1\n",
);

/// A page that is wrong in one way, to stand in the place of the healthy one.
const OTHERS: [(&str, &str); 9] = [
    ("circumstances", "linkerd"),
    ("circumstances", "none ambient"),
    ("server_info", fixture!("native.server_info.json")),
    ("stats", fixture!("rejected.stats.txt")),
    ("stats later", fixture!("authz-tcp.stats.txt")),
    ("listeners", fixture!("authz-tcp.listeners.json")),
    ("listeners", fixture!("rejected.listeners.json")),
    ("routes", fixture!("fault.routes.json")),
    ("routes", fixture!("missing-subset.routes.json")),
];

/// A set with these pages, of which the last of a name counts.
fn put(pages: &[(&str, &[u8])]) -> Vec<u8> {
    let page = |name: &str| {
        let of_name = pages.iter().rfind(|page| page.0 == name);
        of_name.map_or_else(Vec::new, |page| page.1.to_vec())
    };
    ORDER.map(page).join(&BETWEEN)
}

/// A healthy set with one other page, of which one page is damaged or missing.
fn sets() -> impl Strategy<Value = Vec<u8>> {
    let pages: Vec<(&str, &str)> = HEALTHY.into_iter().chain(OTHERS).collect();
    let damaged_page = select(pages)
        .prop_flat_map(|(name, page)| damaged(&[page]).prop_map(move |page| (name, page)));
    (select(OTHERS.to_vec()), damaged_page, any::<Option<Index>>()).prop_map(
        |(other, (name, page), without)| {
            let gone = without.map(|at| ORDER[at.index(ORDER.len())]);
            let pages = HEALTHY.into_iter().chain([other]);
            let pages = pages.map(|(name, page)| (name, page.as_bytes()));
            let all = pages.chain([(name, &page[..])]);
            put(&all.filter(|(name, _)| Some(*name) != gone).collect::<Vec<_>>())
        },
    )
}

#[test]
fn all_judges_judge_whatever_the_pages_say() {
    Cases(150).try_all(sets(), |bytes| is_judged(&bytes));
}
