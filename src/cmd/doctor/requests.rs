//! The requests of the doctor: a closed list, in this order, over one kept connection to each
//! server.
//!
//! Owns the order, and what is asked only where it is needed; each page's query, bounds and decoder
//! are its own. Must never ask for a whole `/config_dump`: it stops a large proxy for seconds.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::core::endpoint::Endpoint;
use crate::core::envoy::certs::CertsPage;
use crate::core::envoy::cluster_types::OriginalDestinationsPage;
use crate::core::envoy::counters::{Counters, CountersPage};
use crate::core::envoy::endpoints::{EndpointsPage, StaticEndpointsPage, names};
use crate::core::envoy::listeners::{AllListenersPage, Listeners, ListenersPage};
use crate::core::envoy::manifest::{Manifest, ManifestPage};
use crate::core::envoy::page::{Page, Reading};
use crate::core::envoy::routes::{Routes, RoutesPage};
use crate::core::envoy::runtime::RuntimePage;
use crate::core::envoy::state::State;
use crate::core::envoy::unread::Unread;
use crate::core::envoy::usage::UsagePage;
use crate::core::envoy::warming_secrets::WarmingSecretsPage;
use crate::core::findings::doctor::control_plane::is_connected;
use crate::core::findings::doctor::diagnosis::NotSeen;
use crate::core::findings::doctor::pages::{AskedClusters, Pages, Read};
use crate::core::findings::doctor::routes::candidates;
use crate::core::findings::pod::{Pod, Requested};
use crate::core::mesh::Mesh;
use crate::core::metrics::agent::AgentPage;
use crate::core::metrics::linkerd::LinkerdPage;
use crate::io::admin::Admin;
use crate::io::clock;

/// Above this many clusters, pages that are as long as they are many are not asked for: 0.05 ms of
/// the proxy's main thread for each.
const MANY_CLUSTERS: u64 = 10_000;

/// As many bytes of names as are asked about at once: Envoy takes URLs up to 60 KB.
const MOST_NAMES: usize = 8 * 1024;

/// Where the bootstrap does not raise it, RE2's limit lets two names through (Istio's raises it to
/// 32,768: `envoy_bootstrap.json`).
const FEW_NAMES: usize = 90;

/// How many times names are asked about: 10 ms of the proxy's main thread each.
const MOST_BATCHES: usize = 12;

/// How long until a stream that is down is looked at again; with `--deep` longer than Envoy waits
/// before it connects anew.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(30);

/// Longer than any page may take.
const LONGEST: Duration = Duration::from_mins(1);

/// How messages name what is asked only where it is needed.
const SECRETS: &str = "dynamic_warming_secrets";
const ENDPOINTS: &str = "endpoints";
const TYPES: &str = "cluster types";

/// Everything that this proxy says, of which `check` has read `/server_info` already.
pub(super) async fn pages(pod: &Pod, deep: bool) -> Pages {
    let mesh = pod.proxy.mesh;
    let why = match mesh {
        _ if pod.is_ambient => NotSeen::Ambient,
        Mesh::None => NotSeen::NoProxy,
        Mesh::Linkerd => NotSeen::AnotherMesh(mesh),
        mesh => NotSeen::NoAdmin(mesh),
    };
    let mut pages = Pages::unread(mesh, clock::since_1970(), &why);
    if let Some(root) = admin_of(pod) {
        let is_istio = mesh == Mesh::Istio;
        let mut server = AdminServer { admin: Admin::new(&root), gone: None, is_istio };
        pages.manifest = server.manifest(&pod.manifest).await;
        server.read_all(&mut pages, deep).await;
    }
    if mesh == Mesh::Linkerd {
        pages.linkerd = other::<LinkerdPage>("http://localhost:4191/", "4191/metrics").await;
    }
    pages
}

/// The proxy's admin API. Kuma's is on 9901 before 2.14, and later where that was asked for.
fn admin_of(pod: &Pod) -> Option<Endpoint> {
    let is_kumas = |address: SocketAddr| address.port() == 9901 && address.ip().is_loopback();
    let has_kumas = pod.proxy.mesh == Mesh::Kuma
        && pod.sockets.all.iter().any(|socket| is_kumas(socket.bound.address));
    let kumas = has_kumas.then(|| "http://127.0.0.1:9901/".parse().ok()).flatten();
    pod.proxy.admin.clone().or(kumas)
}

/// A page of another server than Envoy's.
async fn other<P: Page>(root: &str, name: &'static str) -> Read<P::Content> {
    let root: Endpoint = root.parse().map_err(|_| NotSeen::Hidden("the endpoint is not known"))?;
    let read = Admin::new(&root).read::<P>(Instant::now() + P::WITHIN).await;
    read.map_err(|why| NotSeen::Unread(name, why))
}

/// A part of the configuration; an Envoy that has nothing at all of a kind says 404.
fn part<P: Page>(name: &'static str, read: Result<(), NotSeen>, page: P) -> Read<P::Content>
where
    P::Content: Default,
{
    match read {
        Err(NotSeen::Unread(_, Unread::Missing)) => Ok(P::Content::default()),
        read => end(name, read, page),
    }
}

/// What a page told that has been handed its bytes.
fn end<P: Page>(name: &'static str, read: Result<(), NotSeen>, page: P) -> Read<P::Content> {
    read.and_then(|()| page.end().map_err(|why| NotSeen::Unread(name, why)))
}

/// Envoy's admin API, asked until it is gone.
struct AdminServer {
    admin: Admin,
    /// It does not answer any more: what it was asked then.
    gone: Option<(&'static str, Unread)>,
    is_istio: bool,
}

impl AdminServer {
    /// Hands a page its bytes. A server that is silent once is not asked again: each silence takes
    /// its whole time.
    async fn fill(
        &mut self,
        name: &'static str,
        what: &str,
        page: &mut dyn Reading,
    ) -> Result<(), NotSeen> {
        if let Some((page, why)) = &self.gone {
            return Err(NotSeen::Unread(page, why.clone()));
        }
        let read = self.admin.fill(page, what, Instant::now() + LONGEST).await;
        if let Err(why) = &read {
            self.give_up(name, why);
        }
        tracing::debug!(page = name, read = read.is_ok(), "asked the proxy");
        read.map_err(|why| NotSeen::Unread(name, why))
    }

    async fn read_all(&mut self, pages: &mut Pages, deep: bool) {
        let mut counters = CountersPage::begin();
        let read = self.fill("/stats", "", &mut counters).await;
        pages.counters = end("/stats", read, counters);
        let looked = Instant::now();
        pages.listeners = self.listeners().await;
        let clusters = pages.counters.as_ref().ok().and_then(|counters| counters.clusters);
        let is_huge = clusters.is_some_and(|clusters| clusters > MANY_CLUSTERS) && !deep;
        let spared =
            NotSeen::Hidden("the proxy has over 10,000 clusters and is spared (--deep asks)");
        pages.routes = if is_huge { Err(spared.clone()) } else { self.routes().await };
        pages.endpoints = match &pages.routes {
            Ok(routes) => self.endpoints(routes).await,
            Err(why) => Err(why.clone()),
        };
        let mut certs = CertsPage::begin();
        let read = if is_huge { Err(spared) } else { self.fill("/certs", "", &mut certs).await };
        pages.certs = end("/certs", read, certs);
        let mut runtime = RuntimePage::begin();
        let read = self.fill("/runtime", "", &mut runtime).await;
        pages.runtime = end("/runtime", read, runtime);
        pages.warming_secrets = self.warming_secrets(pages).await;
        if self.is_istio && needs_agent(pages) {
            pages.agent = other::<AgentPage>("http://localhost:15020/", "15020/metrics").await;
        }
        if deep {
            let mut usage = UsagePage::begin();
            let read = self.fill("/clusters", "", &mut usage).await;
            pages.usage = Some(end("/clusters", read, usage));
        }
        pages.later = self.later(pages, looked, deep).await;
    }

    /// `/server_info`, which costs the proxy 13 times what `/ready` does: once is enough.
    async fn manifest(&mut self, known: &Requested<Manifest>) -> Read<Manifest> {
        const NAME: &str = "/server_info";
        match known {
            Requested::Said(manifest) => Ok(manifest.clone()),
            Requested::Not => {
                let mut page = ManifestPage::begin();
                let read = self.fill(NAME, "", &mut page).await;
                end(NAME, read, page)
            }
            Requested::Unread(_, why) => {
                self.give_up(NAME, why);
                Err(NotSeen::Unread(NAME, why.clone()))
            }
        }
    }

    fn give_up(&mut self, name: &'static str, why: &Unread) {
        if matches!(why, Unread::Silent | Unread::Gone | Unread::Unreachable(_)) {
            self.gone = Some((name, why.clone()));
        }
    }

    async fn listeners(&mut self) -> Read<Listeners> {
        const NAME: &str = "dynamic_listeners";
        let (mut named, mut all) = (ListenersPage::begin(), AllListenersPage::begin());
        if self.is_istio {
            let read = self.fill(NAME, "", &mut named).await;
            part(NAME, read, named)
        } else {
            let read = self.fill(NAME, "", &mut all).await;
            part(NAME, read, all)
        }
    }

    async fn routes(&mut self) -> Read<Routes> {
        const NAME: &str = "dynamic_route_configs";
        let mut page = if self.is_istio { RoutesPage::begin() } else { RoutesPage::of_all() };
        let read = self.fill(NAME, "", &mut page).await;
        part(NAME, read, page)
    }

    /// The clusters that routes lead to: first among the dynamic ones, what is missing there among
    /// the static ones.
    async fn endpoints(&mut self, routes: &Routes) -> Read<AskedClusters> {
        let (wanted, is_cut) = candidates(routes);
        let mut asked = AskedClusters { is_cut, ..AskedClusters::default() };
        let (batches, left_out) = self.batches(wanted.iter().map(String::as_str).collect());
        asked.is_cut |= left_out;
        for batch in &batches {
            let mut page = EndpointsPage::begin();
            let read = self.fill(ENDPOINTS, &names(batch.iter().copied()), &mut page).await;
            asked.found.extend(part(ENDPOINTS, read, page)?);
            asked.names.extend(batch.iter().map(|name| (*name).to_owned()));
        }
        let is_missing = |name: &&str| !asked.found.contains_key(*name);
        let missing = batches.concat().into_iter().filter(is_missing).collect();
        for batch in self.batches(missing).0 {
            let mut page = StaticEndpointsPage::begin();
            let read = self.fill(ENDPOINTS, &names(batch), &mut page).await;
            asked.found.extend(part(ENDPOINTS, read, page)?);
        }
        let is_empty =
            |name: &&str| asked.found.get(*name).is_some_and(|found| found.endpoints == 0);
        let empty = batches.concat().into_iter().filter(is_empty).collect();
        for batch in self.batches(empty).0 {
            let mut page = OriginalDestinationsPage::begin();
            let read = self.fill(TYPES, &names(batch), &mut page).await;
            asked.original_destinations.extend(part(TYPES, read, page)?);
        }
        Ok(asked)
    }

    /// Names in as few requests as the proxy takes them; `true` where some are left out.
    fn batches<'a>(&self, wanted: Vec<&'a str>) -> (Vec<Vec<&'a str>>, bool) {
        let most = if self.is_istio { MOST_NAMES } else { FEW_NAMES };
        let mut batches: Vec<Vec<&str>> = Vec::new();
        let mut left = 0;
        for name in wanted {
            let length = name.len() + 1;
            if length > left {
                if batches.len() >= MOST_BATCHES {
                    return (batches, true);
                }
                batches.push(Vec::new());
                left = most;
            }
            left = left.saturating_sub(length);
            if let Some(batch) = batches.last_mut() {
                batch.push(name);
            }
        }
        (batches, false)
    }

    /// Only where something waits.
    async fn warming_secrets(&mut self, pages: &Pages) -> Read<Vec<String>> {
        let state = pages.manifest.as_ref().ok().and_then(|manifest| manifest.server.state.clone());
        let has_certificates =
            pages.certs.as_ref().is_ok_and(|certs| !certs.certificates.is_empty());
        if state == Some(State::Live) && has_certificates {
            return Ok(Vec::new());
        }
        let mut page = WarmingSecretsPage::begin();
        let read = self.fill(SECRETS, "", &mut page).await;
        part(SECRETS, read, page)
    }

    /// The counters again, where the proxy's stream was down.
    async fn later(
        &mut self,
        pages: &Pages,
        looked: Instant,
        deep: bool,
    ) -> Option<(Duration, Counters)> {
        let counters = pages.counters.as_ref().ok()?;
        if is_connected(counters) != Some(false) {
            return None;
        }
        let pause = if deep { LATER } else { SOON };
        sleep(pause.saturating_sub(looked.elapsed())).await;
        let mut page = CountersPage::begin();
        let read = self.fill("/stats", "", &mut page).await;
        Some((looked.elapsed(), end("/stats", read, page).ok()?))
    }
}

/// The agent's page includes all of Envoy's metrics: it is asked only for what nothing else tells.
fn needs_agent(pages: &Pages) -> bool {
    let annotated = pages.manifest.as_ref().ok().and_then(|found| found.annotations.memory_limit);
    annotated.is_none()
}
