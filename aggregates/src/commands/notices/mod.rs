//! Commands on notices.

mod record;
mod send;

pub use record::RecordNotice;
pub use send::SendNotice;
