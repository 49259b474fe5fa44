//! Logs for the tests of the checks, built event by event: an intact one, or one with a single
//! error.

use chrono::{DateTime, TimeDelta};
use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::*;
use jangbu_aggregates::payment::*;
use jangbu_aggregates::points::*;
use jangbu_aggregates::processes::*;
use jangbu_aggregates::shipment::*;
use jangbu_aggregates::stock::*;
use jangbu_kernel::*;
use uuid::Uuid;

use super::gateway_books::GatewayCharge;
use super::{Auditor, End, Invariant, Seen};

/// An id that is easy to read.
pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// An amount of won.
pub(crate) fn won(units: i64) -> Money {
    Money::krw(units).unwrap()
}

/// A log under construction: one order (10) of one product (20), one payment (30), one shipment
/// (40), one buyer (50).
pub(crate) struct Story {
    pub(crate) events: Vec<(RecordedEvent, DomainEvent)>,
    command: u128,
    keep_command: bool,
    now: Timestamp,
}

impl Default for Story {
    fn default() -> Self {
        Self { events: Vec::new(), command: 1_000, keep_command: false, now: DateTime::UNIX_EPOCH }
    }
}

pub(crate) const ORDER: u128 = 10;
pub(crate) const PRODUCT: u128 = 20;
pub(crate) const PAYMENT: u128 = 30;
pub(crate) const SHIPMENT: u128 = 40;
pub(crate) const BUYER: u128 = 50;
pub(crate) const REFUND: u128 = 60;

impl Story {
    /// Puts the next event into the append of the one before.
    pub(crate) fn same_command(&mut self) {
        self.keep_command = true;
    }
    /// The command of the newest event.
    pub(crate) fn command(&self) -> u128 {
        self.command
    }
    /// Gives the next event the id of an earlier command.
    pub(crate) fn repeat(&mut self, command: u128) {
        self.command = command;
        self.keep_command = true;
    }
    /// Advances the time.
    pub(crate) fn wait(&mut self, by: TimeDelta) {
        self.now += by;
    }

    /// Appends an event.
    pub(crate) fn tell(&mut self, kind: AggregateKind, stream: u128, event: impl Into<DomainEvent>) -> &mut Self {
        let domain = event.into();
        if !std::mem::take(&mut self.keep_command) {
            self.command += 1;
        }
        let stream = StreamId::new(kind, id(stream));
        let version = self.events.iter().filter(|(event, _)| event.stream == stream).count() as u64 + 1;
        let event = RecordedEvent {
            position: Position::new(self.events.len() as u64 + 1),
            stream,
            version: Version::new(version),
            event_id: EventId::new(id(self.events.len() as u128)),
            event_type: domain.event_type().to_owned(),
            schema_version: domain.schema_version(),
            payload: domain.payload_json(),
            meta: EventMeta {
                correlation_id: CorrelationId::new(id(1)),
                causation_id: id(self.command),
                command_id: CommandId::new(id(self.command)),
                actor: Actor::System("system"),
                trace: None,
                recorded_at: self.now,
            },
            hash: [0; 32],
        };
        self.events.push((event, domain));
        self
    }

    pub(crate) fn order(&mut self, event: impl Into<OrderEvent>) -> &mut Self {
        self.tell(AggregateKind::Order, ORDER, event.into())
    }
    pub(crate) fn payment(&mut self, event: impl Into<PaymentEvent>) -> &mut Self {
        self.tell(AggregateKind::Payment, PAYMENT, event.into())
    }
    pub(crate) fn stock(&mut self, event: impl Into<StockEvent>) -> &mut Self {
        self.tell(AggregateKind::Stock, PRODUCT, event.into())
    }
    pub(crate) fn points(&mut self, event: impl Into<PointsEvent>) -> &mut Self {
        self.tell(AggregateKind::Points, BUYER, event.into())
    }
    pub(crate) fn shipment(&mut self, event: impl Into<ShipmentEvent>) -> &mut Self {
        self.tell(AggregateKind::Shipment, SHIPMENT, event.into())
    }
    pub(crate) fn process(&mut self, event: impl Into<FulfilmentEvent>) -> &mut Self {
        self.tell(AggregateKind::Fulfilment, ORDER, event.into())
    }
    pub(crate) fn stock_received(&mut self, product: Uuid, quantity: u32) -> &mut Self {
        self.tell(AggregateKind::Stock, product.as_u128(), StockEvent::from(StockReceived { quantity, location: None }))
    }

    /// Two pieces at 5,000 won and 500 for shipping; 5 in stock.
    pub(crate) fn placed(&mut self) -> &mut Self {
        self.stock_received(id(PRODUCT), 5);
        self.order(order_placed());
        self.same_command();
        self.stock(StockReserved { order_id: order_id(), quantity: 2, expires_at: self.now })
    }

    /// Paid with 10,000 by card and 500 in points.
    pub(crate) fn paid(&mut self) -> &mut Self {
        self.points(PointsGranted {
            amount: won(800),
            reference: "welcome".into(),
            reference_hash: None,
            expires_at: None,
        });
        self.payment(payment_requested());
        self.same_command();
        self.points(points_held());
        self.payment(capture_requested());
        self.payment(captured());
        let paid_at = Some(self.now);
        self.order(OrderPaid { payment_id: Some(payment_id()), paid_at, ship_by: None });
        self.same_command();
        self.stock(StockAllocated { order_id: order_id(), quantity: 2 });
        self.same_command();
        self.points(PointsCaptured { payment_id: payment_id(), amount: won(500) })
    }

    /// The broken invariants with the position at which each shows, a day after the last event.
    pub(crate) fn broken(&self) -> Vec<(Invariant, u64)> {
        self.finished(self.audited())
    }

    /// The same, compared with the gateway's own list.
    pub(crate) fn broken_beside(&self, charges: &[GatewayCharge]) -> Vec<Invariant> {
        let auditor = self.audited();
        let books = auditor.compare_with_gateway("sandbox", charges, Position::new(self.here())).in_order();
        let log = self.finished(auditor).into_iter().map(|(invariant, _)| invariant);
        log.chain(books.into_iter().map(|found| found.invariant)).collect()
    }

    fn audited(&self) -> Auditor {
        let mut auditor = Auditor::default();
        for (event, domain) in &self.events {
            auditor.observe(Seen { event, domain });
        }
        auditor
    }

    fn finished(&self, auditor: Auditor) -> Vec<(Invariant, u64)> {
        let end = End { now: self.now + TimeDelta::days(1), patience: TimeDelta::minutes(15) };
        auditor.finish(end).in_order().into_iter().map(|found| (found.invariant, found.position.get())).collect()
    }

    /// The position of the newest event.
    pub(crate) fn here(&self) -> u64 {
        self.events.len() as u64
    }
}

pub(crate) fn order_id() -> OrderId {
    OrderId::new(id(ORDER))
}
pub(crate) fn payment_id() -> PaymentId {
    PaymentId::new(id(PAYMENT))
}
pub(crate) fn refund_id() -> RefundId {
    RefundId::new(id(REFUND))
}
fn sealed() -> Sealed {
    Sealed::from_ciphertext("v1.sealed".into())
}

pub(crate) fn line() -> OrderLine {
    OrderLine {
        product_id: ProductId::new(id(PRODUCT)),
        name: "paper".into(),
        unit_price: won(5_000),
        quantity: 2,
        line_total: won(10_000),
    }
}

pub(crate) fn order_placed() -> OrderPlaced {
    OrderPlaced {
        number: "20261121-1".into(),
        user_id: UserId::new(id(BUYER)),
        lines: vec![line()],
        subtotal: won(10_000),
        discount: won(0),
        shipping_fee: won(500),
        total: won(10_500),
        shipping_address: sealed(),
        payment_deadline: DateTime::UNIX_EPOCH,
        replaces: None,
    }
}

pub(crate) fn payment_requested() -> PaymentRequested {
    PaymentRequested {
        order_id: order_id(),
        user_id: UserId::new(id(BUYER)),
        total: won(10_500),
        legs: vec![
            Leg { method: CARD, amount: won(10_000), instrument: Some(sealed().into()) },
            Leg { method: POINTS, amount: won(500), instrument: None },
        ],
    }
}

pub(crate) fn points_held() -> PointsHeld {
    PointsHeld {
        payment_id: payment_id(),
        order_id: order_id(),
        amount: won(500),
        parts: vec![PointsPart { entry: 1, amount: won(500), extended_to: None }],
    }
}

pub(crate) fn capture_requested() -> CaptureRequested {
    CaptureRequested { order_id: order_id(), leg: Some(0), gateway: Some("sandbox".to_owned()), amount: won(10_000) }
}

pub(crate) fn captured() -> PaymentCaptured {
    PaymentCaptured {
        order_id: order_id(),
        amount: won(10_500),
        reference: Some("ch_1".into()),
        source: Source::Answer,
    }
}

pub(crate) fn shipment_requested() -> ShipmentRequested {
    ShipmentRequested {
        order_id: order_id(),
        user_id: UserId::new(id(BUYER)),
        lines: vec![line()],
        shipping_address: sealed(),
        carrier: "sandbox".to_owned(),
    }
}

/// A refund of everything, from the request to its end.
pub(crate) fn refund(story: &mut Story) {
    let legs = [(0, won(10_000)), (1, won(500))];
    story.payment(RefundRequested {
        order_id: order_id(),
        refund_id: refund_id(),
        amount: won(10_500),
        allocation: legs.iter().map(|(leg, amount)| LegRefund { leg: *leg, amount: *amount }).collect(),
        reason: "order_cancelled".into(),
    });
    for (leg, amount) in legs {
        story.payment(LegRefunded {
            order_id: order_id(),
            refund_id: refund_id(),
            leg,
            amount,
            reference: None,
            source: Source::Answer,
        });
    }
    story.same_command();
    story.points(PointsRestored {
        payment_id: payment_id(),
        refund_id: refund_id(),
        amount: won(500),
        parts: vec![PointsPart { entry: 1, amount: won(500), extended_to: None }],
    });
    story.same_command();
    story.payment(RefundSettled { order_id: order_id(), refund_id: refund_id(), amount: won(10_500) });
}

/// A refund of 1,000 of the card's part, from the request to its end.
pub(crate) fn part_refund(story: &mut Story) {
    let amount = won(1_000);
    story.payment(RefundRequested {
        order_id: order_id(),
        refund_id: refund_id(),
        amount,
        allocation: vec![LegRefund { leg: 0, amount }],
        reason: "scratched".into(),
    });
    let (order_id, refund_id) = (order_id(), refund_id());
    story.payment(LegRefunded { order_id, refund_id, leg: 0, amount, reference: None, source: Source::Answer });
    story.same_command();
    story.payment(RefundSettled { order_id, refund_id, amount });
}
