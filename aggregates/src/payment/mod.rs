//! A payment of an order: its legs, the outcome of the charge, its refunds.
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
//! Whatever the outside reports about a charge is an observation on this stream, and the stream
//! alone decides: an answer, a webhook and an inquiry are the same thing with different sources.
//! What would move the payment backwards is recorded as ignored, once for each (observation,
//! reason, source), so that a gateway that repeats itself cannot grow the stream without end.
//!
//! What the buyer pays at a page of the gateway, or by a transfer, is not confirmed here: the
//! gateway reports it, and is asked now and then until it does.
//!
//! Three rules are easy to overlook:
//!
//! - After a net-cancel was requested, only the gateway's report that the charge is voided, or that
//!   it was declined, decides. A capture that is reported then is ignored: the void follows it, and
//!   goods must not leave for money that is on its way back.
//! - After the void was acknowledged, nothing is charged under the key any more. A capture that is
//!   reported later is about the past, and is ignored, too. Only a person who has checked the
//!   gateway's books may overrule this.
//! - After a decline, or after the payment was cancelled, a reported capture is real money: it is
//!   recorded, for the external leg alone (the holds of the internal legs were released), and goes
//!   back by a refund.
//!
//! Invariants:
//! - I1 A payment is captured at most once.
//! - I2 At every prefix settled refunds <= settled + requested refunds <= captured <= total, for each leg.
//! - I3 An unknown outcome is not a failure: nothing fails without the gateway's answer.
//! - I4 No outside call without its intent: until the payment is cancelled, nothing is captured,
//!   failed or challenged before a capture was requested.
//! - I5 An amount or currency other than the one requested is never captured, unless a person
//!   accepts a smaller amount: then that one is.
//! - I6 An observation of lower rank changes no state, and is recorded.
//! - I7 A refused refund frees everything that it had claimed.
//! - I8 Nothing is captured between a requested net-cancel and its end, nor after it.
//! - I9 The legs add up to the total.
//!
//! Not guarded here: that an order has one open payment at a time and that the amounts of internal
//! legs are held (the decisions over several aggregates guard that), and when to ask, retry or give
//! up (the fulfilment process decides that).

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
