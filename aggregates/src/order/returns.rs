//! Returns of an order's goods: how much of which line may come back, and until when.

use std::collections::BTreeMap;

use jangbu_kernel::{Decision, ProductId, Refusal, RefusalCode, ReturnId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{CancelledBy, OrderEvent, OrderLine, OrderReturnEnded, OrderReturnOpened, ReturnedUnits};
use super::state::{Order, OrderStatus, Standing};
use crate::facts::Facts;
use crate::returns::ReturnReason;

/// Returns that an order can have, whatever became of them; this bounds the stream.
const MOST_RETURNS: u32 = 50;

/// The goods that are to come back.
#[derive(Clone, Debug, PartialEq)]
pub struct ReturnToOpen {
    /// The return.
    pub return_id: ReturnId,
    /// The buyer or staff; only the buyer has to be in time.
    pub by: CancelledBy,
    /// Why they come back.
    pub reason: ReturnReason,
    /// The goods, one line per product.
    pub lines: Vec<OrderLine>,
}

/// What is known of the returns of an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Returns {
    /// How many there were.
    opened: u32,
    /// Those that have not ended, with what they are about.
    open: BTreeMap<ReturnId, Vec<ReturnedUnits>>,
    /// Units that came back.
    back: BTreeMap<ProductId, u32>,
}

impl Returns {
    pub(super) fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Units of a product that came back, or are about to.
    fn claimed(&self, product_id: ProductId) -> u32 {
        let units = self.open.values().flatten().filter(|units| units.product_id == product_id);
        let open = units.fold(0_u32, |sum, units| sum.saturating_add(units.quantity));
        self.came_back(product_id).saturating_add(open)
    }

    fn came_back(&self, product_id: ProductId) -> u32 {
        self.back.get(&product_id).copied().unwrap_or(0)
    }

    pub(super) fn open(&mut self, opened: &OrderReturnOpened) {
        self.opened = self.opened.saturating_add(1);
        self.open.insert(opened.return_id, opened.lines.clone());
    }

    pub(super) fn end(&mut self, ended: &OrderReturnEnded) {
        self.open.remove(&ended.return_id);
        for units in &ended.lines {
            let back = self.back.entry(units.product_id).or_default();
            *back = back.saturating_add(units.quantity);
        }
    }
}

impl Order {
    /// Whether a return of its goods has not ended.
    #[must_use]
    pub fn has_open_returns(&self) -> bool {
        self.standing.as_ref().is_some_and(|order| order.returns.are_open())
    }

    /// The returns of its goods that have not ended.
    pub fn open_returns(&self) -> impl Iterator<Item = ReturnId> + use<> {
        let open = self.standing.as_ref().map(|order| order.returns.open.keys().copied().collect::<Vec<_>>());
        open.unwrap_or_default().into_iter()
    }

    /// Whether everything will have come back with these units.
    #[must_use]
    pub fn is_all_back_with(&self, lines: &[OrderLine]) -> bool {
        self.standing.as_ref().is_some_and(|order| {
            order.lines.iter().all(|sold| {
                let now = lines.iter().find(|line| line.product_id == sold.product_id).map_or(0, |line| line.quantity);
                order.returns.came_back(sold.product_id).saturating_add(now) >= sold.quantity
            })
        })
    }
}

impl Standing {
    pub(super) fn open_return(&self, asked: &ReturnToOpen, facts: &Facts) -> Decision<OrderEvent> {
        if self.returns.open.contains_key(&asked.return_id) {
            return Decision::AlreadyDone;
        }
        match self.check_return(asked, facts) {
            Ok(()) => {
                let units = |line: &OrderLine| ReturnedUnits { product_id: line.product_id, quantity: line.quantity };
                let lines = asked.lines.iter().map(units).collect();
                Decision::one(OrderReturnOpened { return_id: asked.return_id, lines })
            }
            Err(refusal) => refusal.into(),
        }
    }

    fn check_return(&self, asked: &ReturnToOpen, facts: &Facts) -> Result<(), Refusal> {
        match self.status {
            OrderStatus::Delivered | OrderStatus::Completed => {}
            OrderStatus::Placed
            | OrderStatus::AwaitingPayment
            | OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Shipped
            | OrderStatus::Cancelling
            | OrderStatus::Cancelled
            | OrderStatus::Expired
            | OrderStatus::Failed => return Err(self.conflict("only what was delivered can be returned")),
        }
        if asked.by == CancelledBy::Owner {
            self.check_return_window(asked.reason, facts)?;
        }
        if self.returns.opened >= MOST_RETURNS {
            return Err(self.conflict("the order has too many returns"));
        }
        for (index, line) in asked.lines.iter().enumerate() {
            let sold = self.lines.iter().find(|sold| sold.product_id == line.product_id);
            let sold = sold.map_or(0, |sold| sold.quantity);
            let left = sold.saturating_sub(self.returns.claimed(line.product_id));
            if line.quantity > left {
                let detail = format!("{left} of it can be returned");
                let refusal = Refusal::new(RefusalCode::ReturnExceedsDelivered, detail);
                return Err(refusal.at(format!("/lines/{index}/quantity")));
            }
        }
        Ok(())
    }

    /// Of an order that an earlier version delivered, the time is not known: the buyer may return its
    /// goods until it is completed.
    fn check_return_window(&self, reason: ReturnReason, facts: &Facts) -> Result<(), Refusal> {
        let over = |detail: String| Err(Refusal::new(RefusalCode::ReturnWindowOver, detail));
        let window = match reason {
            ReturnReason::ChangedMind => facts.policy.return_window,
            ReturnReason::Defect => facts.policy.defect_window,
            ReturnReason::ReturnedToSender => {
                let detail = "what a carrier brought back is returned by staff";
                return Err(Refusal::new(RefusalCode::ValidationFailed, detail).at("/reason"));
            }
        };
        let end: Option<Timestamp> = self.delivered_at.and_then(|at| at.checked_add_signed(window));
        match end {
            Some(end) if facts.now <= end => Ok(()),
            None if self.status == OrderStatus::Delivered => Ok(()),
            Some(_) | None => over(format!("it could be returned within {} days of its delivery", window.num_days())),
        }
    }

    pub(super) fn end_return(&self, return_id: ReturnId, lines: &[ReturnedUnits]) -> Decision<OrderEvent> {
        if !self.returns.open.contains_key(&return_id) {
            return Decision::AlreadyDone;
        }
        Decision::one(OrderReturnEnded { return_id, lines: lines.to_vec() })
    }
}
