//! The pages of Envoy's admin API, one file a page: its query, its bounds and its decoder together.
//!
//! `page` is what a page is, `picker` how JSON of any length is read, `unread` why a page says
//! nothing, `state` how far Envoy says it is.

pub mod activity;
pub mod clusters;
pub mod inbound_clusters;
pub mod init_dump;
pub mod page;
pub mod picker;
pub mod server_info;
pub mod state;
pub mod stats;
pub mod unread;
