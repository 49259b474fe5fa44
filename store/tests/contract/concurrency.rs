//! Many writers, readers that follow, and callers that drop their futures.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use jangbu_kernel::log::{AppendResult, ReadFilter, StreamWrite};
use jangbu_kernel::{Position, RecordedEvent, Version};
use jangbu_store::Store;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::fixture::{Fixture, LIMIT, append, append_one, event, order, stock, whole_log, write};

pub async fn eight_writers_and_a_reader(fixture: Fixture) {
    writers_and_a_reader(fixture, 8, 40).await;
}

pub async fn thirty_two_writers_and_a_reader(fixture: Fixture) {
    writers_and_a_reader(fixture, 32, 12).await;
}

/// Writers on both handles, each with a stream of its own and all with one in common. The reader
/// must get every position once and in order.
async fn writers_and_a_reader(Fixture { store, other }: Fixture, writers: u64, appends: u64) {
    let total = writers * appends * 3;
    let reader = tokio::spawn(follow(Arc::clone(&other), total));
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let store = Arc::clone(if writer % 2 == 0 { &store } else { &other });
        tasks.spawn(async move {
            let (own, beside) = (order(), stock());
            for n in 0..appends {
                let batch = vec![append([write(own, n * 2, 2)]), append([write(beside, n, 1)])];
                for result in store.append(batch).await.unwrap() {
                    assert!(matches!(result, AppendResult::Appended { .. }), "{result:?}");
                }
            }
        });
    }
    tasks.join_all().await;
    timeout(LIMIT, reader).await.expect("the reader never saw everything").unwrap();
    assert_eq!(whole_log(&*store).await.len() as u64, total);
}

async fn follow(store: Arc<dyn Store>, until: u64) {
    let mut head = store.watch_head();
    let mut seen = 0;
    while seen < until {
        let (events, read_to) = store.read_all(Position::new(seen), 50, &ReadFilter::default()).await.unwrap();
        for event in &events {
            seen += 1;
            assert_eq!(event.position, Position::new(seen), "a position was missed or met twice");
        }
        assert_eq!(read_to, Position::new(seen));
        if events.is_empty() {
            assert!(head.changed().await, "the store closed");
        }
    }
}

/// Both handles keep writing to the same few streams; after each conflict they try again with the
/// returned version.
pub async fn two_handles_write_the_same_streams(Fixture { store, other }: Fixture) {
    const ROUNDS: u64 = 25;
    let streams = [stock(), stock()];
    let mut tasks = JoinSet::new();
    for writer in 0..4_u64 {
        let store = Arc::clone(if writer % 2 == 0 { &store } else { &other });
        tasks.spawn(async move {
            let mut known: HashMap<_, u64> = streams.iter().map(|stream| (*stream, 0)).collect();
            let mut done = 0;
            while done < ROUNDS {
                let writes = streams.map(|stream| write(stream, known[&stream], 1));
                match append_one(&*store, append(writes)).await {
                    AppendResult::Appended { .. } => {
                        known.values_mut().for_each(|version| *version += 1);
                        done += 1;
                    }
                    AppendResult::Conflict { stream, actual_version } => {
                        assert_ne!(known[&stream], actual_version.get(), "a conflict without a reason");
                        known.insert(stream, actual_version.get());
                    }
                    AppendResult::Duplicate { .. } => panic!("no receipt was given"),
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(store.versions(streams.to_vec()).await.unwrap(), [Version::new(4 * ROUNDS); 2]);
    assert_eq!(whole_log(&*other).await.len() as u64, 8 * ROUNDS);
}

/// Both handles write and have two followers each: one takes everything, the other takes few events
/// at a time, and not all. All of them see the same log, in order.
pub async fn followers_see_what_both_handles_wrote(Fixture { store, other }: Fixture) {
    const APPENDS: u64 = 60;
    let mut tasks = JoinSet::new();
    for store in [&store, &other] {
        let writer = Arc::clone(store);
        tasks.spawn(async move {
            for _ in 0..APPENDS {
                let mut received = write(stock(), 0, 1);
                received.events[0].event_type = "stock.received";
                append_one(&*writer, append([write(order(), 0, 2), received])).await;
            }
            Vec::new()
        });
    }
    let stocks = ReadFilter { event_types: vec!["stock.received".to_owned()], correlation_id: None };
    for store in [&store, &other] {
        for (filter, limit) in [(ReadFilter::default(), 1_000), (stocks.clone(), 3)] {
            let store = Arc::clone(store);
            tasks.spawn(async move {
                let (mut after, mut seen, mut watch) = (Position::ZERO, Vec::new(), store.watch_head());
                while after < Position::new(2 * 3 * APPENDS) {
                    let (events, read_to) = store.follow(after, limit, &filter).await.unwrap();
                    assert!(events.iter().all(|event| (after.next()..=read_to).contains(&event.position)));
                    seen.extend(events.iter().map(|event| event.position));
                    if read_to == after {
                        timeout(LIMIT, watch.changed()).await.unwrap();
                    }
                    after = read_to;
                }
                seen
            });
        }
    }
    let seen = timeout(LIMIT, tasks.join_all()).await.unwrap();
    let log = whole_log(&*store).await;
    let positions = |wanted: &dyn Fn(&RecordedEvent) -> bool| -> Vec<Position> {
        log.iter().filter(|event| wanted(event)).map(|event| event.position).collect()
    };
    let (all, stocks) = (positions(&|_| true), positions(&|event| event.event_type == "stock.received"));
    assert_eq!(seen.iter().filter(|seen| **seen == all).count(), 2);
    assert_eq!(seen.iter().filter(|seen| **seen == stocks).count(), 2);
}

/// Drops the future of an append after each possible number of polls. At any point the append is
/// stored as a whole or not at all, and the engine goes on.
pub async fn a_dropped_append_is_whole_or_absent(Fixture { store, .. }: Fixture) {
    let mut given_up = Vec::new();
    let mut finished = false;
    for polls in 0..40 {
        if finished {
            break;
        }
        let (one, two) = (order(), stock());
        given_up.push((one, two));
        let batch = vec![append([write(one, 0, 3), write(two, 0, 2)])];
        let mut future = pin!(store.append(batch));
        for _ in 0..polls {
            // Each poll happens after a wake-up, so each await is a point where the future can be
            // dropped.
            let ready = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
            if ready {
                finished = true;
                break;
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
    // An append that was sent but not waited for is carried out before a later append is answered,
    // or soon after. One that was dropped earlier is known to be absent once the log no longer
    // moves.
    let last = order();
    assert!(matches!(append_one(&*store, append([write(last, 0, 1)])).await, AppendResult::Appended { .. }));
    for (one, two) in given_up {
        let versions = store.versions(vec![one, two]).await.unwrap();
        assert!(
            [[0, 0], [3, 2]].iter().any(|whole| versions == whole.map(Version::new)),
            "half an append: {versions:?}"
        );
    }
    whole_log(&*store).await;
    let payload = StreamWrite { stream: last, expected_version: Version::FIRST, events: vec![event("{}")], meta: None };
    assert!(matches!(append_one(&*store, append([payload])).await, AppendResult::Appended { .. }));
}

pub async fn watchers_hear_of_commits_and_of_the_close(Fixture { store, other }: Fixture) {
    let (mut here, mut there) = (store.watch_head(), other.watch_head());
    assert_eq!(here.current(), Position::ZERO);
    append_one(&*store, append([write(order(), 0, 3)])).await;
    assert!(timeout(LIMIT, here.changed()).await.unwrap());
    assert_eq!(here.current(), Position::new(3));
    while there.current() < Position::new(3) {
        assert!(timeout(LIMIT, there.changed()).await.unwrap());
    }
    store.close().await;
    assert!(!timeout(LIMIT, here.changed()).await.unwrap());
    assert!(!timeout(LIMIT, store.watch_head().changed()).await.unwrap());
}
