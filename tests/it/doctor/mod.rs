//! `meshim doctor` beside a real Envoy that is brought to each pitfall, and traffic that proves it.

mod config;
mod inbound;
mod life;
mod meshes;
mod outbound;
mod schema;
mod scripted;
