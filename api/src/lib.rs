//! Floor 4, HTTP: routes, who may use them, and the shape of every answer.
//!
//! What lives here: reading requests strictly, turning them into commands and
//! queries of the floors below, writing answers. What never may: a rule of the shop,
//! SQL, an aggregate's type. The rules that hold on every route are in `http/`, each
//! in one file; a resource is one file in `routes/`, which lists its routes with who
//! may use them.
//!
//! Where to start: [`ApiState`] is what the program hands in, [`serve`] runs it;
//! `routes/orders/` is a resource; `http/edge.rs` and `http/gate.rs` are what every
//! request passes.
//!
//! Invariants: every rejection is a problem body; no route without an entry in the
//! list that says who may use it; tokens, passwords, card tokens and bodies are never
//! logged.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failed test may panic"
    )
)]

mod connections;
mod document;
mod http;
pub mod imports;
mod leftover;
mod readiness;
mod router;
mod routes;
mod server;
mod shares;
mod stall;
mod state;
mod tokens;
mod wire;

pub use crate::document::openapi;
pub use crate::http::body::MAX_BODY;
pub use crate::http::gate::Access;
pub use crate::http::origin::{InvalidNetwork, Network};
pub use crate::http::problem::{Code, FieldProblem, Problem};
pub use crate::http::rate_limit::{InvalidRateLimit, RateLimit};
pub use crate::readiness::DependencyCheck;
pub use crate::router::{Route, route_table, router};
pub use crate::server::{ServerOptions, serve};
pub use crate::state::{ApiState, Rebuild, RenderMetrics};
pub use crate::tokens::{InvalidKey, SigningKey};
