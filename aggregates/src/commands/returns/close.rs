//! The buyer gets the money or the goods of a return. Writes `return`, `order`, and either `payment`,
//! or a further `order` with its `fulfilment` and `stock` per line.
//!
//! One append, so that what came back is paid for once: with the return closed, the refund is
//! requested or the further order stands, with its goods.

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{
    Currency, Money, MoneyError, OrderId, PaymentId, RefundId, Refusal, RefusalCode, Remark, ReturnId, StreamId,
};

use super::{end, order_of};
use crate::checks;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::commands::orders::{begin, pay_nothing};
use crate::order::{Order, OrderLine, OrderPlaced, Replaces};
use crate::payment::{Payment, PaymentCommand};
use crate::returns::{Remedy, Replacement, Return, ReturnClosed, ReturnCommand, ReturnReason, ReturnStatus};
use crate::state::{Missing, States};

/// The reason for the refund.
const RETURNED: &str = "returned_by_buyer";

/// Closes a return whose goods were inspected: refunds what came back, or sends the same again.
#[derive(Clone, Debug, PartialEq)]
pub struct CloseReturn {
    /// The return.
    pub return_id: ReturnId,
    /// The id of the refund, if there is one.
    pub refund_id: RefundId,
    /// What the buyer gets; none: what was asked for. An exchange that cannot be sent becomes a
    /// refund this way.
    pub remedy: Option<Remedy>,
}

/// The refund of a return.
struct Due {
    payment_id: PaymentId,
    amount: Money,
}

impl Command for CloseReturn {
    const RULES: Rules = Rules::new(
        "close_return",
        Reach::Any(Permission::ReturnsWrite),
        Key::Required,
        &[
            RefusalCode::ReturnStateConflict,
            RefusalCode::InsufficientStock,
            RefusalCode::PaymentStateConflict,
            RefusalCode::ValidationFailed,
        ],
    );

    fn subject(&self) -> StreamId {
        StreamId::of_return(self.return_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Return>(self.return_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        let Ok(asked) = states.get::<Return>(self.return_id) else { return };
        let Some(order_id) = asked.order_id() else { return };
        streams.push(StreamId::order(order_id));
        match (self.remedy.or(asked.remedy()), asked.replacement()) {
            (Some(Remedy::Exchange), Some(replacement)) => {
                let further = replacement.order_id;
                streams.extend([StreamId::order(further), StreamId::fulfilment(further)]);
                streams.extend(asked.lines().iter().map(|line| StreamId::stock(line.product_id)));
            }
            (Some(Remedy::Refund | Remedy::Exchange) | None, _) => {
                let money_in = states.get::<Order>(order_id).ok().and_then(Order::money_in);
                streams.extend(money_in.map(StreamId::payment));
            }
        }
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let order_id = order_of(append, self.return_id)?;
        let asked = append.before::<Return>(self.return_id)?;
        if asked.status() == Some(ReturnStatus::Closed) {
            append.unmoved::<Return>(self.return_id)?;
            return Ok(());
        }
        let order = append.before::<Order>(order_id)?;
        let case = Case { return_id: self.return_id, order_id, asked, order, back: came_back(asked)? };
        let remedy = self.remedy.or(asked.remedy()).unwrap_or(Remedy::Refund);
        // The return has the first word: what is not inspected is neither refunded nor sent again.
        let close = |append: &mut Append<'_>, closed| {
            append.only::<Return>(self.return_id, &ReturnCommand::Close(Box::new(closed)))
        };
        let nothing = ReturnClosed {
            remedy,
            refunded: Money::zero(case.currency()),
            refund_id: None,
            payment_id: None,
            replacement_order_id: None,
        };
        match remedy {
            Remedy::Refund => match case.due(append)? {
                Some(Due { payment_id, amount }) => {
                    let (refund_id, reason) = (self.refund_id, Remark::code(RETURNED));
                    let (asked, of) = (Some(refund_id), Some(payment_id));
                    close(append, ReturnClosed { refunded: amount, refund_id: asked, payment_id: of, ..nothing })?;
                    append.ask::<Payment>(payment_id, &PaymentCommand::RequestRefund { refund_id, amount, reason })?;
                }
                None => close(append, nothing)?,
            },
            Remedy::Exchange if case.back.is_empty() => close(append, nothing)?,
            Remedy::Exchange => {
                let replacement = case.replacement()?;
                close(append, ReturnClosed { replacement_order_id: Some(replacement.order_id), ..nothing })?;
                case.send_again(append, replacement)?;
            }
        }
        end(append, order_id, self.return_id, &case.back)
    }
}

/// A return that is to be closed, with its order and the goods that came back.
struct Case<'a> {
    return_id: ReturnId,
    order_id: OrderId,
    asked: &'a Return,
    order: &'a Order,
    back: Vec<OrderLine>,
}

impl<'a> Case<'a> {
    fn currency(&self) -> Currency {
        self.order.total().map_or(Currency::KRW, |total| total.currency())
    }

    fn sum(&self, lines: &[OrderLine]) -> Result<Money, Refusal> {
        Money::sum(lines.iter().map(|line| &line.line_total), self.currency()).map_err(|_| uncountable())
    }

    /// What is refunded: the goods that came back, and with the last of them the shipping fee if the
    /// buyer did not just change their mind, less the fee for the way back. Never more than is left
    /// of the payment.
    fn due(&self, append: &Append<'_>) -> Result<Option<Due>, Stop> {
        let Some(payment_id) = self.order.money_in() else { return Ok(None) };
        let left = append.before::<Payment>(payment_id)?.refundable();
        let goods = self.sum(&self.back)?;
        let counted = |money: Result<Money, MoneyError>| money.map_err(|_| uncountable());
        let whole = self.asked.reason() != Some(ReturnReason::ChangedMind) && self.order.is_all_back_with(&self.back);
        let shipping = match self.order.total().filter(|_| whole) {
            Some(total) => counted(total.checked_sub(&self.sum(self.order.lines())?))?,
            None => Money::zero(self.currency()),
        };
        let shipping = if shipping.is_negative() { Money::zero(self.currency()) } else { shipping };
        let fee = self.asked.fee().unwrap_or(Money::zero(self.currency()));
        let amount = counted(counted(goods.checked_add(&shipping))?.checked_sub(&fee))?;
        let amount = if amount.amount() > left.amount() { left } else { amount };
        Ok(amount.is_positive().then_some(Due { payment_id, amount }))
    }

    fn replacement(&self) -> Result<&'a Replacement, Refusal> {
        self.asked.replacement().ok_or_else(|| {
            let detail = "nobody asked for an exchange: there is no address to send to";
            Refusal::new(RefusalCode::ValidationFailed, detail).at("/remedy")
        })
    }

    /// Places the further order, of the goods that came back. It costs nothing.
    fn send_again(&self, append: &mut Append<'_>, replacement: &Replacement) -> Result<(), Stop> {
        let Some(user_id) = self.order.user_id() else { return Err(checks::not_found("order").into()) };
        let (subtotal, zero) = (self.sum(&self.back)?, Money::zero(self.currency()));
        let facts = append.facts();
        let deadline = facts.now.checked_add_signed(facts.policy.payment_deadline).unwrap_or(facts.now);
        let (order_id, return_id, payment_id) = (self.order_id, self.return_id, self.order.money_in());
        let placed = OrderPlaced {
            number: replacement.number.clone(),
            user_id,
            lines: self.back.clone(),
            subtotal,
            discount: subtotal,
            shipping_fee: zero,
            total: zero,
            shipping_address: replacement.shipping_address.clone(),
            payment_deadline: to_millis(deadline),
            replaces: Some(Replaces { order_id, return_id, payment_id }),
        };
        begin(append, replacement.order_id, placed)?;
        pay_nothing(append, replacement.order_id, self.back.iter().map(|line| line.product_id))
    }
}

fn came_back(asked: &Return) -> Result<Vec<OrderLine>, Refusal> {
    asked.came_back().ok_or_else(uncountable)
}

fn uncountable() -> Refusal {
    Refusal::new(RefusalCode::ValidationFailed, "the amounts cannot be counted")
}
