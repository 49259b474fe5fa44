//! A payment of an order: its legs, what became of the charge, its refunds.
//!
//! ```text
//!  requested ──> processing ──> requires_action ──> processing ──> captured ──> partially_refunded ──> refunded
//!      │             │  ├──> requires_action (a page) ──> awaiting_deposit ──> captured or failed
//!      │             │  │              │                               ^
//!      │             │  └──> unknown <─┘ (net-cancel requested)        │ late capture
//!      │             │         │  └────────────────────────────────────┤
//!      v             v         v                   accepted: captured  │
//!   voided        failed <─────┘            mismatched ──> failed      │
//!      └─────────────┴─────────────────────────────────────────────────┘
//! ```
//!
//! Whatever anybody outside says of a charge is an observation on this stream, and
//! the stream alone decides: an answer, a webhook and an inquiry are the same thing
//! with another source. What would move the payment backwards is recorded as ignored,
//! once for each (observation, reason, source), so that a gateway that repeats itself
//! cannot grow the stream without end.
//!
//! What the buyer pays at a page of the gateway's, or by a transfer, nobody confirms here: the
//! gateway tells of it, and is asked now and then as long as it does not.
//!
//! Three rules are worth reading twice:
//!
//! - After a net-cancel was requested only the gateway's word that it is voided, or
//!   that it was declined, decides. A capture that is reported then is ignored: the
//!   void follows it, and goods must not go out on money that is on its way back.
//! - After the void was acknowledged nothing is charged under the key, so a capture
//!   that is reported later tells of the past and is ignored too. Only a person who
//!   has looked at the gateway's books may say otherwise.
//! - After a decline, or after the payment was called off, a reported capture is
//!   money: it is recorded, for the external leg alone (the internal legs are free
//!   again), and goes back by a refund.
//!
//! Invariants:
//! - I1 A payment is captured at most once.
//! - I2 At every prefix settled refunds <= settled + requested refunds <= captured <= total, for each leg.
//! - I3 An unknown outcome is not a failure: without the gateway's word nothing fails.
//! - I4 No outside call without its intent: until the payment is called off, nothing is
//!   captured, failed or challenged before a capture was requested.
//! - I5 An amount or currency other than the one asked for is never captured, unless a person
//!   takes a smaller amount as enough: then that one is.
//! - I6 An observation of lower rank changes no state, and is recorded.
//! - I7 A refused refund frees all it had claimed.
//! - I8 Nothing is captured between a requested net-cancel and its end, nor after it.
//! - I9 The legs sum to the total.
//!
//! Not guarded here: that an order has one open payment at a time and that internal
//! legs are held (the decisions over several aggregates do), and when to ask, retry or
//! give up (the fulfilment process does).

mod command;
mod decide;
mod event;
mod methods;
mod refunds;
#[cfg(test)]
mod spec;
mod state;

pub use command::PaymentCommand;
pub use event::*;
pub use methods::{
    CARD, Composition, Field, Hold, MAX_LEGS, Method, OwnBooks, POINTS, PaymentMethod, registered_methods,
    validate_legs,
};
pub use refunds::{MAX_REFUNDS, Refund, RefundPart, RefundState};
pub use state::{Payment, PaymentState};
