//! A person decides about a parked process. Writes `fulfilment`.

use jangbu_kernel::{OrderId, RefusalCode, Remark, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::order::Order;
use crate::processes::{Fulfilment, FulfilmentCommand, OperatorAction};
use crate::state::{Missing, States};

/// A person decides about a parked process.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolveFulfilment {
    /// The order whose process is parked.
    pub order_id: OrderId,
    /// Try again, take as done, or undo.
    pub action: OperatorAction,
    /// The operator's reason, for the audit trail.
    pub reason: Remark,
}

impl Command for ResolveFulfilment {
    const RULES: Rules = Rules::new(
        "resolve_fulfilment",
        Reach::Any(Permission::OperationsWrite),
        Key::Optional,
        &[RefusalCode::SagaStateConflict],
    );

    fn subject(&self) -> StreamId {
        StreamId::fulfilment(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (action, reason) = (self.action, self.reason.clone());
        append.only::<Fulfilment>(self.order_id, &FulfilmentCommand::Resolve { action, reason })
    }
}
