//! Commands on orders, and what they have in common.

mod accept;
mod cancel;
mod cancel_lines;
mod complete;
mod confirm;
mod confirm_delivery;
mod ending;
mod expire;
mod fail;
mod finish_cancellation;
mod hold;
mod mark_delivered;
mod note;
mod pack;
mod part;
mod place;
mod pricing;
mod record_late_payment;
mod record_payment_failure;
mod refund;
mod release_hold;
mod send_again;
mod trouble;
mod waiting;

pub use accept::AcceptOrder;
pub use cancel::CancelOrder;
pub use cancel_lines::{CancelLines, LineToCancel};
pub use complete::CompleteOrder;
pub use confirm::ConfirmOrder;
pub use confirm_delivery::ConfirmDelivery;
pub use expire::ExpireOrder;
pub use fail::FailOrder;
pub use finish_cancellation::FinishCancellation;
pub use hold::HoldOrder;
pub use mark_delivered::MarkDelivered;
pub use note::NoteOrder;
pub use pack::PackOrder;
pub use place::{PlaceOrder, WantedLine};
pub use pricing::{Quote, quote_order};
pub use record_late_payment::RecordLatePayment;
pub use record_payment_failure::RecordPaymentFailure;
pub use refund::RefundOrder;
pub use release_hold::ReleaseHold;
pub use send_again::SendOrderAgain;

pub(super) use waiting::note_changed;
