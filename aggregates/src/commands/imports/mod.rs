//! Commands on imports. They are the shop's own: who may import what is settled by the commands that the
//! rows are.

mod end;
mod progress;
mod start;

pub use end::EndImport;
pub use progress::RecordImportProgress;
pub use start::StartImport;
