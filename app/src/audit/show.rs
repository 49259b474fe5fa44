//! The history of one stream: who did what, when, why, and what it changed.

use jangbu_aggregates::returns::ReturnStatus;
use jangbu_aggregates::{AnyState, DomainEvent};
use jangbu_kernel::{Position, RecordedEvent, Timestamp, Version, time};
use serde::Serialize;

/// The point in the past up to which events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// Up to a position of the log.
    Position(Position),
    /// Up to a moment.
    Moment(Timestamp),
}

impl std::str::FromStr for AsOf {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(position));
        }
        let moment = chrono::DateTime::parse_from_rfc3339(text);
        moment
            .map(|moment| Self::Moment(moment.to_utc()))
            .map_err(|_| "expected a position or a time such as 2026-11-21T01:07:00Z")
    }
}

impl AsOf {
    /// Whether an event had been recorded by then.
    #[must_use]
    pub fn covers(self, event: &RecordedEvent) -> bool {
        match self {
            Self::Position(position) => event.position <= position,
            Self::Moment(moment) => event.meta.recorded_at <= moment,
        }
    }
}

/// One event of a stream.
#[derive(Debug, Serialize)]
pub struct Step {
    /// Place in the log.
    pub position: Position,
    /// Place in the stream.
    pub version: Version,
    /// The time at which it was recorded, RFC 3339.
    pub recorded_at: String,
    /// The actor: a user, the system, a gateway or a carrier.
    pub actor: String,
    /// The event's type, such as `order.placed`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The state before.
    pub from: String,
    /// The state after.
    pub to: String,
    /// Why, where the event says so.
    pub reason: Option<String>,
    /// The event's id.
    pub id: String,
    /// The id that all events of one request share.
    pub correlation_id: String,
    /// What directly caused it.
    pub causation_id: String,
    /// The command that decided it.
    pub command_id: String,
}

/// The history of a stream.
///
/// # Errors
/// When an event cannot be read by this program.
pub fn story(events: &[RecordedEvent]) -> anyhow::Result<Vec<Step>> {
    let Some(first) = events.first() else { return Ok(Vec::new()) };
    let mut state = AnyState::initial(first.stream.kind);
    let mut from = state_name(&state, first.meta.recorded_at);
    let mut steps = Vec::with_capacity(events.len());
    for event in events {
        state.evolve(&DomainEvent::try_from(event)?);
        let to = state_name(&state, event.meta.recorded_at);
        steps.push(Step {
            position: event.position,
            version: event.version,
            recorded_at: time::rfc3339(event.meta.recorded_at),
            actor: event.meta.actor.to_string(),
            event_type: event.event_type.clone(),
            from: std::mem::replace(&mut from, to.clone()),
            to,
            reason: reason(&event.payload),
            id: event.event_id.to_string(),
            correlation_id: event.meta.correlation_id.to_string(),
            causation_id: event.meta.causation_id.to_string(),
            command_id: event.meta.command_id.to_string(),
        });
    }
    Ok(steps)
}

/// The reason that an event states, whatever its field is called.
fn reason(payload: &str) -> Option<String> {
    let content: serde_json::Value = serde_json::from_str(payload).ok()?;
    let named = ["reason", "ignored_because", "detail", "code"].iter().find_map(|name| content.get(name));
    // Typed text is sealed under the key of the person that it is about.
    named.map(|reason| reason.as_str().unwrap_or("(sealed)").to_owned())
}

/// A state at a moment, in a few words; "-" before the first event.
fn state_name(state: &AnyState, at: Timestamp) -> String {
    let nothing = || "-".to_owned();
    match state {
        AnyState::User(user) => user.status().map_or_else(nothing, |status| status.name().to_owned()),
        AnyState::Administrators(list) if list.user_ids().next().is_none() => nothing(),
        AnyState::Administrators(list) => format!("{} administrators", list.user_ids().count()),
        AnyState::Email(claim) => claim.user_id().map_or_else(nothing, |_| "claimed".to_owned()),
        AnyState::Session(session) if session.user_id().is_none() => nothing(),
        AnyState::Session(session) => if session.is_live(at) { "live" } else { "ended" }.to_owned(),
        AnyState::Product(product) if !product.exists() => nothing(),
        AnyState::Product(product) => if product.is_active() { "active" } else { "inactive" }.to_owned(),
        AnyState::Category(category) => if category.exists() { "there" } else { "-" }.to_owned(),
        AnyState::Slug(claim) => claim.product_id().map_or_else(nothing, |_| "claimed".to_owned()),
        AnyState::Stock(stock) => format!(
            "on hand {}, reserved {}, allocated {}, available {}",
            stock.on_hand(),
            stock.reserved(),
            stock.allocated(),
            stock.available()
        ),
        AnyState::Locations(locations) => format!("{} locations", locations.all().count()),
        AnyState::Order(order) => match (order.status(), order.hold()) {
            (Some(status), None) => status.name().to_owned(),
            (Some(status), Some(_)) => format!("{} (on hold)", status.name()),
            (None, _) => nothing(),
        },
        AnyState::Payment(payment) if !payment.exists() => nothing(),
        AnyState::Payment(payment) => payment.status_name().to_owned(),
        AnyState::Shipment(shipment) if !shipment.exists() => nothing(),
        AnyState::Shipment(shipment) => shipment.state().name().to_owned(),
        AnyState::Return(asked) => asked.status().map_or("-", ReturnStatus::name).to_owned(),
        AnyState::Points(points) => format!("balance {}, held {}", points.balance(), points.held()),
        AnyState::Buyer(buyer) => format!("{} waiting", buyer.waiting(at)),
        AnyState::Import(import) => import.state().map_or_else(nothing, |state| state.name().to_owned()),
        AnyState::Notice(notice) => notice.state().map_or_else(nothing, |state| state.name().to_owned()),
        AnyState::Fulfilment(fulfilment) => snake_case(&fulfilment.step()),
    }
}

/// The stored name of a value.
fn snake_case(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use jangbu_aggregates::order::{OrderEvent, OrderPlaced};
    use jangbu_aggregates::stock::{StockEvent, StockReceived};
    use jangbu_kernel::{
        Actor, AggregateKind, CommandId, CorrelationId, EventId, EventMeta, Money, Sealed, StreamId, UserId,
    };
    use uuid::Uuid;

    use super::*;

    fn recorded(version: Version, kind: AggregateKind, event: &DomainEvent, recorded_at: Timestamp) -> RecordedEvent {
        let id = Uuid::from_u128(1);
        RecordedEvent {
            position: Position::new(version.get()),
            stream: StreamId::new(kind, id),
            version,
            event_id: EventId::new(id),
            event_type: event.event_type().to_owned(),
            schema_version: event.schema_version(),
            payload: event.payload_json(),
            meta: EventMeta {
                correlation_id: CorrelationId::new(id),
                causation_id: id,
                command_id: CommandId::new(id),
                actor: Actor::System("system"),
                trace: None,
                recorded_at,
            },
            hash: [0; 32],
        }
    }

    fn received(version: Version, at: Timestamp) -> RecordedEvent {
        let event = DomainEvent::Stock(StockEvent::from(StockReceived { quantity: 5, location: None }));
        recorded(version, AggregateKind::Stock, &event, at)
    }

    #[test]
    fn a_story_tells_from_what_to_what() {
        let won = |units| Money::krw(units).unwrap();
        let placed = OrderPlaced {
            number: "20261121-1".into(),
            user_id: UserId::new(Uuid::from_u128(50)),
            lines: Vec::new(),
            subtotal: won(0),
            discount: won(0),
            shipping_fee: won(500),
            total: won(500),
            shipping_address: Sealed::from_ciphertext("v1.sealed".into()),
            payment_deadline: DateTime::UNIX_EPOCH,
            replaces: None,
        };
        let placed = DomainEvent::Order(OrderEvent::from(placed));
        let steps = story(&[recorded(Version::FIRST, AggregateKind::Order, &placed, DateTime::UNIX_EPOCH)]).unwrap();
        let told: Vec<_> = steps.iter().map(|step| (step.from.as_str(), step.to.as_str())).collect();
        assert_eq!(told, [("-", "placed")]);

        let steps = story(&[received(Version::FIRST, DateTime::UNIX_EPOCH)]).unwrap();
        assert_eq!(steps[0].from, "on hand 0, reserved 0, allocated 0, available 0");
        assert_eq!(steps[0].to, "on hand 5, reserved 0, allocated 0, available 5");
    }

    #[test]
    fn the_past_ends_where_it_is_told_to() {
        let events = [
            received(Version::FIRST, DateTime::UNIX_EPOCH),
            received(Version::new(2), DateTime::UNIX_EPOCH + TimeDelta::days(1)),
        ];
        let covered = |as_of: &str| events.iter().filter(|event| as_of.parse::<AsOf>().unwrap().covers(event)).count();
        assert_eq!(covered("1"), 1);
        assert_eq!(covered("1970-01-01T12:00:00Z"), 1);
        assert_eq!(covered("1970-01-02T00:00:00Z"), 2);
        assert!("yesterday".parse::<AsOf>().is_err());
    }
}
