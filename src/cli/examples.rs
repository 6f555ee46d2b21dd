//! What stands at the end of each help: how the options look together.
//!
//! Owns examples; must never explain an option, which its own line does.

pub(super) const RUN: &str = "\
Every option has a variable, --drain-min MESHIM_DRAIN_MIN; an empty one counts as unset.
Durations: 250ms, 1.5s, 2m, 1m30s. Repeatable options take commas, too: MESHIM_OK_EXIT=0,143.

Exit codes: the application's own; 128+n for signal n; 124 proxy not ready in time;
125 meshim itself failed; 126 COMMAND cannot be executed; 127 COMMAND not found.

Examples:
  A server that starts once its proxy is ready:
    meshim -- /app --port=8080
  A server that goes on serving while its clients turn away, then stops:
    meshim --drain --listen 0.0.0.0:8080 -- /app --port=8080
  A Job that ends its sidecar when it is done, inside the mesh or outside:
    meshim --quit on-success --absent-after 10s -- /job";

pub(super) const WAIT: &str = "\
Not for an init container beside a classic sidecar, which starts only after it.

Example, in a script:
  meshim wait --timeout 60s && /app";

pub(super) const DRAIN: &str = "\
Example, as a preStop hook:
  lifecycle: { preStop: { exec: { command: [/meshim-bin/meshim, drain, --drain-max, 20s] } } }";

pub(super) const QUIT: &str = "\
Example, behind a script that stays the main process:
  meshim quit";

pub(super) const CHECK: &str = "\
Example, in a running pod:
  kubectl exec POD -c CONTAINER -- /meshim-bin/meshim check --output json";

pub(super) const DOCTOR: &str = "\
Changes nothing, and costs the proxy's main thread up to half a second in a large mesh: run it
by hand, never as a probe. docs/findings.md explains each finding.

Example, in a running pod:
  kubectl exec POD -c CONTAINER -- /meshim-bin/meshim doctor";

pub(super) const PROBE: &str = "\
Example, as a readiness probe of an image without curl:
  command: [/meshim-bin/meshim, probe, http://127.0.0.1:8080/healthz]";

pub(super) const INSTALL: &str = "\
Example, as an init container that mounts the same volume as the application:
  command: [/meshim, install, /meshim-bin]";
