//! The proxy of the play: refused at first, then `PRE_INITIALIZING`, `INITIALIZING` and `LIVE`.

use std::thread::sleep;
use std::time::{Duration, SystemTime};

use crate::common::support::envoy::{self, Bootstrap, Envoy};
use crate::common::support::reply::Reply;
use crate::common::support::shared::poll;
use crate::common::support::standin::StandIn;
use crate::common::support::xds::LateXds;
use crate::timeline::{Timeline, Who};

/// How long each phase lasts, in milliseconds: nobody there, `PRE_INITIALIZING`, `INITIALIZING`.
const PHASES: [u64; 3] = [500, 700, 800];

/// Which proxy there is, or rather, will be.
pub(crate) enum Proxy {
    /// Envoy and the agent of an Istio sidecar, both on one port.
    StandIn(StandIn),
    /// A real Envoy, whose control plane is late, too.
    Envoy(Box<LateEnvoy>),
}

/// A real Envoy that is not there yet.
pub(crate) struct LateEnvoy {
    /// Never opened: it keeps the port and has connections refused until Envoy takes it over.
    port: StandIn,
    control_plane: LateXds,
    process: Option<Envoy>,
}

impl Proxy {
    pub(crate) fn stand_in() -> Self {
        Self::StandIn(StandIn::late())
    }

    pub(crate) fn envoy() -> Result<Self, String> {
        envoy::fetched()?;
        Ok(Self::Envoy(Box::new(LateEnvoy {
            port: StandIn::late(),
            control_plane: LateXds::new(),
            process: None,
        })))
    }

    /// How meshim is told of it: on its real ports `--mesh auto`, the default, would find it.
    pub(crate) fn options(&self) -> Vec<String> {
        match self {
            Self::StandIn(proxy) => {
                let (admin, ready) = (proxy.url(), format!("{}/healthz/ready", proxy.url()));
                ["--mesh", "istio", "--admin-url", &admin, "--ready-url", &ready]
                    .map(str::to_owned)
                    .to_vec()
            }
            Self::Envoy(envoy) => vec!["--admin-url".to_owned(), envoy.port.url()],
        }
    }

    /// Goes through all phases; when it became `LIVE`.
    pub(crate) fn come_up(&mut self, timeline: &mut Timeline) -> SystemTime {
        timeline.happens(Who::Proxy, "not there yet: connections are refused");
        match self {
            Self::StandIn(proxy) => come_up_scripted(proxy, timeline),
            Self::Envoy(envoy) => come_up_really(envoy, timeline),
        }
    }
}

fn come_up_scripted(proxy: &mut StandIn, timeline: &mut Timeline) -> SystemTime {
    proxy.says("/healthz/ready", Reply::plain(503, ""));
    for (word, phase) in ["PRE_INITIALIZING", "INITIALIZING", "LIVE"].into_iter().zip(PHASES) {
        sleep(Duration::from_millis(phase));
        if word == "LIVE" {
            break;
        }
        proxy.says("/ready", Reply::not_ready(word));
        if word == "PRE_INITIALIZING" {
            proxy.open();
        }
        timeline.happens(Who::Proxy, word);
    }
    let live = SystemTime::now();
    proxy.says("/healthz/ready", Reply::plain(200, "")).says("/ready", Reply::live());
    timeline.happens(Who::Proxy, "LIVE");
    live
}

fn come_up_really(late: &mut LateEnvoy, timeline: &mut Timeline) -> SystemTime {
    sleep(Duration::from_millis(PHASES[0]));
    let bootstrap =
        Bootstrap::with_admin("127.0.0.1", late.port.port()).following(late.control_plane.port());
    timeline.happens(Who::Proxy, &format!("Envoy {} is started", envoy::version()));
    let envoy = late.process.insert(Envoy::start(&bootstrap));
    let says = |word: &str| {
        let _ = poll(|| (envoy.asks("GET", "/ready").1.trim_ascii() == word).then_some(()));
        SystemTime::now()
    };
    says("PRE_INITIALIZING");
    timeline.happens(Who::Proxy, "PRE_INITIALIZING: its control plane does not answer");
    sleep(Duration::from_millis(PHASES[1]));
    late.control_plane.release_clusters();
    says("INITIALIZING");
    timeline.happens(Who::Proxy, "INITIALIZING: it has clusters and no listeners");
    sleep(Duration::from_millis(PHASES[2]));
    late.control_plane.release_listeners();
    let live = says("LIVE");
    timeline.happens(Who::Proxy, "LIVE");
    live
}
