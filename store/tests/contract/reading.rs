//! Pages, filters, ranges and snapshots.

use jangbu_kernel::log::{ReadFilter, Snapshot, StreamWrite};
use jangbu_kernel::{NewEvent, Position, StreamId, Version};
use jangbu_store::FILTER_WINDOW;

use crate::fixture::{Fixture, append, append_one, event, fill, order, stock, write};

pub async fn the_log_is_read_in_pages(Fixture { store, other }: Fixture) {
    let everything = ReadFilter::default();
    assert_eq!(store.read_all(Position::ZERO, 10, &everything).await.unwrap(), (Vec::new(), Position::ZERO));
    fill(&*store, order(), 0, 25).await;
    let mut after = 0;
    let mut sizes = Vec::new();
    loop {
        let (page, read_to) = other.read_all(Position::new(after), 10, &everything).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert_eq!(page[0].position, Position::new(after + 1));
        sizes.push(page.len());
        after = read_to.get();
    }
    assert_eq!((sizes, after), (vec![10, 10, 5], 25));
    assert_eq!(store.read_all(Position::new(25), 10, &everything).await.unwrap(), (Vec::new(), Position::new(25)));
    assert_eq!(store.read_all(Position::new(99), 10, &everything).await.unwrap().0, []);
    assert_eq!(store.read_all(Position::new(3), 0, &everything).await.unwrap(), (Vec::new(), Position::new(3)));
}

pub async fn a_filter_tells_how_far_it_read(Fixture { store, .. }: Fixture) {
    let rare = |expected_version, stream| StreamWrite {
        stream,
        expected_version,
        events: vec![NewEvent { event_type: "order.cancelled", ..event("{}") }],
        meta: None,
    };
    let (common, special) = (stock(), order());
    append_one(&*store, append([rare(Version::ZERO, special)])).await;
    fill(&*store, common, 0, FILTER_WINDOW).await;
    let last = append([rare(Version::FIRST, special)]);
    let correlation = last.meta.correlation_id;
    append_one(&*store, last).await;
    let head = FILTER_WINDOW + 2;

    let by_type = ReadFilter { event_types: vec!["order.cancelled".into(), "none".into()], correlation_id: None };
    let (events, read_to) = store.read_all(Position::ZERO, 1, &by_type).await.unwrap();
    assert_eq!((events.len(), read_to), (1, Position::FIRST), "a full page was read to its last event");
    let (events, read_to) = store.read_all(Position::FIRST, 1, &by_type).await.unwrap();
    assert_eq!((events.len(), read_to), (0, Position::new(FILTER_WINDOW + 1)), "one call looks through a window only");
    let (events, read_to) = store.read_all(read_to, 10, &by_type).await.unwrap();
    assert_eq!((events.len(), read_to), (1, Position::new(head)));
    assert_eq!(store.read_all(Position::new(head), 10, &by_type).await.unwrap(), (Vec::new(), Position::new(head)));

    let by_correlation = ReadFilter { event_types: Vec::new(), correlation_id: Some(correlation) };
    let (events, read_to) = store.read_all(Position::new(1_000), 10, &by_correlation).await.unwrap();
    assert_eq!((events.len(), read_to), (1, Position::new(head)));
    let both = ReadFilter { event_types: vec!["order.placed".into()], correlation_id: Some(correlation) };
    assert_eq!(store.read_all(Position::new(1_000), 10, &both).await.unwrap(), (Vec::new(), Position::new(head)));
}

pub async fn a_stream_is_read_by_range(Fixture { store, .. }: Fixture) {
    let (stream, beside) = (order(), StreamId::new(jangbu_kernel::AggregateKind::Fulfilment, order().id));
    fill(&*store, stream, 0, 12).await;
    fill(&*store, beside, 0, 3).await;
    let versions = async |from, to, limit| {
        let events = store.read_stream(stream, from, to, limit).await.unwrap();
        events.iter().map(|event| event.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(Version::new(3), Version::new(5), 100).await, [3, 4, 5].map(Version::new));
    assert_eq!(versions(Version::ZERO, Version::new(2), 100).await, [1, 2].map(Version::new));
    assert_eq!(versions(Version::new(11), Version::MAX, 100).await, [11, 12].map(Version::new));
    assert_eq!(versions(Version::new(4), Version::new(12), 2).await, [4, 5].map(Version::new));
    assert_eq!(versions(Version::new(13), Version::new(20), 2).await, [Version::ZERO; 0]);
    assert_eq!(versions(Version::new(5), Version::new(4), 2).await, [Version::ZERO; 0]);
}

fn snapshot(stream: StreamId, version: u64, state_version: u16) -> Snapshot {
    Snapshot { stream, version: Version::new(version), state_version, state: format!(r#"{{"version":{version}}}"#) }
}

pub async fn a_stream_loads_from_its_snapshot(Fixture { store, other }: Fixture) {
    let (long, short, unknown) = (stock(), order(), order());
    fill(&*store, long, 0, 3_000).await;
    fill(&*store, short, 0, 2).await;
    store.save_snapshots(vec![snapshot(long, 2_990, 4)]).await.unwrap();

    let loaded = other.load(vec![(short, 1), (unknown, 1), (long, 4), (short, 1)]).await.unwrap();
    let shape: Vec<_> = loaded.iter().map(|stream| (stream.snapshot.as_ref(), stream.events.len())).collect();
    let kept = snapshot(long, 2_990, 4);
    assert_eq!(shape, [(None, 2), (None, 0), (Some(&kept), 10), (None, 2)]);
    assert_eq!(loaded[2].events[0].version, Version::new(2_991));

    let older_state = store.load(vec![(long, 3)]).await.unwrap();
    assert_eq!((older_state[0].snapshot.as_ref(), older_state[0].events.len()), (None, 3_000));
    assert_eq!(store.load(Vec::new()).await.unwrap(), []);
    append_one(&*store, append([write(long, 3_000, 1)])).await;
    assert_eq!(store.load(vec![(long, 4)]).await.unwrap()[0].events.len(), 11);
}

pub async fn the_newest_snapshot_is_kept(Fixture { store, .. }: Fixture) {
    let stream = stock();
    fill(&*store, stream, 0, 9).await;
    let kept = async |state_version| store.load(vec![(stream, state_version)]).await.unwrap().remove(0).snapshot;
    store.save_snapshots(vec![snapshot(stream, 5, 1), snapshot(stream, 7, 1), snapshot(stream, 3, 1)]).await.unwrap();
    assert_eq!(kept(1).await, Some(snapshot(stream, 7, 1)));
    store.save_snapshots(vec![snapshot(stream, 6, 1)]).await.unwrap();
    assert_eq!(kept(1).await, Some(snapshot(stream, 7, 1)), "an older version changes nothing");
    store.save_snapshots(vec![snapshot(stream, 4, 2)]).await.unwrap();
    assert_eq!((kept(1).await, kept(2).await), (None, Some(snapshot(stream, 4, 2))), "a newer shape replaces");
    store.save_snapshots(vec![snapshot(stream, 9, 1)]).await.unwrap();
    assert_eq!((kept(2).await, kept(1).await), (None, Some(snapshot(stream, 9, 1))), "and so does an older one");
}

pub async fn a_snapshot_ahead_of_its_stream_is_not_kept(Fixture { store, .. }: Fixture) {
    let stream = stock();
    fill(&*store, stream, 0, 5).await;
    let shape = async || {
        let loaded = store.load(vec![(stream, 1)]).await.unwrap().remove(0);
        (loaded.snapshot, loaded.events.len())
    };
    store.save_snapshots(vec![snapshot(stream, 6, 1)]).await.unwrap();
    assert_eq!(shape().await, (None, 5));
    store.save_snapshots(vec![snapshot(stream, 5, 1)]).await.unwrap();
    assert_eq!(shape().await, (Some(snapshot(stream, 5, 1)), 0));
}

pub async fn a_log_tells_itself_from_others(Fixture { store, other }: Fixture) {
    let identity = store.identity().await.unwrap();
    fill(&*store, order(), 0, 3).await;
    assert_eq!((store.identity().await.unwrap(), other.identity().await.unwrap()), (identity, identity));
    let (events, _) = store.read_all(Position::ZERO, 9, &ReadFilter::default()).await.unwrap();
    assert_eq!(other.hash_at(Position::new(2)).await.unwrap(), Some(events[1].hash));
    assert_eq!(
        (other.hash_at(Position::ZERO).await.unwrap(), other.hash_at(Position::new(4)).await.unwrap()),
        (None, None)
    );
}
