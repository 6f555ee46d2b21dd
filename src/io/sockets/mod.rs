//! The sockets of this pod, as the kernel tells them: who listens, whose a socket is, our
//! addresses.

pub mod addresses;
pub mod connections;
pub mod listening;
pub mod owners;
pub mod proc_net;
pub mod sock_diag;
