//! Places an order. Writes `order`, its `fulfilment`, `stock` per line and, if the payment is
//! known, `payment` and `points`, otherwise `buyer`; reads `user` and `product` per line.
//!
//! One append, so that an order either exists with everything that it needs reserved for it, or not
//! at all.

use chrono::TimeDelta;
use jangbu_kernel::time::to_millis;
use jangbu_kernel::{Money, OrderId, ProductId, Refusal, RefusalCode, Sealed, StreamId, Timestamp, UserId};

use super::pricing::{Quote, price};
use super::waiting::{check_limits, note_placed};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::commands::payments::{WantedPayment, open_payment};
use crate::facts::Facts;
use crate::order::{Order, OrderCommand, OrderPlaced};
use crate::processes::{Fulfilment, FulfilmentCommand};
use crate::state::{Missing, States};
use crate::stock::{Stock, StockCommand};
use crate::user::User;

/// A line that a buyer wants to buy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedLine {
    /// The product to buy.
    pub product_id: ProductId,
    /// Number of units, 1-999.
    pub quantity: u32,
}

/// Places an order.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceOrder {
    /// The id of the order.
    pub order_id: OrderId,
    /// The number that people use for it.
    pub number: String,
    /// The buyer.
    pub user_id: UserId,
    /// The goods; lines of the same product are merged.
    pub lines: Vec<WantedLine>,
    /// The delivery address, sealed under the buyer's key.
    pub shipping_address: Sealed,
    /// Where it goes, in the clear, for the shipping fee; the same as in the address.
    pub postal_code: Option<String>,
    /// The total that the client expects.
    pub expected_total: Option<Money>,
    /// A time to pay that is shorter than the shop's; a longer one has no effect.
    pub pay_within: Option<TimeDelta>,
    /// How it is paid, if that is known already.
    pub payment: Option<WantedPayment>,
}

impl Command for PlaceOrder {
    const RULES: Rules = Rules::new(
        "place_order",
        Reach::Own(Permission::OrdersPlace),
        Key::Required,
        &[
            RefusalCode::InsufficientStock,
            RefusalCode::InsufficientPoints,
            RefusalCode::ProductNotActive,
            RefusalCode::UserNotActive,
            RefusalCode::NotFound,
            RefusalCode::TooManyOpenOrders,
            RefusalCode::PaymentTotalMismatch,
            RefusalCode::PaymentMethodInvalid,
            RefusalCode::TotalChanged,
        ],
    );

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    /// The buyer of the order that exists under this id already, otherwise the buyer of this one.
    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::User(states.get::<Order>(self.order_id)?.user_id().unwrap_or(self.user_id)))
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        streams.extend([
            StreamId::user(self.user_id),
            StreamId::buyer(self.user_id),
            StreamId::fulfilment(self.order_id),
        ]);
        for line in &self.lines {
            streams.extend([StreamId::product(line.product_id), StreamId::stock(line.product_id)]);
        }
        if let Some(payment) = &self.payment {
            streams.push(StreamId::payment(payment.payment_id));
            streams.extend(payment.own_streams(self.user_id));
        }
        // Several lines of one product name its streams more than once.
        streams.sort_unstable();
        streams.dedup();
    }

    fn begins(&self, streams: &mut Vec<StreamId>) {
        streams.extend([StreamId::order(self.order_id), StreamId::fulfilment(self.order_id)]);
        streams.extend(self.payment.as_ref().map(|payment| StreamId::payment(payment.payment_id)));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        if append.before::<Order>(self.order_id)?.status().is_some() {
            return Ok(());
        }
        append.before::<User>(self.user_id)?.may_act()?;
        let quote = price(append, &self.lines, self.postal_code.as_deref())?;
        check_expectation(self, &quote)?;
        let products: Vec<_> = quote.lines.iter().map(|line| (line.product_id, line.quantity)).collect();
        check_limits(append, self.user_id, &products)?;
        let (order_id, total) = (self.order_id, quote.total);
        let payment_deadline = deadline(self, append.facts());
        begin(append, order_id, placed(self, quote, payment_deadline))?;
        if !total.is_zero() {
            note_placed(append, order_id, self.payment.is_some())?;
        }
        match &self.payment {
            Some(payment) if total.is_zero() => Err(nothing_to_pay(payment).into()),
            Some(payment) => open_payment(append, order_id, self.user_id, total, payment).map_err(in_body),
            None if total.is_zero() => {
                pay_nothing(append, order_id, products.iter().map(|(product_id, _)| *product_id))
            }
            None => Ok(()),
        }
    }
}

/// An order stands: it, its process and the reservations of its goods begin together.
pub(in crate::commands) fn begin(append: &mut Append<'_>, order_id: OrderId, placed: OrderPlaced) -> Result<(), Stop> {
    let (total, payment_deadline, lines) = (placed.total, placed.payment_deadline, placed.lines.clone());
    append.ask::<Order>(order_id, &OrderCommand::Place(Box::new(placed)))?;
    append.ask::<Fulfilment>(order_id, &FulfilmentCommand::Start { order_id, total, payment_deadline })?;
    for line in lines {
        let (quantity, expires_at) = (line.quantity, payment_deadline);
        append.ask::<Stock>(line.product_id, &StockCommand::Reserve { order_id, quantity, expires_at })?;
    }
    Ok(())
}

/// An order that costs nothing is paid as soon as it stands, and its goods are its own.
pub(in crate::commands) fn pay_nothing(
    append: &mut Append<'_>,
    order_id: OrderId,
    products: impl IntoIterator<Item = ProductId>,
) -> Result<(), Stop> {
    append.ask::<Order>(order_id, &OrderCommand::MarkPaid { payment_id: None })?;
    for product_id in products {
        append.ask::<Stock>(product_id, &StockCommand::Allocate { order_id })?;
    }
    Ok(())
}

fn check_expectation(command: &PlaceOrder, quote: &Quote) -> Result<(), Refusal> {
    match command.expected_total {
        Some(expected) if expected != quote.total => {
            let detail = format!("{expected} was expected, the total is {}", quote.total);
            Err(Refusal::new(RefusalCode::TotalChanged, detail).at("/expected_total"))
        }
        Some(_) | None => Ok(()),
    }
}

fn placed(command: &PlaceOrder, quote: Quote, payment_deadline: Timestamp) -> OrderPlaced {
    let Quote { lines, subtotal, discount, shipping_fee, total } = quote;
    OrderPlaced {
        number: command.number.clone(),
        user_id: command.user_id,
        lines,
        subtotal,
        discount,
        shipping_fee,
        total,
        shipping_address: command.shipping_address.clone(),
        payment_deadline,
        replaces: None,
    }
}

fn deadline(command: &PlaceOrder, facts: &Facts) -> Timestamp {
    let longest = facts.policy.payment_deadline;
    let time_to_pay = command.pay_within.map_or(longest, |wanted| wanted.min(longest));
    to_millis(facts.now.checked_add_signed(time_to_pay).unwrap_or(facts.now))
}

fn nothing_to_pay(payment: &WantedPayment) -> Refusal {
    let detail = format!("there is nothing to pay, and {} legs were named", payment.legs.len());
    Refusal::new(RefusalCode::PaymentMethodInvalid, detail).at("/payment")
}

/// A payment's own pointers start at the payment; here it is a part of the order's body.
fn in_body(stop: Stop) -> Stop {
    match stop {
        Stop::Refused(mut refusal) => {
            refusal.pointer = refusal.pointer.map(|pointer| format!("/payment{pointer}"));
            Stop::Refused(refusal)
        }
        Stop::Missing(missing) => Stop::Missing(missing),
    }
}
