//! How things are named on the command line: by stream, by id, or by an order's number.

use std::str::FromStr;

use anyhow::bail;
use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{OrderEvent, OrderPlaced};
use jangbu_kernel::log::{EventLog, ReadFilter};
use jangbu_kernel::{AggregateKind, OrderId, Position, StreamId, Version};
use uuid::Uuid;

use crate::near::nearest;

/// A thing by one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// `<kind>-<uuid>`.
    Stream(StreamId),
    /// An id alone; the log tells what it identifies.
    Id(Uuid),
    /// An order's number.
    Number(String),
}

/// The lengths of an order number's parts: six digits of its date and ten symbols.
const NUMBER_LENGTHS: (usize, usize) = (6, 10);

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(id) = Uuid::try_parse(text) {
            return Ok(Self::Id(id));
        }
        if let Ok(stream) = text.parse() {
            return Ok(Self::Stream(stream));
        }
        if is_number(text) {
            return Ok(Self::Number(text.to_ascii_uppercase()));
        }
        let kinds = || AggregateKind::ALL.iter().map(|kind| kind.name());
        if let Some((kind, id)) = text.split_once('-')
            && Uuid::try_parse(id).is_ok()
        {
            let near = nearest(kind, kinds());
            let meant = if near.is_empty() { kinds().collect() } else { near };
            return Err(format!("there are no streams of the kind {kind:?}, did you mean {}?", meant.join(" or ")));
        }
        Err("expected a stream such as order-01890a5d-ac96-774b-bcce-b302099a8057, an id alone, or an order's number \
             such as 261121-9HQ4B2T7KM"
            .to_owned())
    }
}

fn is_number(text: &str) -> bool {
    let (digits, symbols) = text.split_once('-').unwrap_or_default();
    (digits.len(), symbols.len()) == NUMBER_LENGTHS
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && symbols.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Named {
    /// The stream of this name. An id of several streams means the first of them in the order of
    /// the kinds: the order rather than its fulfilment.
    ///
    /// # Errors
    /// When nothing has this name, or the log cannot be read.
    pub(super) async fn stream(&self, log: &dyn EventLog) -> anyhow::Result<StreamId> {
        match self {
            Self::Stream(stream) => Ok(*stream),
            Self::Id(id) => {
                let streams: Vec<_> = AggregateKind::ALL.iter().map(|kind| StreamId::new(*kind, *id)).collect();
                let versions = log.versions(streams.clone()).await?;
                let mut found = streams.into_iter().zip(versions).filter(|(_, version)| *version > Version::ZERO);
                match found.next() {
                    Some((stream, _)) => Ok(stream),
                    None => bail!("nothing in this log has the id {id}"),
                }
            }
            Self::Number(number) => Ok(StreamId::order(order_of_number(log, number).await?)),
        }
    }

    /// The order of this name, or the one that the named stream belongs to.
    ///
    /// # Errors
    /// When it is not an order, or the log cannot be read.
    pub(super) async fn order(&self, log: &dyn EventLog) -> anyhow::Result<OrderId> {
        match self {
            Self::Stream(stream) if matches!(stream.kind, AggregateKind::Order | AggregateKind::Fulfilment) => {
                Ok(OrderId::new(stream.id))
            }
            Self::Stream(stream) => bail!("{stream} is not an order: give an order's stream, id or number"),
            Self::Id(id) => Ok(OrderId::new(*id)),
            Self::Number(number) => order_of_number(log, number).await,
        }
    }
}

/// Events read at once.
const PAGE: usize = 2_000;

/// Searches the log itself, because the read models may be behind, rebuilding, or elsewhere.
async fn order_of_number(log: &dyn EventLog, number: &str) -> anyhow::Result<OrderId> {
    let filter = ReadFilter { event_types: vec![OrderPlaced::TYPE.to_owned()], correlation_id: None };
    let head = log.head().await?;
    let mut after = Position::ZERO;
    while after < head {
        let (page, read_to) = log.read_all(after, PAGE, &filter).await?;
        // An unreadable event cannot be the one with this number.
        let found = page.iter().find(|recorded| match DomainEvent::try_from(*recorded) {
            Ok(DomainEvent::Order(OrderEvent::Placed(placed))) => placed.number == number,
            Ok(_) | Err(_) => false,
        });
        if let Some(recorded) = found {
            return Ok(OrderId::new(recorded.stream.id));
        }
        after = read_to;
    }
    bail!("no order has the number {number}")
}

/// An event type as the command line takes it.
pub(super) fn event_type(text: &str) -> Result<String, String> {
    let types = || DomainEvent::types().map(|info| info.event_type);
    if types().any(|known| known == text) {
        return Ok(text.to_owned());
    }
    let near = nearest(text, types());
    if near.is_empty() {
        let kinds: Vec<_> = AggregateKind::ALL.iter().map(|kind| kind.name()).collect();
        return Err(format!(
            "there is no such type of event; types are <kind>.<fact>, as order.placed, of {}",
            kinds.join(", ")
        ));
    }
    Err(format!("there is no such type of event, did you mean {}?", near.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn a_thing_is_known_by_stream_id_or_number() {
        let id = Uuid::try_parse(ID).unwrap();
        assert_eq!(ID.parse(), Ok(Named::Id(id)));
        assert_eq!(format!("order-{ID}").parse(), Ok(Named::Stream(StreamId::order(OrderId::new(id)))));
        assert_eq!("261121-9hq4b2t7km".parse(), Ok(Named::Number("261121-9HQ4B2T7KM".to_owned())));
    }

    #[test]
    fn a_misspelt_kind_or_type_says_what_was_meant() {
        assert!(format!("ordr-{ID}").parse::<Named>().unwrap_err().contains("did you mean order?"));
        assert!(format!("zebra-{ID}").parse::<Named>().unwrap_err().contains("fulfilment"));
        assert!("not-a-stream".parse::<Named>().unwrap_err().contains("expected a stream"));
        assert!(event_type("order.plced").unwrap_err().contains("order.placed"));
        assert!(event_type("zzz").unwrap_err().contains("as order.placed"));
        assert_eq!(event_type("order.placed").unwrap(), "order.placed");
    }
}
