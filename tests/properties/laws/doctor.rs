//! The judges: whatever the pages of a proxy say together, judging them ends, what comes out is
//! fit for a terminal and for a machine, and a judge that could not look is counted as one.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use meshim::core::endpoint::Endpoint;
use meshim::core::envoy::certs::CertsPage;
use meshim::core::envoy::cluster_types::OriginalDestinationsPage;
use meshim::core::envoy::counters::CountersPage;
use meshim::core::envoy::endpoints::{EndpointsPage, StaticEndpointsPage};
use meshim::core::envoy::inbound_clusters::InboundClustersPage;
use meshim::core::envoy::init_dump::InitDump;
use meshim::core::envoy::listeners::{AllListenersPage, ListenersPage};
use meshim::core::envoy::manifest::ManifestPage;
use meshim::core::envoy::page::Page;
use meshim::core::envoy::routes::RoutesPage;
use meshim::core::envoy::runtime::RuntimePage;
use meshim::core::envoy::unread::Unread;
use meshim::core::envoy::usage::UsagePage;
use meshim::core::envoy::warming_secrets::WarmingSecretsPage;
use meshim::core::findings::check::{self, judge_all};
use meshim::core::findings::doctor::diagnosis::NotSeen;
use meshim::core::findings::doctor::json::json;
use meshim::core::findings::doctor::judges::{JUDGES, judge};
use meshim::core::findings::doctor::pages::{self, Container, Pages, PodSockets};
use meshim::core::findings::doctor::report::DoctorReport;
use meshim::core::findings::doctor::routes::candidates;
use meshim::core::findings::doctor::text::{TextStyle, text};
use meshim::core::findings::listen::facts;
use meshim::core::findings::listen::judge::{before_start, wants_the_manifest};
use meshim::core::findings::pod::{Identity, Pod, Requested};
use meshim::core::mesh::Mesh;
use meshim::core::metrics::agent::AgentPage;
use meshim::core::metrics::linkerd::LinkerdPage;
use meshim::core::proxy::Proxy;
use meshim::core::sockets::bound::Bound;
use meshim::core::sockets::owner::{Holder, Socket};
use meshim::core::sockets::proc_line::{ProcLine, parse};
use meshim::core::waiting::observation::{Trust, decode};
use meshim::io::http::response;

use super::is_one_line;
use super::page::read;

/// What lies between two pages of a set; no real page has it.
pub(crate) const BETWEEN: u8 = 0;

/// The pages of a set, in this order; an empty one could not be had.
///
/// First the circumstances: the mesh's name, the seconds since 1970, and further words that each
/// make something true.
pub(crate) const ORDER: [&str; 17] = [
    "circumstances",
    "server_info",
    "stats",
    "stats later",
    "listeners",
    "routes",
    "endpoints",
    "static endpoints",
    "cluster types",
    "certs",
    "runtime",
    "warming secrets",
    "agent metrics",
    "linkerd metrics",
    "usage",
    "sockets",
    "inbound clusters",
];

/// The pod's own address in the recorded answers.
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 66, 0, 10));

/// A set of pages, as bytes.
struct Set<'a> {
    parts: Vec<&'a [u8]>,
    words: Vec<&'a str>,
}

impl<'a> Set<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let parts: Vec<&[u8]> = bytes.split(|byte| *byte == BETWEEN).collect();
        let words = str::from_utf8(parts[0]).unwrap_or_default().split_ascii_whitespace();
        Self { words: words.collect(), parts }
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn part(&self, name: &str) -> &'a [u8] {
        let at = ORDER.iter().position(|known| *known == name).expect("it is one of them");
        self.parts.get(at).copied().unwrap_or_default()
    }

    fn read<P: Page>(&self, name: &'static str) -> pages::Read<P::Content> {
        match self.part(name) {
            [] => Err(NotSeen::Unread(name, Unread::Gone)),
            page => read::<P>(&[page]).map_err(|why| NotSeen::Unread(name, why)),
        }
    }

    fn mesh(&self) -> Mesh {
        self.words.first().and_then(|name| Mesh::named(name)).unwrap_or(Mesh::Istio)
    }

    fn now(&self) -> Duration {
        let seconds = self.words.get(1).and_then(|word| word.parse().ok());
        Duration::from_secs(seconds.unwrap_or(1_795_535_700))
    }

    /// All that doctor reads, put together as it does.
    fn pages(&self, pod: &Pod) -> Pages {
        let mut pages = Pages::unread(self.mesh(), self.now(), &NotSeen::NoProxy);
        pages.manifest = self.read::<ManifestPage>("server_info");
        pages.counters = self.read::<CountersPage>("stats");
        let later = self.read::<CountersPage>("stats later").ok();
        pages.later = later.map(|later| (Duration::from_secs(1), later));
        pages.listeners = if self.has("all-listeners") {
            self.read::<AllListenersPage>("listeners")
        } else {
            self.read::<ListenersPage>("listeners")
        };
        pages.routes = self.read::<RoutesPage>("routes");
        pages.endpoints = self.endpoints(&pages);
        pages.certs = self.read::<CertsPage>("certs");
        pages.runtime = self.read::<RuntimePage>("runtime");
        pages.warming_secrets = self.read::<WarmingSecretsPage>("warming secrets");
        pages.agent = self.read::<AgentPage>("agent metrics");
        pages.linkerd = self.read::<LinkerdPage>("linkerd metrics");
        pages.usage = self.has("deep").then(|| self.read::<UsagePage>("usage"));
        pages.sockets = Ok(self.sockets(pod));
        let age = (!self.has("no-age")).then_some(Duration::from_hours(3));
        let commands = self.words.iter().skip(2).map(|word| (*word).to_owned()).collect();
        pages.container = Ok(Container { age, commands });
        pages
    }

    fn endpoints(&self, pages: &Pages) -> pages::Read<pages::AskedClusters> {
        let (names, is_cut) = pages.routes.as_ref().map(candidates).map_err(Clone::clone)?;
        let mut found = self.read::<EndpointsPage>("endpoints")?;
        found.extend(self.read::<StaticEndpointsPage>("static endpoints").unwrap_or_default());
        let types = self.read::<OriginalDestinationsPage>("cluster types");
        Ok(pages::AskedClusters {
            names,
            found,
            original_destinations: types.unwrap_or_default(),
            is_cut,
        })
    }

    fn sockets(&self, pod: &Pod) -> PodSockets {
        let mut sockets = PodSockets::of(pod);
        sockets.is_cut = self.has("cut");
        for line in String::from_utf8_lossy(self.part("sockets")).lines() {
            if let ProcLine::Connection(connection) = parse(line) {
                sockets.connections.push(connection);
            }
        }
        sockets
    }

    /// The pod as `check` sees it, beside the same pages.
    fn pod(&self) -> Pod {
        let mut pod = Pod::of(Proxy::of(self.mesh()));
        pod.is_ambient = self.has("ambient");
        pod.in_its_container = self.has("inside");
        pod.identity = Some(Identity { uid: if self.has("1337") { 1337 } else { 0 }, gid: 0 });
        pod.manifest = self.asked::<ManifestPage>("server_info");
        pod.clusters = self.asked::<InboundClustersPage>("inbound clusters");
        pod.addresses.own =
            pod.manifest.said().map_or_else(Vec::new, |said| said.server.instance_ips.clone());
        pod.addresses.of_interfaces = vec![OWN];
        for (at, line) in String::from_utf8_lossy(self.part("sockets")).lines().enumerate() {
            if let ProcLine::Listener(found) = parse(line) {
                let bound = Bound { address: found.address, v6only: found.v6only };
                let holder = match at % 4 {
                    0 => Holder::Here { command: self.words.concat(), pid: 7 },
                    1 => Holder::Elsewhere,
                    2 => Holder::Nobody,
                    _ => Holder::Unseen,
                };
                pod.sockets.all.push(Socket { bound, uid: found.uid, holder });
                pod.declared.push(found.address);
            }
        }
        for ready in pod.proxy.ready.clone() {
            let answer = response::read(self.part("circumstances"), true);
            let answer = answer.map(|whole| whole.expect("it is closed").answer);
            let trust = Trust::Certain;
            pod.readiness.endpoints.push((ready.clone(), decode(ready.expect, trust, answer)));
        }
        pod.readiness.unready = read::<InitDump>(&[self.part("runtime")]).unwrap_or_default();
        pod
    }

    fn asked<P: Page>(&self, name: &'static str) -> Requested<P::Content> {
        let url = || -> Endpoint { "http://127.0.0.1:15000/".parse().expect("a URL") };
        match self.part(name) {
            [] => Requested::Not,
            page => {
                read::<P>(&[page]).map_or_else(|why| Requested::Unread(url(), why), Requested::Said)
            }
        }
    }
}

/// A set of pages is judged.
pub(crate) fn is_judged(bytes: &[u8]) {
    let set = Set::of(bytes);
    let pod = set.pod();
    is_checked(&pod);
    let pages = set.pages(&pod);
    let verdict = judge(&pages);
    assert_eq!(verdict.judges, JUDGES.len());
    assert!(
        verdict.found.is_sorted_by(|one, other| { one.finding.severity >= other.finding.severity })
    );
    for found in &verdict.found {
        let finding = &found.finding;
        assert!(finding.code.severities().contains(&finding.severity), "{found:?}");
        for text in [&finding.seen, &finding.why, &finding.remedy] {
            assert!(is_one_line(text), "{found:?}");
        }
        assert!(found.resource.as_deref().is_none_or(is_one_line), "{found:?}");
    }
    is_told(&DoctorReport::of(&pages, verdict, judge_all(check::JUDGES, &pod)));
}

/// `check`'s judges, before the start and after it.
fn is_checked(pod: &Pod) {
    let judged = before_start(pod);
    let _ = wants_the_manifest(pod, &judged);
    let verdict = judge_all(check::JUDGES, pod);
    for finding in judged.findings.iter().chain(&verdict.findings) {
        assert!(finding.code.severities().contains(&finding.severity), "{finding:?}");
        assert!(is_one_line(&finding.to_string()), "{finding:?}");
    }
    assert!(verdict.not_seen.iter().all(|why| is_one_line(why)), "{:?}", verdict.not_seen);
    assert!(facts::of(pod).iter().all(|(_, fact)| is_one_line(fact)));
}

fn is_told(report: &DoctorReport) {
    assert!(report.blind_judges() <= report.judges);
    assert!(report.blind.iter().all(|blind| is_one_line(&blind.why)), "{:?}", report.blind);
    assert!(is_one_line(&report.verdict()) && is_one_line(&report.subject.line()));
    let line = json(report);
    assert_eq!(line.matches('\n').count(), 1);
    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    for width in [None, Some(1), Some(80)] {
        let plain = text(report, TextStyle { width, colors: false });
        assert!(plain.lines().all(is_one_line), "{plain:?}");
        let _ = text(report, TextStyle { width, colors: true });
    }
    if report.blind_judges() > 0 {
        assert!(!report.verdict().starts_with("ok"), "{}", report.verdict());
    }
}
