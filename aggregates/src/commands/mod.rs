//! All commands of the shop, one file each, grouped by subject.
//!
//! A decision asks each aggregate for its part and combines the parts into one append, all or
//! nothing; the rules stay with the aggregates. Every file says which streams it writes and reads,
//! and why they belong into one append.

pub mod categories;
pub mod fulfilments;
pub mod imports;
pub mod locations;
pub mod notices;
pub mod orders;
pub mod payments;
pub mod points;
pub mod products;
pub mod returns;
pub mod sessions;
pub mod shipments;
pub mod stock;
pub mod users;

#[cfg(test)]
mod spec;

pub use categories::{ChangeCategory, CreateCategory, MOST_CATEGORIES, RemoveCategory};
pub use fulfilments::{AdvanceFulfilment, ResolveFulfilment};
pub use imports::{EndImport, RecordImportProgress, StartImport};
pub use locations::{ChangeLocation, OpenLocation};
pub use notices::{RecordNotice, SendNotice};
pub use orders::{
    AcceptOrder, CancelLines, CancelOrder, ChangeShippingAddress, CompleteOrder, ConfirmDelivery, ConfirmOrder,
    ExpireOrder, FailOrder, FinishCancellation, HoldOrder, LineToCancel, MarkDelivered, NoteOrder, PackOrder,
    PlaceOrder, Quote, RecordLatePayment, RecordPaymentFailure, RefundOrder, ReleaseHold, SendOrderAgain, WantedLine,
    quote_order,
};
pub use payments::{
    CancelPayment, ConfirmPayment, ObservePayment, ObserveRefund, RefundPayment, RequestCapture, RequestFullRefund,
    RequestNetCancel, RequestPayment, WantedPayment,
};
pub use points::{ExpirePoints, GrantPoints};
pub use products::{
    ActivateProduct, ChangeProduct, CreateProduct, DeactivateProduct, ImportProduct, MakeSingle, MakeVariant,
    RemoveProduct,
};
pub use returns::{
    ApproveReturn, CloseReturn, InspectReturn, LapseReturn, ReceiveReturn, RejectReturn, RequestReturn, SendReturn,
    WithdrawReturn,
};
pub use sessions::{EndSession, RotateSession, StartSession};
pub use shipments::{
    CancelShipment, CorrectTrackingNumber, DispatchShipment, ObserveLabel, RecordScan, RequestShipment,
};
pub use stock::{
    AdjustStock, CountStock, LoseTransfer, ReceiveStock, ReceiveTransfer, SendTransfer, SetBackOrder, SetBuyerLimit,
    SetStockThreshold, WriteOffStock,
};
pub use users::{
    ChangeContactDetails, ChooseNotices, ListAdministrators, RecordLoginFailure, RegisterUser, RoleChange, SetRoles,
    UnlockUser,
};
