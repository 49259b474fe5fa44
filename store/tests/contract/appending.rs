//! The result of a batch.

use jangbu_kernel::log::{AppendResult, StreamWrite};
use jangbu_kernel::{Actor, EventMeta, NewEvent, Position, Version};
use jangbu_store::hash::leaf_hash;

use crate::fixture::{Fixture, append, append_one, event, new_id, order, positions, receipt, stock, whole_log, write};

pub async fn what_is_appended_is_read_back(Fixture { store, .. }: Fixture) {
    let stream = order();
    let mut first = append([StreamWrite {
        stream,
        expected_version: Version::ZERO,
        events: vec![
            NewEvent {
                schema_version: 7,
                event_type: "order.placed",
                ..event("{ \"name\" : \"장부\",  \"quote\":\"\\u0041\" }")
            },
            event("{}"),
        ],
        meta: None,
    }]);
    first.meta.trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    first.meta.actor = Actor::Operator("anna".into());
    // Parts below a millisecond are cut, so that what is returned is what is stored.
    first.meta.recorded_at += chrono::TimeDelta::microseconds(456);
    let sent = first.clone();

    let result = append_one(&*store, first).await;
    assert_eq!(positions(&result), [1, 2]);
    let second = append_one(&*store, append([write(stream, 2, 1)])).await;
    assert_eq!(positions(&second), [3]);

    let (AppendResult::Appended { events: one }, AppendResult::Appended { events: two }) = (result, second) else {
        panic!("not appended")
    };
    let answered: Vec<_> = one.iter().chain(&two).map(|event| (**event).clone()).collect();
    assert_eq!(store.read_stream(stream, Version::FIRST, Version::MAX, 10).await.unwrap(), answered);
    assert_eq!(whole_log(&*store).await, answered);
    assert_eq!(store.load(vec![(stream, 1)]).await.unwrap()[0].events, answered);

    let stored = &answered[0];
    assert_eq!(stored.payload, sent.writes[0].events[0].payload);
    assert_eq!(stored.event_id, sent.writes[0].events[0].event_id);
    assert_eq!((stored.version, stored.schema_version), (Version::FIRST, 7));
    assert_eq!(stored.meta.actor, sent.meta.actor);
    assert_eq!(stored.meta.trace, sent.meta.trace);
    assert_eq!(stored.meta.command_id, sent.meta.command_id);
    assert_eq!(stored.meta.recorded_at, crate::fixture::moment());
    assert_eq!(stored.hash, leaf_hash(stored));
}

pub async fn a_wrong_expectation_conflicts(Fixture { store, other }: Fixture) {
    let stream = order();
    let too_high = append_one(&*store, append([write(stream, 3, 1)])).await;
    assert_eq!(too_high, AppendResult::Conflict { stream, actual_version: Version::ZERO });
    append_one(&*store, append([write(stream, 0, 2)])).await;
    for (handle, expected) in [(&store, 0), (&other, 1), (&store, 3), (&other, 9)] {
        let result = append_one(&**handle, append([write(stream, expected, 1)])).await;
        assert_eq!(
            result,
            AppendResult::Conflict { stream, actual_version: Version::new(2) },
            "expected version {expected}"
        );
    }
    let right = append_one(&*other, append([write(stream, 2, 1)])).await;
    assert_eq!(positions(&right), [3], "refused appends take no positions");
    assert_eq!(whole_log(&*store).await.len(), 3);
}

pub async fn an_append_over_several_streams_is_all_or_nothing(Fixture { store, .. }: Fixture) {
    let (one, two, three) = (order(), stock(), stock());
    append_one(&*store, append([write(three, 0, 1)])).await;
    let result = append_one(&*store, append([write(one, 0, 2), write(two, 0, 1), write(three, 5, 1)])).await;
    assert_eq!(result, AppendResult::Conflict { stream: three, actual_version: Version::FIRST });
    assert_eq!(store.versions(vec![one, two, three, one]).await.unwrap(), [0, 0, 1, 0].map(Version::new));

    let result = append_one(&*store, append([write(one, 0, 2), write(two, 0, 1), write(three, 1, 1)])).await;
    assert_eq!(positions(&result), [2, 3, 4, 5]);
    assert_eq!(store.versions(vec![one, two, three]).await.unwrap(), [2, 1, 2].map(Version::new));
    let log = whole_log(&*store).await;
    assert_eq!(log[1..].iter().map(|event| event.stream).collect::<Vec<_>>(), [one, one, two, three]);
}

/// An append also contains the consequences of its command: their events have their own who, why
/// and when, and a stream may be written again after the append has written to it.
pub async fn the_writes_of_an_append_lie_in_their_order_each_with_its_own_meta(Fixture { store, .. }: Fixture) {
    let (one, two) = (order(), stock());
    append_one(&*store, append([write(one, 0, 1)])).await;
    let own = EventMeta { actor: Actor::System("process-manager"), ..crate::fixture::meta() };
    let follows = |write| StreamWrite { meta: Some(own.clone()), ..write };
    let sent = append([write(one, 1, 1), follows(write(two, 0, 2)), write(one, 2, 0), follows(write(one, 2, 1))]);
    let outer = sent.meta.clone();
    let result = append_one(&*store, sent).await;
    assert_eq!(positions(&result), [2, 3, 4, 5]);
    let log = whole_log(&*store).await;
    let told: Vec<_> = log[1..].iter().map(|event| (event.stream, event.version, event.meta.clone())).collect();
    assert_eq!(
        told,
        [
            (one, Version::new(2), outer),
            (two, Version::FIRST, own.clone()),
            (two, Version::new(2), own.clone()),
            (one, Version::new(3), own)
        ]
    );
    for event in &log {
        assert_eq!(event.hash, leaf_hash(event), "the hash is of its own meta");
    }
    // A gap between two writes to one stream is a wrong expected version.
    let result = append_one(&*store, append([write(one, 3, 1), write(two, 2, 1), write(one, 5, 1)])).await;
    assert_eq!(result, AppendResult::Conflict { stream: one, actual_version: Version::new(3) });
    assert_eq!(whole_log(&*store).await.len(), 5);
}

pub async fn every_append_of_a_batch_has_its_own_answer(Fixture { store, .. }: Fixture) {
    let (one, two, three) = (order(), order(), order());
    append_one(&*store, append([write(two, 0, 1)])).await;
    let results = store
        .append(vec![
            append([write(one, 0, 1)]),
            append([write(two, 0, 1)]),
            append([write(one, 1, 2)]),
            append([write(two, 2, 1)]),
            append([write(three, 0, 1), write(one, 3, 1)]),
            append([write(one, 1, 1)]),
        ])
        .await
        .unwrap();
    assert_eq!(positions(&results[0]), [2]);
    assert_eq!(results[1], AppendResult::Conflict { stream: two, actual_version: Version::FIRST });
    assert_eq!(positions(&results[2]), [3, 4], "builds on the first append of the batch");
    assert_eq!(
        results[3],
        AppendResult::Conflict { stream: two, actual_version: Version::FIRST },
        "builds on a refused one"
    );
    assert_eq!(positions(&results[4]), [5, 6]);
    assert_eq!(results[5], AppendResult::Conflict { stream: one, actual_version: Version::new(4) });
    assert_eq!(whole_log(&*store).await.len(), 6);
    assert_eq!(store.append(Vec::new()).await.unwrap(), []);
}

/// Another writer has appended as many events as a refused append would have. What builds on the
/// refused append expects the version that exists, but does not know those events.
pub async fn what_builds_on_a_refused_append_is_refused(Fixture { store, other }: Fixture) {
    let (stream, beside, more) = (stock(), order(), order());
    append_one(&*other, append([write(stream, 0, 2)])).await;
    let results = store
        .append(vec![
            append([write(stream, 0, 2)]),
            append([write(beside, 0, 1), write(stream, 2, 1)]),
            append([write(beside, 0, 1)]),
            append([write(more, 0, 1)]),
        ])
        .await
        .unwrap();
    assert_eq!(results[0], AppendResult::Conflict { stream, actual_version: Version::new(2) });
    assert_eq!(results[1], AppendResult::Conflict { stream, actual_version: Version::new(2) });
    assert_eq!(
        results[2],
        AppendResult::Conflict { stream: beside, actual_version: Version::ZERO },
        "so is what builds on that"
    );
    assert_eq!(positions(&results[3]), [3], "the others are not");
    let alone = append_one(&*store, append([write(beside, 0, 1), write(stream, 2, 1)])).await;
    assert_eq!(positions(&alone), [4, 5], "decided anew, it is taken");
}

pub async fn a_used_receipt_answers_with_the_first_answer(Fixture { store, other }: Fixture) {
    let (one, two) = (order(), order());
    let with = |stream, expected, key: &str| {
        let mut append = append([write(stream, expected, 2)]);
        append.receipt = Some(receipt(key, stream, expected + 2));
        append
    };
    let results = store.append(vec![with(one, 0, "a"), with(two, 0, "a"), with(one, 2, "b")]).await.unwrap();
    assert_eq!(positions(&results[0]), [1, 2]);
    let AppendResult::Duplicate { receipt: first } = &results[1] else { panic!("{:?}", results[1]) };
    assert_eq!((first.stream, first.version, first.position), (one, Version::new(2), Position::new(2)));
    assert_eq!((first.fingerprint, first.recorded_at), ([7; 32], crate::fixture::moment()));
    assert_eq!(positions(&results[2]), [3, 4]);

    for handle in [&store, &other] {
        let again = append_one(&**handle, with(two, 0, "a")).await;
        assert_eq!(again, AppendResult::Duplicate { receipt: first.clone() });
    }
    let mut elsewhere = with(two, 0, "a");
    elsewhere.receipt.as_mut().unwrap().key.scope = "user:berta".into();
    let keys: Vec<_> = [with(one, 0, "b"), with(one, 0, "none"), with(one, 0, "a"), elsewhere.clone()]
        .map(|append| append.receipt.unwrap().key)
        .into();
    assert_eq!(positions(&append_one(&*other, elsewhere).await), [5, 6], "keys of another scope never meet");

    let receipts = store.receipts(keys).await.unwrap();
    assert_eq!(
        receipts.iter().map(|kept| kept.as_ref().map(|kept| kept.position)).collect::<Vec<_>>(),
        [Some(Position::new(4)), None, Some(Position::new(2)), Some(Position::new(6))]
    );
    assert_eq!(whole_log(&*store).await.len(), 6);
}

pub async fn an_append_without_events_keeps_its_receipt(Fixture { store, .. }: Fixture) {
    let stream = order();
    append_one(&*store, append([write(stream, 0, 3)])).await;
    let mut nothing = append([]);
    nothing.receipt = Some(receipt("done before", stream, 3));
    assert_eq!(append_one(&*store, nothing.clone()).await, AppendResult::Appended { events: Vec::new() });
    let AppendResult::Duplicate { receipt } = append_one(&*store, nothing).await else { panic!("not a duplicate") };
    assert_eq!((receipt.position, receipt.version), (Position::new(3), Version::new(3)));
}

pub async fn a_write_without_events_checks_the_version(Fixture { store, .. }: Fixture) {
    let (guard, stream) = (stock(), order());
    append_one(&*store, append([write(guard, 0, 2)])).await;
    for wrong in [0, 1, 3] {
        let result = append_one(&*store, append([write(guard, wrong, 0), write(stream, 0, 1)])).await;
        assert_eq!(result, AppendResult::Conflict { stream: guard, actual_version: Version::new(2) });
    }
    let result = append_one(&*store, append([write(guard, 2, 0), write(stream, 0, 1)])).await;
    assert_eq!(positions(&result), [3]);
    assert_eq!(store.versions(vec![guard]).await.unwrap(), [2].map(Version::new));
    let unknown = jangbu_kernel::StreamId::new(jangbu_kernel::AggregateKind::Points, new_id());
    assert_eq!(store.read_stream(unknown, Version::FIRST, Version::new(9), 9).await.unwrap(), []);
}
