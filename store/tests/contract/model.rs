//! Random batches on an engine and on the memory engine, which is simple enough to understand: both
//! must give the same results and end in the same state.

use jangbu_kernel::log::{Append, EventLog as _};
use jangbu_kernel::{Position, StreamId, Version};
use jangbu_store::MemoryStore;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::fixture::{Fixture, append, order, receipt, stock, whole_log, write};

/// An append in small numbers: for each write the stream, the error of its expected version and the
/// number of events; and a receipt's key.
type Sketch = (Vec<(usize, i8, usize)>, Option<u8>);

fn sketches() -> impl Strategy<Value = Vec<Vec<Sketch>>> {
    let off = prop_oneof![8 => Just(0_i8), 1 => Just(-1), 1 => Just(1)];
    let write = (0..3_usize, off, 0..4_usize);
    let append = (prop::collection::vec(write, 0..3), prop::option::weighted(0.2, 0..8_u8));
    prop::collection::vec(prop::collection::vec(append, 1..6), 1..16)
}

pub async fn random_batches_end_as_in_the_model(Fixture { store, other }: Fixture) {
    let mut runner = TestRunner::deterministic();
    let model = MemoryStore::new();
    for _ in 0..40 {
        let streams = [order(), stock(), order()];
        let batches = sketches().new_tree(&mut runner).unwrap().current();
        for (n, batch) in batches.into_iter().enumerate() {
            let mut versions = model.versions(streams.to_vec()).await.unwrap();
            let batch: Vec<Append> = batch.into_iter().map(|sketch| draw(sketch, &streams, &mut versions)).collect();
            let handle = if n % 2 == 0 { &store } else { &other };
            let expected = model.append(batch.clone()).await.unwrap();
            assert_eq!(handle.append(batch.clone()).await.unwrap(), expected, "for {batch:#?}");
        }
        let asked = streams.to_vec();
        assert_eq!(store.versions(asked.clone()).await.unwrap(), model.versions(asked).await.unwrap());
    }
    assert_eq!(whole_log(&*store).await, whole_log(&model).await);
    let head = store.head().await.unwrap();
    assert!(head > Position::new(300), "{head} events: most batches were refused, little was compared");
}

/// Makes the append, expecting that all earlier ones of its batch are accepted.
fn draw((writes, key): Sketch, streams: &[StreamId], versions: &mut [Version]) -> Append {
    let mut writes: Vec<_> = writes
        .into_iter()
        .map(|(n, off, count)| write(streams[n], versions[n].get().saturating_add_signed(off.into()), count))
        .collect();
    // Each write of an append goes to another stream here.
    writes.sort_by_key(|write| write.stream);
    writes.dedup_by_key(|write| write.stream);
    for write in &writes {
        let n = streams.iter().position(|stream| *stream == write.stream).unwrap();
        versions[n] = versions[n].plus(write.events.len() as u64);
    }
    // A receipt names the version that its stream has once the append is accepted. If the append
    // does not write the stream, it names version 0.
    let own = writes.iter().find(|write| write.stream == streams[0]);
    let version = own.map_or(0, |write| write.expected_version.plus(write.events.len() as u64).get());
    let mut append = append(writes);
    append.receipt = key.map(|key| receipt(&format!("{}-{key}", streams[0]), streams[0], version));
    append
}
