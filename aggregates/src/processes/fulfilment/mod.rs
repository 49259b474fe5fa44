//! The fulfilment of an order: from the placed order to the door, or back.
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
//! The process is a decider like any other. Its stream is its inbox (what it took in),
//! its memory (timers, steps) and its outbox (what is to be done). After each input it
//! makes a plan from what it knows (`plan.rs`) and records what differs from what is
//! recorded. As a plan asks only for what should have been done by now, inputs may come
//! twice, late and in any order.
//!
//! # The protocol with the walk
//!
//! Every event of an order, its payments and its shipments that has a [`fact_of`] is taken in, in
//! the append of that event ([`walk`](crate::processes::walk)), as [`FulfilmentInput::Event`];
//! [`order_of`] names the process. What [`FulfilmentEvent::issued`] says is decided there too, as
//! far as it can be: a command to aggregates, or the intent of a call. A refusal is
//! [`FulfilmentInput::CommandRefused`] at once. A command is answered by the events it causes,
//! which come back as inputs; when it causes none because its effect is there already, that event
//! came as an input. Due timers are [`FulfilmentInput::Timer`].
//!
//! # The protocol with the dispatcher
//!
//! The dispatcher follows the calls among what was issued, from a checkpoint of its own, and
//! makes each **at least once**; those of one order one after the other in the order they were
//! issued, those of different orders side by side. It moves its checkpoint on when a call is
//! done, not before. An outside call without an answer is reported as the `Unknown` outcome and
//! not repeated: the process repeats by timers. A command that follows a call leaves a receipt
//! under the issued command's id and the position it was issued at, so that carrying it out again
//! acts once; an observation takes a fresh id, because each one is a fact of its own.
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
//! The first command of a call is its intent, decided by the walk. Where what a call is made of
//! was not told with it, the state that decides whether to call is read after that.
//!
//! Invariants:
//! - I1 The same input changes nothing the second time.
//! - I2 The same set of inputs gives the same knowledge in any order.
//! - I3 The same decision issues the same command ids.
//! - I4 While a payment is undecided nothing that is held for it is given back.
//! - I5 Money that is captured either pays the order or goes back.
//! - I6 Forward or back, never both: once compensating, nothing goes forward again.
//! - I7 Nothing waits for ever: a command that is refused, or a call without an answer,
//!   is repeated on a ladder of waits, and then a person is asked.
//! - I8 An end sets no timer and leaves none.
//!
//! A person's decisions are events of their own, but for one: that a smaller charge is taken as
//! enough is a fact of the payment, and its capture lets a process go on that waited for that.
//! A parcel that is lost or came back is replaced once a further one of the order is known.
//!
//! Not guarded here: what the aggregates guard. A command that is issued on old
//! knowledge is refused by them and does no harm.
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
