//! The codes of all findings: a contract with scripts and with whoever searches for one.
//!
//! Owns the list, and how bad a finding of each code may be; must never judge. `docs/findings.md`
//! has a section for each code, and a test holds the two together.

use std::fmt;

use crate::core::findings::severity::Severity::{self, Error, Info, Warning};

/// One row a code: its name here, its name for others, its severities with the worst first.
macro_rules! codes {
    ($($code:ident $name:literal [$($severity:ident),+],)+) => {
        /// What kind of finding it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "docs/findings.md explains each of them")]
        pub enum Code {
            $($code,)+
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Code] = &[$(Code::$code,)+];

            /// Its stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Code::$code => $name,)+
                }
            }

            /// How bad a finding of this code may be, the worst first.
            #[must_use]
            pub const fn severities(self) -> &'static [Severity] {
                match self {
                    $(Code::$code => &[$($severity),+],)+
                }
            }
        }
    };
}

codes! {
    // Readiness: the state that a wait would see.
    ProxyGone "proxy-gone" [Error],
    ProxyNotReady "proxy-not-ready" [Error],
    NoMesh "no-mesh" [Info],
    // Identity: who this process is.
    UidIsTheProxys "uid-is-the-proxys" [Error],
    GidIsTheProxys "gid-is-the-proxys" [Error],
    // Listen addresses: where traffic arrives and who takes it.
    PortIsTheProxys "port-is-the-proxys" [Error],
    ListensOnLoopbackOnly "listens-on-loopback-only" [Error, Warning, Info],
    ListensOnPodAddressOnly "listens-on-pod-address-only" [Error, Warning, Info],
    ListensOnTheWrongFamily "listens-on-the-wrong-family" [Error, Warning, Info],
    ListensElsewhere "listens-elsewhere" [Error, Warning, Info],
    ListensOnOneFamilyOnly "listens-on-one-family-only" [Warning, Info],
    NobodyListens "nobody-listens" [Error, Warning],
    SocketUserIsTheProxys "socket-user-is-the-proxys" [Error],
    PortHeldByProxy "port-held-by-proxy" [Error, Warning, Info],
    PortInUse "port-in-use" [Error],
    PortGoesToUnixSocket "port-goes-to-unix-socket" [Warning, Info],
    // Capture: what goes past the proxy.
    PortExcludedFromMesh "port-excluded-from-mesh" [Warning, Info],
    Ipv6BypassesProxy "ipv6-bypasses-proxy" [Warning],
    // The doctor: what the proxy's own configuration and counters show.
    RouteToMissingCluster "route-to-missing-cluster" [Error, Warning],
    ConfigRejected "config-rejected" [Error, Warning],
    FaultInjected "fault-injected" [Error, Warning],
    AuthorizationDeniesAll "authorization-denies-all" [Error, Warning],
    Certificate "certificate" [Error, Warning],
    ClockSkew "clock-skew" [Error],
    ControlPlaneLost "control-plane-lost" [Error, Warning],
    ProxyDraining "proxy-draining" [Error],
    RouteToEmptyCluster "route-to-empty-cluster" [Error, Warning],
    RequestsFailedInProxy "requests-failed-in-proxy" [Error, Warning],
    TrafficBypassesProxy "traffic-bypasses-proxy" [Error, Warning, Info],
    PlaintextAccepted "plaintext-accepted" [Warning, Info],
    UnknownDestination "unknown-destination" [Warning, Info],
    ProxyRestarted "proxy-restarted" [Warning],
    ProxyMemory "proxy-memory" [Error, Warning],
    ConfigOfWholeMesh "config-of-whole-mesh" [Warning, Info],
    PortProtocolSniffed "port-protocol-sniffed" [Warning, Info],
    RetriesUnsafe "retries-unsafe" [Warning],
    RetryBudget "retry-budget" [Info],
    RuntimeOverridden "runtime-overridden" [Warning],
    TracingSamplesAll "tracing-samples-all" [Info],
    DebugLogging "debug-logging" [Info],
    ProbesNotRewritten "probes-not-rewritten" [Info],
    AnnotationUnknown "annotation-unknown" [Warning],
    Http10Refused "http10-refused" [Info],
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
