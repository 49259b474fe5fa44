//! A long history, written directly to the log without the decider: what a shop gathers in years,
//! within a few seconds.

use jangbu_aggregates::points::PointsGranted;
use jangbu_aggregates::stock::StockReceived;
use jangbu_aggregates::user::LoginSucceeded;
use jangbu_aggregates::{AnyState, DomainEvent};
use jangbu_kernel::log::{Append, AppendResult, EventLog, ReadFilter, Snapshot, StreamWrite};
use jangbu_kernel::ports::{Clock as _, IdSource as _};
use jangbu_kernel::{
    Actor, AggregateKind, CommandId, CorrelationId, EventId, EventMeta, Money, NewEvent, Position, ProductId,
    RecordedEvent, Remark, StreamId, UserId, Version,
};
use regex::{Captures, Regex};

use crate::house::{TestWorld, sealed_text, unsealed_text};

/// Changes of a stock and of a ledger of points.
pub const CHANGES: u64 = 100_000;
/// Changes of an account: it is shown by the same code, and fewer of them keep the test short.
const LOGINS: u64 = 20_000;
/// Further orders of the buyer, each a copy of the first one's history.
const ORDERS: usize = 1_000;
/// Events of one append, and appends of one batch.
const AT_ONCE: u64 = 1_000;
const BATCH: usize = 100;

pub struct History<'a> {
    pub log: &'a dyn EventLog,
    pub world: &'a TestWorld,
}

impl History<'_> {
    /// Adds a long history to a product's stock, a user's points and the user.
    pub async fn changes(&self, product: ProductId, user: UserId) {
        let one = Money::krw(1).unwrap();
        self.long(StreamId::stock(product), CHANGES, |_| {
            DomainEvent::Stock(StockReceived { quantity: 1, location: None }.into())
        })
        .await;
        self.long(StreamId::points(user), CHANGES, |number| {
            let reference = format!("long-{number}");
            DomainEvent::Points(
                PointsGranted {
                    amount: one,
                    reference: Remark::code(reference),
                    reference_hash: None,
                    expires_at: None,
                }
                .into(),
            )
        })
        .await;
        self.long(StreamId::user(user), LOGINS, |_| DomainEvent::User(LoginSucceeded {}.into())).await;
    }

    /// A stream's changes, and after the last of them the snapshot that the decider keeps for a
    /// stream of that length.
    async fn long(&self, stream: StreamId, changes: u64, event: impl Fn(u64) -> DomainEvent) {
        let mut state = AnyState::initial(stream.kind);
        let young = self.log.read_stream(stream, Version::FIRST, Version::MAX, 100).await.unwrap();
        let before = young.last().map_or(0, |last| last.version.get());
        for event in &young {
            state.evolve(&DomainEvent::try_from(event).unwrap());
        }
        let mut batch = Vec::new();
        for expected_version in (before..before + changes).step_by(AT_ONCE.try_into().unwrap()) {
            let numbers = expected_version..expected_version + AT_ONCE;
            let new = numbers.map(|number| {
                let event = event(number);
                state.evolve(&event);
                (event.event_type(), event.schema_version(), event.payload_json())
            });
            let write = self.write(stream, expected_version, new.collect());
            batch.push(self.append(vec![write]));
            if batch.len() == 10 {
                self.send(std::mem::take(&mut batch)).await;
            }
        }
        self.send(batch).await;
        let (version, state_version) = (before + changes, AnyState::state_version(stream.kind));
        let snapshot = Snapshot { stream, version: Version::new(version), state_version, state: state.to_snapshot() };
        self.log.save_snapshots(vec![snapshot]).await.unwrap();
    }

    /// Adds further orders of the buyer: copies of the first one's whole history under other ids.
    /// `things` are the ids that are replaced.
    pub async fn orders(&self, things: &[String]) {
        let kinds = [
            AggregateKind::Order,
            AggregateKind::Payment,
            AggregateKind::Shipment,
            AggregateKind::Return,
            AggregateKind::Fulfilment,
        ];
        let (events, _) = self.log.read_all(Position::ZERO, 1_000, &ReadFilter::default()).await.unwrap();
        let events: Vec<RecordedEvent> =
            events.into_iter().filter(|event| kinds.contains(&event.stream.kind)).collect();
        assert!(events.len() > 8, "{events:?}");
        let mut batch = Vec::new();
        for number in 0..ORDERS {
            let names: Vec<(&str, String)> = things
                .iter()
                .map(|thing| {
                    let id = self.world.new_id();
                    (thing.as_str(), if thing.len() == 36 { id.to_string() } else { format!("COPY-{number}") })
                })
                .collect();
            let mut writes: Vec<StreamWrite> = Vec::new();
            for event in &events {
                let stream: StreamId = renamed(&event.stream.to_string(), &names).parse().unwrap();
                let event_type = DomainEvent::try_from(event).unwrap().event_type();
                let new = (event_type, event.schema_version, renamed(&event.payload, &names));
                match writes.iter_mut().find(|write| write.stream == stream) {
                    Some(write) => write.events.push(self.event(new)),
                    None => writes.push(self.write(stream, 0, vec![new])),
                }
            }
            batch.push(self.append(writes));
            if batch.len() == BATCH {
                self.send(std::mem::take(&mut batch)).await;
            }
        }
        self.send(batch).await;
    }

    fn event(&self, (event_type, schema_version, payload): (&'static str, u16, String)) -> NewEvent {
        NewEvent { event_id: EventId::new(self.world.new_id()), event_type, schema_version, payload }
    }

    fn write(&self, stream: StreamId, expected_version: u64, new: Vec<(&'static str, u16, String)>) -> StreamWrite {
        let events = new.into_iter().map(|new| self.event(new)).collect();
        StreamWrite { stream, expected_version: Version::new(expected_version), events, meta: None }
    }

    fn append(&self, writes: Vec<StreamWrite>) -> Append {
        let meta = EventMeta {
            correlation_id: CorrelationId::new(self.world.new_id()),
            causation_id: self.world.new_id(),
            command_id: CommandId::new(self.world.new_id()),
            actor: Actor::System("system"),
            trace: None,
            recorded_at: self.world.now(),
        };
        // One after the other, so that queries as of a time can tell them apart.
        self.world.pass_ms(1);
        Append { writes, meta, receipt: None }
    }

    async fn send(&self, batch: Vec<Append>) {
        for result in self.log.append(batch).await.unwrap() {
            assert!(matches!(result, AppendResult::Appended { .. }), "{result:?}");
        }
    }
}

/// A text with other ids in it, also where it is sealed.
fn renamed(text: &str, names: &[(&str, String)]) -> String {
    let plain = names.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    let sealed = Regex::new(r"(v1\.[0-9a-f-]{36}\.)([A-Za-z0-9_-]+)").unwrap();
    let opened = sealed.replace_all(&plain, |found: &Captures<'_>| {
        let inside = names.iter().fold(unsealed_text(&found[2]), |text, (from, to)| text.replace(from, to));
        format!("{}{}", &found[1], sealed_text(&inside))
    });
    opened.into_owned()
}
