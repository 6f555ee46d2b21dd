//! The pages of Envoy's admin API, one file a page: its query, its bounds and its decoder together.
//!
//! `page` is what a page is, `picker` how JSON of any length is read, `json` how a part of it is,
//! `lines` how text is, `unread` why a page says nothing, `state` how far Envoy says it is.

pub mod activity;
pub mod annotations;
pub mod certs;
pub mod cluster_types;
pub mod clusters;
pub mod counters;
pub mod endpoints;
pub mod fault_filter;
pub mod filter_chain;
pub mod inbound_clusters;
pub mod init_dump;
pub mod istio_series;
pub mod json;
pub mod lines;
pub mod listeners;
pub mod manifest;
pub mod page;
pub mod picker;
pub mod rbac;
pub mod routes;
pub mod runtime;
pub mod server_info;
pub mod state;
pub mod stats;
pub mod unread;
pub mod usage;
pub mod warming_secrets;
