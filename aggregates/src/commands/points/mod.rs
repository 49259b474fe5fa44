//! Commands on points.

mod expire;
mod grant;

pub use expire::ExpirePoints;
pub use grant::GrantPoints;
