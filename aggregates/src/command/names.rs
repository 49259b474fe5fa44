//! What commands are called and whose resource they answer with.

use jangbu_kernel::StreamId;

use super::Command;

impl Command {
    /// The command's name in logs, metrics and `allowed_commands`: snake case.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RegisterUser(_) => "register_user",
            Self::ChangeContactDetails { .. } => "change_contact_details",
            Self::SetRoles { .. } => "set_roles",
            Self::ListAdministrators { .. } => "list_administrators",
            Self::GrantRole { .. } => "grant_role",
            Self::RevokeRole { .. } => "revoke_role",
            Self::UnlockUser { .. } => "unlock_user",
            Self::RecordLoginFailure { .. } => "record_login_failure",
            Self::StartSession { .. } => "start_session",
            Self::RotateSession { .. } => "rotate_session",
            Self::EndSession { .. } => "end_session",
            Self::CreateProduct(_) => "create_product",
            Self::ActivateProduct { .. } => "activate_product",
            Self::DeactivateProduct { .. } => "deactivate_product",
            Self::ReceiveStock { .. } => "receive_stock",
            Self::AdjustStock { .. } => "adjust_stock",
            Self::GrantPoints { .. } => "grant_points",
            Self::PlaceOrder(_) => "place_order",
            Self::CancelOrder { .. } => "cancel_order",
            Self::ConfirmDelivery { .. } => "confirm_delivery",
            Self::RequestPayment { .. } => "request_payment",
            Self::ConfirmPayment { .. } => "confirm_payment",
            Self::CancelPayment { .. } => "cancel_payment",
            Self::RefundPayment { .. } => "refund_payment",
            Self::DispatchShipment { .. } => "dispatch_shipment",
            Self::CorrectTrackingNumber { .. } => "correct_tracking_number",
            Self::RecordScan { .. } => "record_scan",
            Self::AdvanceFulfilment { .. } => "advance_fulfilment",
            Self::ResolveFulfilment { .. } => "resolve_fulfilment",
            Self::RequestCapture { .. } => "request_capture",
            Self::RequestNetCancel { .. } => "request_net_cancel",
            Self::ObservePayment { .. } => "observe_payment",
            Self::ConfirmOrder { .. } => "confirm_order",
            Self::RecordPaymentFailure { .. } => "record_payment_failure",
            Self::ExpireOrder { .. } => "expire_order",
            Self::RequestShipment { .. } => "request_shipment",
            Self::ObserveLabel { .. } => "observe_label",
            Self::CancelShipment { .. } => "cancel_shipment",
            Self::RequestFullRefund { .. } => "request_full_refund",
            Self::ObserveRefund { .. } => "observe_refund",
            Self::FinishCancellation { .. } => "finish_cancellation",
            Self::FailOrder { .. } => "fail_order",
            Self::RecordLatePayment { .. } => "record_late_payment",
            Self::MarkDelivered { .. } => "mark_delivered",
            Self::CompleteOrder { .. } => "complete_order",
            Self::HoldOrder { .. } => "hold_order",
            Self::ReleaseHold { .. } => "release_hold",
        }
    }

    /// The stream whose resource is the answer, and whose version `If-Match` means.
    #[must_use]
    pub const fn primary(&self) -> StreamId {
        match self {
            Self::RegisterUser(command) => StreamId::user(command.user_id),
            Self::ChangeContactDetails { user_id, .. }
            | Self::SetRoles { user_id, .. }
            | Self::GrantRole { user_id, .. }
            | Self::RevokeRole { user_id, .. }
            | Self::UnlockUser { user_id }
            | Self::RecordLoginFailure { user_id } => StreamId::user(*user_id),
            Self::ListAdministrators { .. } => StreamId::administrators(),
            Self::StartSession { session_id, .. }
            | Self::RotateSession { session_id, .. }
            | Self::EndSession { session_id, .. } => StreamId::session(*session_id),
            Self::CreateProduct(command) => StreamId::product(command.product_id),
            Self::ActivateProduct { product_id } | Self::DeactivateProduct { product_id } => {
                StreamId::product(*product_id)
            }
            Self::ReceiveStock { product_id, .. } | Self::AdjustStock { product_id, .. } => {
                StreamId::stock(*product_id)
            }
            Self::GrantPoints { user_id, .. } => StreamId::points(*user_id),
            Self::PlaceOrder(command) => StreamId::order(command.order_id),
            Self::CancelOrder { order_id, .. }
            | Self::ConfirmDelivery { order_id }
            | Self::ConfirmOrder { order_id, .. }
            | Self::RecordPaymentFailure { order_id, .. }
            | Self::ExpireOrder { order_id }
            | Self::FinishCancellation { order_id }
            | Self::FailOrder { order_id, .. }
            | Self::RecordLatePayment { order_id, .. }
            | Self::MarkDelivered { order_id }
            | Self::CompleteOrder { order_id }
            | Self::HoldOrder { order_id, .. }
            | Self::ReleaseHold { order_id, .. } => StreamId::order(*order_id),
            Self::RequestPayment { payment, .. } => StreamId::payment(payment.payment_id),
            Self::ConfirmPayment { payment_id }
            | Self::CancelPayment { payment_id }
            | Self::RefundPayment { payment_id, .. }
            | Self::RequestCapture { payment_id }
            | Self::RequestNetCancel { payment_id, .. }
            | Self::ObservePayment { payment_id, .. }
            | Self::RequestFullRefund { payment_id, .. }
            | Self::ObserveRefund { payment_id, .. } => StreamId::payment(*payment_id),
            Self::DispatchShipment { shipment_id, .. }
            | Self::CorrectTrackingNumber { shipment_id, .. }
            | Self::RecordScan { shipment_id, .. }
            | Self::RequestShipment { shipment_id, .. }
            | Self::ObserveLabel { shipment_id, .. }
            | Self::CancelShipment { shipment_id, .. } => StreamId::shipment(*shipment_id),
            Self::AdvanceFulfilment { order_id, .. } | Self::ResolveFulfilment { order_id, .. } => {
                StreamId::fulfilment(*order_id)
            }
        }
    }
}
