//! Commands on points.

mod grant;

pub use grant::GrantPoints;
