//! Processes: deciders whose commands go to others.

mod fulfilment;

pub use fulfilment::*;
