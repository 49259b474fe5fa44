//! Every command of the shop, one file each, by what it is about.
//!
//! A decision asks each aggregate for its part and puts the parts together into one append, all
//! or nothing; the rules stay with the aggregates. Every file says which streams it writes and
//! reads, and why they belong into one append.

pub mod fulfilments;
pub mod orders;
pub mod payments;
pub mod points;
pub mod products;
pub mod sessions;
pub mod shipments;
pub mod stock;
pub mod users;

#[cfg(test)]
mod spec;

pub use fulfilments::{AdvanceFulfilment, ResolveFulfilment};
pub use orders::{
    AcceptOrder, CancelOrder, CompleteOrder, ConfirmDelivery, ConfirmOrder, ExpireOrder, FailOrder, FinishCancellation,
    HoldOrder, MarkDelivered, PlaceOrder, Quote, RecordLatePayment, RecordPaymentFailure, RefundOrder, ReleaseHold,
    SendOrderAgain, WantedLine, quote_order,
};
pub use payments::{
    CancelPayment, ConfirmPayment, ObservePayment, ObserveRefund, RefundPayment, RequestCapture, RequestFullRefund,
    RequestNetCancel, RequestPayment, WantedPayment,
};
pub use points::{ExpirePoints, GrantPoints};
pub use products::{ActivateProduct, CreateProduct, DeactivateProduct};
pub use sessions::{EndSession, RotateSession, StartSession};
pub use shipments::{
    CancelShipment, CorrectTrackingNumber, DispatchShipment, ObserveLabel, RecordScan, RequestShipment,
};
pub use stock::{AdjustStock, ReceiveStock};
pub use users::{
    ChangeContactDetails, ListAdministrators, RecordLoginFailure, RegisterUser, RoleChange, SetRoles, UnlockUser,
};
