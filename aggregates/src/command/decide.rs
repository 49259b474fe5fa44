//! Which decision answers a command.

use jangbu_kernel::StreamId;

use super::{Command, Outcome};
use crate::facts::Facts;
use crate::order::{CompletedBy, Order, OrderCommand};
use crate::payment::{Payment, PaymentCommand};
use crate::processes::{Fulfilment, FulfilmentCommand};
use crate::product::{Product, ProductCommand, ProductCreated};
use crate::session::{Session, SessionCommand};
use crate::shipment::{Shipment, ShipmentCommand};
use crate::state::{Missing, States};
use crate::transactions::{
    RoleChange, adjust_stock, cancel_order, cancel_payment, change_roles, confirm_order, dispatch_shipment,
    expire_order, fail_order, finish_cancellation, grant_points, observe_refund, place_order, receive_stock,
    record_late_payment, record_payment_failure, record_scan, register_user, release_hold, request_payment,
    request_shipment, rotate_session, single, start_session,
};
use crate::user::{Administrators, AdministratorsCommand, User, UserCommand};

impl Command {
    /// Decides. Pure. What is outside the caller's reach does not exist for him.
    ///
    /// # Errors
    /// [`Missing`]: load that stream and decide again.
    pub fn decide(&self, states: &impl States, facts: &Facts) -> Result<Outcome, Missing> {
        match self.within_scope(states, facts)? {
            Ok(()) => self.route(states, facts),
            Err(refusal) => Ok(refusal.into()),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: one entry a command, no logic")]
    fn route(&self, states: &impl States, facts: &Facts) -> Result<Outcome, Missing> {
        let (s, f) = (states, facts);
        match self {
            // Accounts.
            Self::RegisterUser(command) => register_user(s, f, command),
            Self::ChangeContactDetails { user_id, name, phone, clear_phone } => {
                let command = UserCommand::ChangeContactDetails {
                    name: name.clone(),
                    phone: phone.clone(),
                    clear_phone: *clear_phone,
                };
                single::<User>(s, f, *user_id, &command)
            }
            Self::SetRoles { user_id, roles } => change_roles(s, f, *user_id, RoleChange::Set(roles)),
            Self::GrantRole { user_id, role } => change_roles(s, f, *user_id, RoleChange::Grant(*role)),
            Self::RevokeRole { user_id, role } => change_roles(s, f, *user_id, RoleChange::Revoke(*role)),
            Self::ListAdministrators { user_ids } => {
                let list = AdministratorsCommand::List(user_ids.clone());
                single::<Administrators>(s, f, StreamId::administrators().id, &list)
            }
            Self::UnlockUser { user_id } => single::<User>(s, f, *user_id, &UserCommand::Unlock),
            Self::RecordLoginFailure { user_id } => single::<User>(s, f, *user_id, &UserCommand::RecordLoginFailure),
            Self::StartSession { session_id, user_id, token_hash } => {
                start_session(s, f, *session_id, *user_id, token_hash)
            }
            Self::RotateSession { session_id, presented_hash, presented_generation, next_hash } => {
                let (presented_hash, next_hash) = (presented_hash.clone(), next_hash.clone());
                let presented_generation = *presented_generation;
                let rotate = SessionCommand::Rotate { presented_hash, presented_generation, next_hash };
                rotate_session(s, f, *session_id, &rotate)
            }
            Self::EndSession { session_id, reason } => {
                single::<Session>(s, f, *session_id, &SessionCommand::End { reason: *reason })
            }
            // The catalogue, stock, points.
            Self::CreateProduct(command) => {
                let created = ProductCreated {
                    name: command.name.clone(),
                    description: command.description.clone(),
                    category_id: command.category_id,
                    seller_id: command.seller_id,
                    price: command.price,
                };
                single::<Product>(s, f, command.product_id, &ProductCommand::Create(created))
            }
            Self::ActivateProduct { product_id } => single::<Product>(s, f, *product_id, &ProductCommand::Activate),
            Self::DeactivateProduct { product_id } => single::<Product>(s, f, *product_id, &ProductCommand::Deactivate),
            Self::ReceiveStock { product_id, quantity } => receive_stock(s, f, *product_id, *quantity),
            Self::AdjustStock { product_id, delta, reason } => adjust_stock(s, f, *product_id, *delta, reason),
            Self::GrantPoints { user_id, amount, reference, expires_at } => {
                grant_points(s, f, *user_id, *amount, reference, *expires_at)
            }
            // Orders.
            Self::PlaceOrder(command) => place_order(s, f, command),
            Self::CancelOrder { order_id, by, reason } => cancel_order(s, f, *order_id, *by, reason.as_deref()),
            Self::ConfirmDelivery { order_id } => {
                single::<Order>(s, f, *order_id, &OrderCommand::Complete { by: CompletedBy::Buyer })
            }
            Self::ConfirmOrder { order_id, payment_id } => confirm_order(s, f, *order_id, *payment_id),
            Self::RecordPaymentFailure { order_id, payment_id, reason } => {
                record_payment_failure(s, f, *order_id, *payment_id, reason)
            }
            Self::ExpireOrder { order_id } => expire_order(s, f, *order_id),
            Self::FinishCancellation { order_id } => finish_cancellation(s, f, *order_id),
            Self::FailOrder { order_id, reason } => fail_order(s, f, *order_id, reason),
            Self::RecordLatePayment { order_id, payment_id } => record_late_payment(s, f, *order_id, *payment_id),
            Self::MarkDelivered { order_id } => single::<Order>(s, f, *order_id, &OrderCommand::MarkDelivered),
            Self::CompleteOrder { order_id } => {
                single::<Order>(s, f, *order_id, &OrderCommand::Complete { by: CompletedBy::Timer })
            }
            Self::HoldOrder { order_id, reason } => {
                single::<Order>(s, f, *order_id, &OrderCommand::PutOnHold { reason: reason.clone() })
            }
            Self::ReleaseHold { order_id, reason } => release_hold(s, f, *order_id, reason),
            // Payments.
            Self::RequestPayment { order_id, payment } => request_payment(s, f, *order_id, payment),
            Self::CancelPayment { payment_id } => cancel_payment(s, f, *payment_id),
            Self::ObserveRefund { payment_id, refund_id, observation, source } => {
                observe_refund(s, f, *payment_id, *refund_id, observation, *source)
            }
            Self::ConfirmPayment { payment_id } => {
                single::<Payment>(s, f, *payment_id, &PaymentCommand::ConfirmChallenge)
            }
            Self::RequestCapture { payment_id } => {
                single::<Payment>(s, f, *payment_id, &PaymentCommand::RequestCapture)
            }
            Self::RequestNetCancel { payment_id, reason } => {
                single::<Payment>(s, f, *payment_id, &PaymentCommand::RequestNetCancel { reason: reason.clone() })
            }
            Self::ObservePayment { payment_id, observation, source } => {
                let command = PaymentCommand::Observe { outcome: observation.clone(), source: *source };
                single::<Payment>(s, f, *payment_id, &command)
            }
            Self::RefundPayment { payment_id, refund_id, amount, reason } => {
                let (refund_id, amount, reason) = (*refund_id, *amount, reason.clone());
                single::<Payment>(s, f, *payment_id, &PaymentCommand::RequestRefund { refund_id, amount, reason })
            }
            Self::RequestFullRefund { payment_id, refund_id, reason } => {
                let (refund_id, reason) = (*refund_id, reason.clone());
                single::<Payment>(s, f, *payment_id, &PaymentCommand::RequestFullRefund { refund_id, reason })
            }
            // Parcels.
            Self::RequestShipment { order_id, shipment_id } => request_shipment(s, f, *order_id, *shipment_id),
            Self::DispatchShipment { shipment_id, carrier, tracking_number } => {
                dispatch_shipment(s, f, *shipment_id, carrier.as_deref(), tracking_number.as_deref())
            }
            Self::RecordScan { shipment_id, scan } => record_scan(s, f, *shipment_id, scan),
            Self::CorrectTrackingNumber { shipment_id, tracking_number, reason } => {
                let (tracking_number, reason) = (tracking_number.clone(), reason.clone());
                let command = ShipmentCommand::CorrectTrackingNumber { tracking_number, reason };
                single::<Shipment>(s, f, *shipment_id, &command)
            }
            Self::ObserveLabel { shipment_id, carrier, observation } => {
                let command = ShipmentCommand::ObserveLabel { carrier: carrier.clone(), outcome: observation.clone() };
                single::<Shipment>(s, f, *shipment_id, &command)
            }
            Self::CancelShipment { shipment_id, reason } => {
                single::<Shipment>(s, f, *shipment_id, &ShipmentCommand::Cancel { reason: reason.clone() })
            }
            // The process.
            Self::AdvanceFulfilment { order_id, input } => {
                single::<Fulfilment>(s, f, *order_id, &FulfilmentCommand::Take(input.clone()))
            }
            Self::ResolveFulfilment { order_id, action, reason } => {
                let command = FulfilmentCommand::Resolve { action: *action, reason: reason.clone() };
                single::<Fulfilment>(s, f, *order_id, &command)
            }
        }
    }
}
