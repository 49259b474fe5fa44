//! Whose things commands touch: the one place where "yours only" is checked.

use jangbu_kernel::{OrderId, Refusal, UserId};

use super::Command;
use crate::checks;
use crate::facts::{Facts, Scope};
use crate::order::Order;
use crate::payment::Payment;
use crate::session::Session;
use crate::shipment::Shipment;
use crate::state::{Missing, States};

/// Whose the thing is that a command is about.
enum Owner {
    /// This person's.
    User(UserId),
    /// The shop's: nobody's who only reaches what is his own.
    Shop,
    /// It does not exist; the decision says what that means.
    Nobody,
}

impl From<Option<UserId>> for Owner {
    fn from(user_id: Option<UserId>) -> Self {
        user_id.map_or(Self::Nobody, Self::User)
    }
}

impl Command {
    /// Refuses what is outside the caller's reach, as if it did not exist.
    pub(super) fn within_scope(&self, states: &impl States, facts: &Facts) -> Result<Result<(), Refusal>, Missing> {
        let Scope::Own(caller) = facts.scope else {
            return Ok(Ok(()));
        };
        match self.owner(states)? {
            Owner::User(owner) if owner == caller => Ok(Ok(())),
            Owner::Nobody => Ok(Ok(())),
            Owner::User(_) | Owner::Shop => Ok(Err(checks::not_found(self.primary().kind.name()))),
        }
    }

    fn owner(&self, states: &impl States) -> Result<Owner, Missing> {
        match self {
            Self::RegisterUser(command) => Ok(Owner::User(command.user_id)),
            Self::ChangeContactDetails { user_id, .. }
            | Self::SetRoles { user_id, .. }
            | Self::GrantRole { user_id, .. }
            | Self::RevokeRole { user_id, .. }
            | Self::UnlockUser { user_id }
            | Self::RecordLoginFailure { user_id }
            | Self::StartSession { user_id, .. }
            | Self::GrantPoints { user_id, .. } => Ok(Owner::User(*user_id)),
            Self::RotateSession { session_id, .. } | Self::EndSession { session_id, .. } => {
                Ok(states.get::<Session>(*session_id)?.user_id().into())
            }
            Self::ListAdministrators { .. }
            | Self::CreateProduct(_)
            | Self::ActivateProduct { .. }
            | Self::DeactivateProduct { .. }
            | Self::ReceiveStock { .. }
            | Self::AdjustStock { .. } => Ok(Owner::Shop),
            Self::PlaceOrder(command) => match order_owner(states, command.order_id)? {
                Owner::Nobody => Ok(Owner::User(command.user_id)),
                owner @ (Owner::User(_) | Owner::Shop) => Ok(owner),
            },
            Self::CancelOrder { order_id, .. }
            | Self::ConfirmDelivery { order_id }
            | Self::RequestPayment { order_id, .. }
            | Self::AdvanceFulfilment { order_id, .. }
            | Self::ResolveFulfilment { order_id, .. }
            | Self::ConfirmOrder { order_id, .. }
            | Self::RecordPaymentFailure { order_id, .. }
            | Self::ExpireOrder { order_id }
            | Self::RequestShipment { order_id, .. }
            | Self::FinishCancellation { order_id }
            | Self::FailOrder { order_id, .. }
            | Self::RecordLatePayment { order_id, .. }
            | Self::MarkDelivered { order_id }
            | Self::CompleteOrder { order_id }
            | Self::HoldOrder { order_id, .. }
            | Self::ReleaseHold { order_id, .. } => order_owner(states, *order_id),
            Self::ConfirmPayment { payment_id }
            | Self::CancelPayment { payment_id }
            | Self::RefundPayment { payment_id, .. }
            | Self::RequestCapture { payment_id }
            | Self::RequestNetCancel { payment_id, .. }
            | Self::ObservePayment { payment_id, .. }
            | Self::RequestFullRefund { payment_id, .. }
            | Self::ObserveRefund { payment_id, .. } => Ok(states.get::<Payment>(*payment_id)?.user_id().into()),
            Self::DispatchShipment { shipment_id, .. }
            | Self::CorrectTrackingNumber { shipment_id, .. }
            | Self::RecordScan { shipment_id, .. }
            | Self::ObserveLabel { shipment_id, .. }
            | Self::CancelShipment { shipment_id, .. } => Ok(states.get::<Shipment>(*shipment_id)?.user_id().into()),
        }
    }
}

fn order_owner(states: &impl States, order_id: OrderId) -> Result<Owner, Missing> {
    Ok(states.get::<Order>(order_id)?.user_id().into())
}
