//! Whom a fact concerns, and the values that a text about it can have.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::product::Product;
use jangbu_kernel::log::{EventLog, LogError};
use jangbu_kernel::{AggregateKind, OrderId, RecordedEvent, StreamId, UserId, Version};
use serde_json::Value;
use uuid::Uuid;

use super::words::Values;
use crate::reader::{decode, load_state};

/// What a fact is about.
pub(super) struct Concern {
    /// Where it stands.
    pub stream: StreamId,
    /// Its place there.
    pub version: Version,
    /// The user that it concerns.
    pub user_id: Option<UserId>,
    /// The order that it concerns.
    pub order_id: Option<OrderId>,
    /// The values for its text.
    pub values: Values,
}

impl Concern {
    /// Reads what a fact is about: from itself, from the first event of its stream, and from that of
    /// its order.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn of(log: &dyn EventLog, recorded: &RecordedEvent) -> Result<Self, LogError> {
        let (stream, fact) = (recorded.stream, payload(recorded)?);
        let first = if recorded.version == Version::FIRST { Values::new() } else { first_of(log, stream).await? };
        let order_id = match stream.kind {
            // A process has the id of its order.
            AggregateKind::Order | AggregateKind::Fulfilment => Some(stream.id),
            AggregateKind::User
            | AggregateKind::Email
            | AggregateKind::Session
            | AggregateKind::Product
            | AggregateKind::Category
            | AggregateKind::Slug
            | AggregateKind::Locations
            | AggregateKind::Return
            | AggregateKind::Import
            | AggregateKind::Stock
            | AggregateKind::Payment
            | AggregateKind::Shipment
            | AggregateKind::Points
            | AggregateKind::Buyer
            | AggregateKind::Administrators
            | AggregateKind::Notice => id(&fact, "order_id").or_else(|| id(&first, "order_id")),
        };
        let order_id = order_id.map(OrderId::new);
        let mut values = match order_id {
            Some(order_id) => first_of(log, StreamId::order(order_id)).await?,
            None => Values::new(),
        };
        let own_user = matches!(stream.kind, AggregateKind::User | AggregateKind::Points).then_some(stream.id);
        let user_id = own_user
            .or_else(|| id(&fact, "user_id"))
            .or_else(|| id(&first, "user_id"))
            .or_else(|| id(&values, "user_id"))
            .map(UserId::new);
        if stream.kind == AggregateKind::Stock {
            let (product, _) = load_state::<Product>(log, stream.id).await?;
            let name = product.name_and_price().map_or_else(|| stream.id.to_string(), |(name, _)| name.to_owned());
            values.insert("product".to_owned(), name.into());
        }
        values.extend(fact);
        values.extend(order_id.map(|order_id| ("order_id".to_owned(), order_id.to_string().into())));
        Ok(Self { stream, version: recorded.version, user_id, order_id, values })
    }
}

/// The payload as this version of the program would have written it.
fn payload(recorded: &RecordedEvent) -> Result<Values, LogError> {
    Ok(members(&decode(recorded)?))
}

fn members(event: &DomainEvent) -> Values {
    serde_json::from_str(&event.payload_json()).unwrap_or_default()
}

/// The payload of the first event of a stream; nothing if there is none.
async fn first_of(log: &dyn EventLog, stream: StreamId) -> Result<Values, LogError> {
    let first = log.read_stream(stream, Version::FIRST, Version::FIRST, 1).await?;
    first.first().map_or_else(|| Ok(Values::new()), payload)
}

fn id(values: &Values, name: &str) -> Option<Uuid> {
    values.get(name).and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok())
}
