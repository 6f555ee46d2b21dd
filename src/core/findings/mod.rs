//! Findings: what the mesh would break, as facts, reasons and remedies.

pub mod codes;
pub mod doctor;
pub mod finding;
pub mod identity;
pub mod listen;
pub mod report;
pub mod severity;
