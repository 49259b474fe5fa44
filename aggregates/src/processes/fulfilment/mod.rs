//! The fulfilment of an order: from the placed order to its delivery, or back.
//!
//! ```text
//! not_started ──> awaiting_payment <──> capturing <──> awaiting_challenge
//!                    │        ^             │  └──────> inquiring
//!                    │        └─ declined ──┤              │
//!                    v                      v              v
//!      ended <── expired               confirming <────────┘
//!        ^                                  │ stock gone
//!        │                                  ├──────────────> compensating ──> ended (failed)
//!        │                                  v                     ^
//!        │                              shipping ── refused 3x ───┘
//!        │                                  v
//!        ├── awaiting_completion <── delivering          cancelling ──> ended (cancelled)
//!        └── returning_late_payment <── ended            needs_operator <── any step
//! ```
//!
//! The process is a decider like any other. Its stream is its inbox (the inputs that it took in),
//! its memory (timers, steps) and its outbox (the commands that it issued). After each input it
//! makes a plan from what it knows (`plan.rs`) and records the difference from what is recorded. A
//! plan only asks for what should have been done by now, so inputs may come twice, late and in any
//! order.
//!
//! # The protocol with the walk
//!
//! Every event of an order, its payments and its shipments that has a [`fact_of`] is taken in, in
//! the append of that event ([`walk`](crate::processes::walk)), as [`FulfilmentInput::Event`];
//! [`order_of`] names the process. What [`FulfilmentEvent::issued`] returns is decided in that
//! append, too, as far as possible: a command to aggregates, or the intent of a call. A refusal
//! becomes [`FulfilmentInput::CommandRefused`] at once. A command is answered by the events that it
//! causes, which come back as inputs. If it causes none because its effect is already there, the
//! event of that effect came as an input before. Due timers are [`FulfilmentInput::Timer`].
//!
//! # The protocol with the dispatcher
//!
//! The dispatcher follows the calls among the issued commands, from a checkpoint of its own, and
//! makes each **at least once**: the calls of one order one after the other in the order in which
//! they were issued, those of different orders concurrently. It moves its checkpoint only when a
//! call is done. An outside call without an answer is reported as the `Unknown` outcome and not
//! repeated, because the process repeats it by timers. A command that follows a call leaves a
//! receipt under the issued command's id and the position at which it was issued, so that executing
//! it again acts only once. An observation gets a fresh id, because each one is a fact of its own.
//!
//! | process command | what is done |
//! |---|---|
//! | `CapturePayment` | `RequestCapture`; then, if the payment [`needs_charge`]: `charge` of the amount of its `charge_leg`, with the id of the stream's `payment.capture_requested` as the key; then `ObservePayment(answer, Answer)` |
//! | `ConfirmCharge` | if the payment [`needs_confirm`]: `confirm(gateway_reference)`; then `ObservePayment(answer, Answer)` |
//! | `InquirePayment` | if the payment [`needs_inquiry`]: `inquire(key as above)`; then `ObservePayment(answer, Inquiry)` |
//! | `NetCancelPayment` | `RequestNetCancel`; then, if the payment [`needs_net_cancel`]: `net_cancel(key as above)`; then `ObservePayment(answer, Answer)` |
//! | `ConfirmOrder` | `ConfirmOrder` |
//! | `RecordPaymentFailure` | `RecordPaymentFailure` |
//! | `ExpireOrder` | `ExpireOrder` |
//! | `RequestShipment` | `RequestShipment` |
//! | `BookCarrier` | if the shipment [`needs_label`] of this attempt: `request_label`; then `ObserveLabel(answer)` |
//! | `CancelShipment` | if the shipment is cancelled: nothing; else `cancel_label`. `Cancelled`: `CancelShipment`. `AlreadyDispatched`: `CommandRefused` with the code `order_already_dispatched`. `Unknown`: nothing |
//! | `RequestRefund` | `RequestFullRefund` |
//! | `SettleRefund` | if the refund is still requested: with a `gateway_part`, `refund` of it with the id of the stream's `payment.refund_requested` of this refund as the key, then `ObserveRefund(answer, Answer)`; without one `ObserveRefund(Settled, Shop)` |
//! | `CancelOrder` | `CancelOrder`, as the shop |
//! | `FinishCancellation` | `FinishCancellation` |
//! | `FailOrder` | `FailOrder` |
//! | `RecordLatePayment` | `RecordLatePayment` |
//! | `MarkDelivered` | `MarkDelivered` |
//! | `CompleteOrder` | `CompleteOrder` |
//! | `HoldOrder` | `HoldOrder` |
//!
//! The first command of a call is its intent, which the walk decides. If a call does not come with
//! the data that it needs, the state that decides whether to call is read after the intent.
//!
//! Invariants:
//! - I1 The same input changes nothing the second time.
//! - I2 The same set of inputs gives the same knowledge in any order.
//! - I3 The same decision issues the same command ids.
//! - I4 While a payment is undecided, nothing that is held for it is released.
//! - I5 Captured money either pays the order or is refunded.
//! - I6 Forward or back, never both: once compensating, nothing goes forward again.
//! - I7 Nothing waits for ever: a refused command, or a call without an answer, is repeated with
//!   growing waits, and then a person is asked.
//! - I8 The end of a process sets no timer and leaves none.
//!
//! A person's decisions are events of their own, with one exception: that a smaller charge is
//! accepted is a fact of the payment, and its capture lets a process go on that waited for it. A
//! parcel that is lost or came back counts as replaced once a further parcel of the order is known.
//!
//! Not guarded here: what the aggregates guard. They refuse a command that was issued on outdated
//! knowledge, so it does no harm.
//!
//! [`needs_charge`]: crate::payment::Payment::needs_charge
//! [`needs_confirm`]: crate::payment::Payment::needs_confirm
//! [`needs_inquiry`]: crate::payment::Payment::needs_inquiry
//! [`needs_net_cancel`]: crate::payment::Payment::needs_net_cancel
//! [`needs_label`]: crate::shipment::Shipment::needs_label

mod command;
mod decide;
mod event;
mod fact;
mod knowledge;
mod plan;
mod reason;
#[cfg(test)]
mod spec;
mod state;
mod tasks;
mod trouble;

pub use command::{FulfilmentCommand, FulfilmentInput};
pub use event::*;
pub use fact::{fact_of, order_of};
pub use reason::ParkReason;
pub use state::Fulfilment;
pub use tasks::{FulfilmentProcess, task};
pub use trouble::Trouble;
