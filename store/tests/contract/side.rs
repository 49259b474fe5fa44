//! Keys, checkpoints, the inbox, opening and closing.

use std::time::Duration;

use jangbu_kernel::log::{AppendResult, LogError};
use jangbu_kernel::ports::{InboxMessage, ParkedProcess};
use jangbu_kernel::{OrderId, Position, StreamId, UserId};
use jangbu_store::Store;

use crate::fixture::{Fixture, LIMIT, append, append_one, eventually, moment, new_id, order, whole_log, write};

pub async fn keys_are_kept_once(Fixture { store, other }: Fixture) {
    let owner = UserId::new(new_id());
    assert_eq!(store.user_key(owner).await.unwrap(), None);
    assert_eq!(store.put_user_key(owner, vec![1, 2]).await.unwrap(), Some(vec![1, 2]));
    assert_eq!(other.put_user_key(owner, vec![3]).await.unwrap(), Some(vec![1, 2]), "the first key counts");
    assert_eq!(other.user_key(owner).await.unwrap(), Some(Some(vec![1, 2])));
    let nobody = UserId::new(new_id());
    store.put_user_key(nobody, vec![4]).await.unwrap();
    store.remove_user_key(nobody).await.unwrap();
    store.remove_user_key(nobody).await.unwrap();
    assert_eq!(other.user_key(nobody).await.unwrap(), None);
    assert_eq!(other.user_key(owner).await.unwrap(), Some(Some(vec![1, 2])));

    assert_eq!(store.secret("signing").await.unwrap(), None);
    assert_eq!(store.put_secret("signing", vec![0, 255]).await.unwrap(), [0, 255]);
    assert_eq!(other.put_secret("signing", vec![9]).await.unwrap(), [0, 255]);
    assert_eq!(other.secret("signing").await.unwrap(), Some(vec![0, 255]));
    assert_eq!(other.secret("other").await.unwrap(), None);
}

pub async fn a_destroyed_key_is_never_made_again(Fixture { store, other }: Fixture) {
    let (owner, next, nobody) = (UserId::new(new_id()), UserId::new(new_id()), UserId::new(new_id()));
    store.put_user_key(owner, vec![1, 2]).await.unwrap();
    store.put_user_key(next, vec![3]).await.unwrap();
    for destroyed in [owner, owner, nobody] {
        store.destroy_user_key(destroyed).await.unwrap();
        assert_eq!(other.user_key(destroyed).await.unwrap(), Some(None));
        assert_eq!(other.put_user_key(destroyed, vec![9]).await.unwrap(), None, "none is made in its place");
    }
    assert_eq!(other.user_key(next).await.unwrap(), Some(Some(vec![3])));
    assert_eq!(store.any_user_key().await.unwrap(), Some((next, vec![3])));
}

pub async fn checkpoints_only_move_forward(Fixture { store, other }: Fixture) {
    assert_eq!(store.checkpoint("a reader").await.unwrap(), Position::ZERO);
    append_one(&*store, append([write(order(), 0, 9)])).await;
    for (position, expected) in [(5, 5), (3, 5), (9, 9), (9, 9)] {
        store.advance("a reader", Position::new(position)).await.unwrap();
        assert_eq!(other.checkpoint("a reader").await.unwrap(), Position::new(expected));
    }
    assert_eq!(store.checkpoint("another").await.unwrap(), Position::ZERO);
}

pub async fn a_lease_has_one_holder_at_a_time(Fixture { store, other }: Fixture) {
    let (one, two) = (new_id(), new_id());
    let (long, short) = (Duration::from_secs(600), Duration::from_millis(30));
    assert!(store.hold("work", one, long).await.unwrap());
    assert!(store.hold("work", one, long).await.unwrap(), "its holder renews it");
    assert!(!other.hold("work", two, long).await.unwrap());
    assert!(other.hold("other work", two, long).await.unwrap());
    other.give_back("work", two).await.unwrap();
    assert!(!other.hold("work", two, long).await.unwrap(), "only its holder gives it back");
    store.give_back("work", one).await.unwrap();
    assert!(other.hold("work", two, long).await.unwrap());
    assert!(!store.hold("work", one, long).await.unwrap());
    // A holder that does not renew its lease loses it.
    assert!(other.hold("work", two, short).await.unwrap());
    let taken = tokio::time::timeout(LIMIT, async {
        while !store.hold("work", one, long).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    taken.await.unwrap();
    assert!(!other.hold("work", two, long).await.unwrap());
}

pub async fn parked_processes_are_kept_until_they_go_on(Fixture { store, other }: Fixture) {
    let mut orders = [new_id(), new_id(), new_id()].map(OrderId::new);
    orders.sort_unstable();
    let parked = |order_id, reason: &str| ParkedProcess {
        order_id,
        stream: StreamId::fulfilment(order_id),
        reason: reason.to_owned(),
        parked_at: moment(),
    };
    assert_eq!(store.parked_count().await.unwrap(), 0);
    for order_id in orders.into_iter().rev() {
        assert!(store.park(parked(order_id, "a byte was changed")).await.unwrap());
    }
    assert!(!other.park(parked(orders[0], "something else")).await.unwrap(), "the first reason stays");
    let listed = other.parked(None, 2).await.unwrap();
    assert_eq!(listed, [parked(orders[0], "a byte was changed"), parked(orders[1], "a byte was changed")]);
    assert_eq!(other.parked(Some(orders[1]), 2).await.unwrap(), [parked(orders[2], "a byte was changed")]);
    store.release(orders[1]).await.unwrap();
    store.release(orders[1]).await.unwrap();
    assert_eq!(other.parked_count().await.unwrap(), 2);
    let among = other.parked_among(vec![orders[1], orders[2], OrderId::new(new_id())]).await.unwrap();
    assert_eq!(among, [parked(orders[2], "a byte was changed")]);
}

fn message(source: &str, id: &str) -> InboxMessage {
    InboxMessage {
        sequence: 0,
        source: source.into(),
        message_id: id.into(),
        headers: vec![("webhook-id".into(), id.into()), ("webhook-signature".into(), "v1,x\"y".into())],
        body: vec![b'{', 0, 255, b'}'],
        received_at: moment(),
        attempts: 0,
    }
}

pub async fn the_inbox_takes_a_message_once(Fixture { store, other }: Fixture) {
    assert!(store.store(message("payments/one", "a")).await.unwrap());
    assert!(!other.store(message("payments/one", "a")).await.unwrap());
    assert!(other.store(message("payments/two", "a")).await.unwrap());
    assert!(store.store(message("payments/one", "b")).await.unwrap());

    let pending = store.pending(10, 3).await.unwrap();
    let names: Vec<_> = pending.iter().map(|m| (m.source.as_str(), m.message_id.as_str())).collect();
    assert_eq!(names, [("payments/one", "a"), ("payments/two", "a"), ("payments/one", "b")]);
    let first = InboxMessage { sequence: pending[0].sequence, ..message("payments/one", "a") };
    assert_eq!(pending[0], first);
    assert_eq!(other.pending(1, 3).await.unwrap(), [first]);

    store.mark_handled(pending[0].sequence).await.unwrap();
    append_one(&*store, append([write(order(), 0, 1)])).await;
    for _ in 0..2 {
        store.mark_failed(pending[1].sequence, "the gateway is away").await.unwrap();
    }
    let left = other.pending(10, 3).await.unwrap();
    assert_eq!(
        left.iter().map(|m| (m.sequence, m.attempts)).collect::<Vec<_>>(),
        [(pending[1].sequence, 2), (pending[2].sequence, 0)]
    );
    assert_eq!(other.pending(10, 2).await.unwrap().len(), 1, "too many failures");
    assert!(!store.store(message("payments/one", "a")).await.unwrap(), "handled, but known");
}

/// The sequences of the pending messages, as a handle sees them.
async fn pending_at(store: &dyn Store) -> Vec<u64> {
    store.pending(10, 3).await.unwrap().iter().map(|message| message.sequence).collect()
}

async fn three_messages(store: &dyn Store) -> Vec<u64> {
    for id in ["a", "b", "c"] {
        assert!(store.store(message("payments/one", id)).await.unwrap());
    }
    pending_at(store).await
}

pub async fn a_handled_message_is_marked_with_the_next_append(Fixture { store, other }: Fixture) {
    let all = three_messages(&*store).await;
    for handled in [all[1], all[0], all[1]] {
        store.mark_handled(handled).await.unwrap();
    }
    // The handle that marked them no longer sees them, whether the marks are written yet or not.
    assert_eq!(pending_at(&*store).await, [all[2]]);
    assert_eq!(store.pending(1, 3).await.unwrap().len(), 1, "a page is not shorter for what is handled");
    let one = append([write(order(), 0, 1)]);
    // A refused append loses no mark.
    let stream = one.writes[0].stream;
    let results = store.append(vec![one, append([write(stream, 5, 1)])]).await.unwrap();
    assert!(matches!(results[1], AppendResult::Conflict { .. }));
    assert_eq!(pending_at(&*other).await, [all[2]]);
    store.mark_handled(all[2]).await.unwrap();
    append_one(&*store, append([write(stream, 1, 1)])).await;
    assert_eq!(pending_at(&*other).await, Vec::<u64>::new());
    assert!(!store.store(message("payments/one", "c")).await.unwrap(), "handled, but known");
}

pub async fn a_handled_message_is_marked_though_nothing_is_appended(Fixture { store, other }: Fixture) {
    let all = three_messages(&*store).await;
    store.mark_handled(all[0]).await.unwrap();
    eventually("it is marked", async || pending_at(&*other).await == all[1..]).await;
    store.mark_handled(all[1]).await.unwrap();
    eventually("the next one is marked", async || pending_at(&*other).await == all[2..]).await;
}

pub async fn a_closed_store_refuses(Fixture { store, .. }: Fixture) {
    append_one(&*store, append([write(order(), 0, 1)])).await;
    store.close().await;
    let refused = store.append(vec![append([write(order(), 0, 1)])]).await;
    assert!(matches!(refused, Err(LogError::Unavailable(..))), "{refused:?}");
    assert!(matches!(store.head().await, Err(LogError::Unavailable(..))));
    store.close().await;
}

pub async fn migrating_again_changes_nothing(Fixture { store, other }: Fixture) {
    append_one(&*store, append([write(order(), 0, 2)])).await;
    let (one, two) = tokio::join!(store.migrate(), other.migrate());
    one.unwrap();
    two.unwrap();
    assert_eq!(store.schema_version().await.unwrap(), store.known_schema_version());
    assert_eq!(whole_log(&*store).await.len(), 2);
}
