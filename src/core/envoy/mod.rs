//! The pages of Envoy's admin API, one file a page: its query beside its decoder.

pub mod activity;
pub mod clusters;
pub mod inbound_clusters;
pub mod init_dump;
pub mod server_info;
pub mod stats;
