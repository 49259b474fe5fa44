//! Floor 3, the write side: runs what the domain decides. Requests go to the decider task
//! ([`Commands`]), which loads, decides and commits them in batches. The process manager
//! ([`process`]) drives orders from payment to delivery. The inbox ([`inbox`]) accepts the messages
//! that gateways and carriers send of their own accord. The notices ([`notices`]) tell buyers and the
//! shop of what happened. Everything that runs in addition to the
//! decider is in one list ([`workers`]).
//!
//! What never may live here: a rule of the shop (floor 2), SQL, HTTP, and anything
//! that reads a read model, except the timer queue behind its port.
//!
//! Where to start: `request.rs` for the terms, then `decider/mod.rs`, then `process/mod.rs`.
//!
//! Invariants: no request is answered before what its answer says is committed; a request is either
//! in the log as a whole or not at all; an outside call is made only when its intent is in the log.

mod adapters;
pub mod decider;
mod foresight;
pub mod identity;
pub mod inbox;
mod lease;
mod measure;
pub mod notices;
mod number;
pub mod process;
mod quote;
mod reader;
mod remark;
mod request;
pub mod sealing;
mod tracking;
mod worker;
pub mod workers;

pub use adapters::{Carriers, Gateways, Registry};
pub use decider::{Commands, DeciderOptions};
pub use foresight::Foresight;
pub use lease::LeaseHolder;
pub use number::order_number;
pub use quote::{currency_of, quote};
pub use reader::{history, load_state};
pub use remark::{grant_reference, sealed_remark};
pub use request::{Answer, Caller, CommandError, Idempotency, Request};
pub use worker::Worker;

pub use jangbu_aggregates::command::{Key, Permission, Reach, Rules, allows};
pub use jangbu_aggregates::commands::{self, Quote, WantedLine, WantedPayment};
pub use jangbu_aggregates::import::{
    ImportCounts, ImportEnd, ImportEvent, ImportInterruption, ImportKind, ImportState,
};
pub use jangbu_aggregates::locations::{Location, LocationCode, Locations};
pub use jangbu_aggregates::notice::{Locale, NoticeAbout, NoticeOutcome, NoticeState, NoticeTopic, Recipient};
pub use jangbu_aggregates::order::CancelledBy;
pub use jangbu_aggregates::payment::{
    CARD, Field, Instrument, Leg, Method, POINTS, PaymentMethod, Source, registered_methods,
};
pub use jangbu_aggregates::points::GrantReference;
pub use jangbu_aggregates::processes::{FulfilmentInput, OperatorAction, TimerName};
pub use jangbu_aggregates::product::{Options, ProductChange, TaxClass};
pub use jangbu_aggregates::returns::{
    InspectedLine, Remedy, Replacement, ReturnReason, ReturnStatus, WayBack, WithdrawnBy,
};
pub use jangbu_aggregates::session::SessionEndReason;
pub use jangbu_aggregates::shipment::{STAFF, Scan, ScanStatus};
pub use jangbu_aggregates::slug::{SlugClaim, slug_stream};
pub use jangbu_aggregates::{Aggregate, AnyCommand, Command, DomainEvent, Outcome, Policy, Scope};
