//! Buyers who send goods back, and the staff who take them.

use std::sync::Arc;

use jangbu_aggregates::order::Order;
use jangbu_aggregates::returns::{Return, ReturnStatus};
use jangbu_commands::commands::{
    ApproveReturn, CloseReturn, InspectReturn, ReceiveReturn, RejectReturn, RequestReturn, SendReturn, WithdrawReturn,
};
use jangbu_commands::{CancelledBy, InspectedLine, Remedy, Replacement, ReturnReason, WithdrawnBy, load_state};
use jangbu_kernel::ports::IdSource as _;
use jangbu_kernel::{OrderId, RefundId, RefusalCode, ReturnId};

use crate::client::Told;
use crate::people::People;

impl People {
    /// A buyer wants to return a line of an order, or one unit of it.
    pub(crate) async fn wants_to_return(self: Arc<Self>, order_id: OrderId) {
        let read = load_state::<Order>(&self.town.store.truth, order_id).await;
        let Some((order, _)) = read.ok() else { return };
        let (Some(user), Some(address)) = (order.user_id(), order.shipping_address().cloned()) else { return };
        let Some(line) = order.lines().first() else { return };
        let (whole, broken, exchange) = self.throw(|dice| (dice.permille(500), dice.permille(500), dice.permille(400)));
        let ids = &self.town.ids;
        let further = Replacement {
            order_id: OrderId::new(ids.new_id()),
            number: ids.new_id().simple().to_string(),
            shipping_address: address,
        };
        let make = || RequestReturn {
            return_id: ReturnId::new(ids.new_id()),
            order_id,
            by: CancelledBy::Owner,
            reason: if broken { ReturnReason::Defect } else { ReturnReason::ChangedMind },
            remedy: if exchange { Remedy::Exchange } else { Remedy::Refund },
            lines: vec![(line.product_id, (!whole).then_some(1))],
            note: None,
            replacement: exchange.then(|| further.clone()),
        };
        self.buyer(user, self.fresh_key("return"), &make).await;
    }

    /// The next step of a return is taken after a while, by whoever has to take it.
    pub(crate) fn goes_back(self: &Arc<Self>, return_id: ReturnId) {
        let people = Arc::clone(self);
        self.later(1_000, 60_000, async move { people.next_step(return_id).await });
    }

    async fn next_step(&self, return_id: ReturnId) {
        let read = load_state::<Return>(&self.town.store.truth, return_id).await;
        let Some((asked, _)) = read.ok() else { return };
        let (Some(status), Some(user)) = (asked.status(), asked.user_id()) else { return };
        let key = self.fresh_key(status.name());
        match status {
            ReturnStatus::Requested if self.throw(|dice| dice.permille(100)) => {
                self.staff(key, &|| RejectReturn { return_id, reason: "worn".into() }).await;
            }
            ReturnStatus::Requested => {
                self.staff(key, &|| ApproveReturn { return_id, fee: None }).await;
            }
            ReturnStatus::Approved => match self.throw(|dice| dice.below(100)) {
                // Whoever forgets it finds the return lapsed.
                0..=14 => {}
                15..=24 => {
                    let make = || WithdrawReturn { return_id, by: WithdrawnBy::Buyer, reason: None };
                    self.buyer(user, key, &make).await;
                }
                _ => {
                    let send = || SendReturn { return_id, carrier: "post".into(), tracking_number: "1".into() };
                    self.buyer(user, key, &send).await;
                }
            },
            ReturnStatus::InTransit => {
                self.staff(key, &|| ReceiveReturn { return_id }).await;
            }
            ReturnStatus::Received => {
                let (sold, missing) = self.throw(|dice| (dice.permille(700), dice.permille(80)));
                let found = asked.lines().iter().map(|line| InspectedLine {
                    product_id: line.product_id,
                    restocked: if sold { line.quantity } else { 0 },
                    written_off: if sold { 0 } else { line.quantity },
                });
                let lines: Vec<_> = found.filter(|_| !missing).collect();
                self.staff(key, &|| InspectReturn { return_id, lines: lines.clone(), note: None }).await;
            }
            ReturnStatus::Inspected => self.close(return_id, key).await,
            ReturnStatus::Closed | ReturnStatus::Rejected | ReturnStatus::Withdrawn => {}
        }
    }

    async fn close(&self, return_id: ReturnId, key: String) {
        let close =
            |remedy| move || CloseReturn { return_id, refund_id: RefundId::new(self.town.ids.new_id()), remedy };
        if let Told::Refused(refusal) = self.staff(key, &close(None)).await
            && refusal.code == RefusalCode::InsufficientStock
        {
            // There is nothing to send: the money goes back instead.
            self.staff(self.fresh_key("refund-return"), &close(Some(Remedy::Refund))).await;
        }
    }

    /// Whoever has to do something about an order's open returns is reminded.
    pub(crate) async fn look_after_returns(self: Arc<Self>, order_id: OrderId) {
        let read = load_state::<Order>(&self.town.store.truth, order_id).await;
        let Some((order, _)) = read.ok() else { return };
        for return_id in order.open_returns() {
            self.goes_back(return_id);
        }
    }
}
