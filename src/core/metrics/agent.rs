//! What Istio's agent tells about itself (`15020/metrics`).
//!
//! Owns the names of its metrics; must never judge. The page has Envoy's and the application's
//! metrics, too, which are passed over.

use std::time::Duration;

use crate::core::envoy::lines::Lines;
use crate::core::envoy::page::Page;
use crate::core::envoy::unread::Unread;
use crate::core::metrics::sample::Sample;

/// An application's own metrics may have longer lines, which are passed over.
const MOST_LINE: usize = 4 * 1024;

/// What the agent told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentMetrics {
    /// The memory limit of the proxy's container, in bytes, where it has one: Istio's injector sets
    /// GOMEMLIMIT to it, else Kubernetes fills in the node's memory.
    pub memory_limit: Option<u64>,
    /// The agent's own memory, which counts against the same limit, in bytes.
    pub memory: Option<u64>,
    /// How often it failed to get a certificate.
    pub failed_requests: u64,
}

/// Reads the page.
#[derive(Debug)]
pub struct AgentPage {
    lines: Lines,
    agent: AgentMetrics,
}

impl Page for AgentPage {
    type Content = AgentMetrics;
    const QUERY: &'static str = "/metrics";
    const MOST_BYTES: usize = 16 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        Self { lines: Lines::new(MOST_LINE), agent: AgentMetrics::default() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let agent = &mut self.agent;
        self.lines.feed(bytes, &mut |line| agent.take(line));
        Ok(())
    }

    fn end(self) -> Result<AgentMetrics, Unread> {
        let Self { lines, mut agent } = self;
        lines.finish(&mut |line| agent.take(line));
        Ok(agent)
    }
}

impl AgentMetrics {
    fn take(&mut self, line: &str) {
        let Some(sample) =
            Sample::read(line).filter(|sample| sample.name.starts_with("istio_agent_"))
        else {
            return;
        };
        match sample.name {
            "istio_agent_go_gc_gomemlimit_bytes" => self.memory_limit = Some(sample.count()),
            "istio_agent_process_resident_memory_bytes" => self.memory = Some(sample.count()),
            "istio_agent_num_failed_outgoing_requests" => {
                self.failed_requests = self.failed_requests.saturating_add(sample.count());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    #[test]
    fn the_agents_own_metrics_are_found_among_others() {
        // Of a real agent whose renewal failed.
        let text = "# TYPE istio_agent_num_failed_outgoing_requests counter\n\
                    istio_agent_num_failed_outgoing_requests{request_type=\"csr\"} 5\n\
                    istio_agent_go_gc_gomemlimit_bytes 1.073741824e+09\n\
                    istio_agent_process_resident_memory_bytes 4.2e+07\n\
                    process_resident_memory_bytes 1\n";
        let agent = whole::<AgentPage>(text.as_bytes()).unwrap();
        let expected = AgentMetrics {
            memory_limit: Some(1 << 30),
            memory: Some(42_000_000),
            failed_requests: 5,
        };
        assert_eq!(agent, expected);
    }
}
