//! Findings: what the mesh would break, as facts, reasons and remedies.

pub mod check;
pub mod codes;
pub mod doctor;
pub mod finding;
pub mod identity;
pub mod judged;
pub mod listen;
pub mod pod;
pub mod readiness;
pub mod report;
pub mod severity;
