//! Commands on sessions.

mod end;
mod rotate;
mod start;

pub use end::EndSession;
pub use rotate::RotateSession;
pub use start::StartSession;
