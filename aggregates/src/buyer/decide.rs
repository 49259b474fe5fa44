//! The state and the decisions of a buyer's waiting orders.

use std::collections::BTreeMap;

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{AggregateKind, Decider, Decision, OrderId, ProductId, Refusal, RefusalCode, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{BuyerEvent, OrderClosed, OrderOpened, WaitingLine};
use crate::facts::Facts;

/// A buyer's waiting orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Buyer {
    waiting: BTreeMap<OrderId, Waiting>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Waiting {
    lines: Vec<WaitingLine>,
    until: Timestamp,
}

/// A command on a buyer's waiting orders.
#[derive(Clone, Debug, PartialEq)]
pub enum BuyerCommand {
    /// A new order is going to wait.
    Open {
        /// The order that begins to wait for its payment.
        order_id: OrderId,
        /// What it reserves.
        lines: Vec<WaitingLine>,
        /// The latest time until which it waits.
        until: Timestamp,
    },
    /// An order waits again, because its payment failed. No limit can prevent that.
    Reopen {
        /// The order that waits for its payment again.
        order_id: OrderId,
        /// What it reserves.
        lines: Vec<WaitingLine>,
        /// The latest time until which it waits.
        until: Timestamp,
    },
    /// An order no longer waits.
    Close {
        /// The order that no longer waits for its payment.
        order_id: OrderId,
    },
}

impl Decider for Buyer {
    const KIND: AggregateKind = AggregateKind::Buyer;
    const STATE_VERSION: u16 = 1;
    type Event = BuyerEvent;
    type Command = BuyerCommand;
    type Facts = Facts;

    fn decide(&self, command: &BuyerCommand, facts: &Facts) -> Decision<BuyerEvent> {
        let opened = |order_id: &OrderId, lines: &[WaitingLine], until: &Timestamp| {
            let (lines, at, until) = (lines.to_vec(), to_millis(facts.now), to_millis(*until));
            Decision::one(OrderOpened { order_id: *order_id, lines, at, until })
        };
        match command {
            BuyerCommand::Open { order_id, .. } | BuyerCommand::Reopen { order_id, .. }
                if self.waiting.contains_key(order_id) =>
            {
                Decision::AlreadyDone
            }
            BuyerCommand::Open { order_id, lines, until } => match self.may_wait(lines, facts) {
                Ok(()) => opened(order_id, lines, until),
                Err(refusal) => refusal.into(),
            },
            BuyerCommand::Reopen { order_id, lines, until } => opened(order_id, lines, until),
            BuyerCommand::Close { order_id } if self.waiting.contains_key(order_id) => {
                Decision::one(OrderClosed { order_id: *order_id })
            }
            BuyerCommand::Close { .. } => Decision::AlreadyDone,
        }
    }

    fn evolve(&mut self, event: &BuyerEvent) {
        match event {
            BuyerEvent::OrderOpened(opened) => {
                // An order whose end was not noted has ended all the same.
                self.waiting.retain(|_, waiting| waiting.until > opened.at);
                let waiting = Waiting { lines: opened.lines.clone(), until: opened.until };
                self.waiting.insert(opened.order_id, waiting);
            }
            BuyerEvent::OrderClosed(closed) => {
                self.waiting.remove(&closed.order_id);
            }
        }
    }
}

impl Buyer {
    /// How many orders wait at a time.
    #[must_use]
    pub fn waiting(&self, at: Timestamp) -> usize {
        self.waiting.values().filter(|waiting| waiting.until > at).count()
    }

    /// Whether an order with these lines may wait beside the others.
    fn may_wait(&self, lines: &[WaitingLine], facts: &Facts) -> Result<(), Refusal> {
        self.check(1, lines, true, facts)
    }

    /// Whether an order may be placed that is being paid from the start. It does not wait, so it is
    /// refused only if more orders wait already than are allowed, because payments failed.
    ///
    /// # Errors
    /// `too_many_open_orders`.
    pub fn may_pay_another(&self, lines: &[WaitingLine], facts: &Facts) -> Result<(), Refusal> {
        self.check(0, lines, false, facts)
    }

    /// Whether an order with this line may be placed, where the product has a limit of its own:
    /// what waits counts, and what is ordered now, paid at once or not.
    ///
    /// # Errors
    /// `too_many_open_orders`.
    pub fn may_have(&self, line: &WaitingLine, most: u32, facts: &Facts) -> Result<(), Refusal> {
        let held = self.held(line.product_id, facts.now);
        if held.saturating_add(line.quantity) <= most {
            return Ok(());
        }
        let detail = format!(
            "at most {most} units of product {} may be in one buyer's open orders: {held} wait for their payment, {} are wanted",
            line.product_id, line.quantity
        );
        Err(Refusal::new(RefusalCode::TooManyOpenOrders, detail))
    }

    /// Units of a product in the orders that wait at a moment.
    fn held(&self, product_id: ProductId, at: Timestamp) -> u32 {
        let waiting = self.waiting.values().filter(|waiting| waiting.until > at);
        let of_product = waiting.flat_map(|waiting| &waiting.lines).filter(|held| held.product_id == product_id);
        of_product.fold(0, |sum, held| sum.saturating_add(held.quantity))
    }

    fn check(&self, more: usize, lines: &[WaitingLine], count_lines: bool, facts: &Facts) -> Result<(), Refusal> {
        let too_many = |detail: String| Err(Refusal::new(RefusalCode::TooManyOpenOrders, detail));
        let orders = self.waiting(facts.now);
        if let Some(most) = facts.policy.max_open_unpaid_orders
            && orders + more > usize::try_from(most).unwrap_or(usize::MAX)
        {
            return too_many(format!(
                "{orders} of your orders wait for their payment, at most {most} may: pay one or call one off first"
            ));
        }
        let Some(most) = facts.policy.max_unpaid_units else { return Ok(()) };
        for line in lines {
            let held = self.held(line.product_id, facts.now);
            let wanted = if count_lines { held.saturating_add(line.quantity) } else { held };
            if wanted > most {
                return too_many(format!(
                    "your orders that wait for their payment hold {held} units of product {}, at most {most} may be held: pay one or call one off first",
                    line.product_id
                ));
            }
        }
        Ok(())
    }
}
