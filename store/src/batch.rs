//! The result of a batch of appends, the same for every engine: each append is prepared (rows and
//! hashes are made), judged in order, and settled into its result.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jangbu_kernel::log::{Append, AppendResult, NewReceipt, Receipt, ReceiptKey};
use jangbu_kernel::time::to_millis;
use jangbu_kernel::{Position, RecordedEvent, StreamId, Timestamp, Version};

use crate::hash::leaf_hash_by;

/// The part of an append that belongs to one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlannedWrite {
    pub stream: StreamId,
    pub expected_version: Version,
    pub count: u64,
}

/// An append with its rows made. Only the positions are missing: they are 0.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub writes: Vec<PlannedWrite>,
    pub events: Vec<RecordedEvent>,
    /// The text form of each event's actor.
    pub actors: Vec<Arc<str>>,
    pub receipt: Option<NewReceipt>,
    pub recorded_at: Timestamp,
}

/// The verdict on an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its events follow position `base`.
    Accepted {
        base: Position,
    },
    Conflict {
        stream: StreamId,
        actual_version: Version,
    },
    Duplicate(Receipt),
}

impl Verdict {
    /// The same verdict for a batch that was judged from position 0 and written after `base`.
    pub(crate) fn behind(self, base: Position) -> Self {
        match self {
            Self::Accepted { base: offset } => Self::Accepted { base: base.plus(offset.get()) },
            Self::Conflict { .. } | Self::Duplicate(_) => self,
        }
    }
}

/// The part of the log's state that judging needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub head: Position,
    /// Streams that exist. A stream that is missing here is at version 0.
    pub versions: HashMap<StreamId, Version>,
    pub receipts: HashMap<ReceiptKey, Receipt>,
}

/// Makes rows and leaf hashes. This takes time in proportion to the payloads, so it is done before
/// any lock or queue.
pub(crate) fn prepare(batch: Vec<Append>) -> Vec<Prepared> {
    batch.into_iter().map(prepare_one).collect()
}

fn prepare_one(append: Append) -> Prepared {
    let recorded_at = to_millis(append.meta.recorded_at);
    let common: Arc<str> = append.meta.actor.to_string().into();
    let mut writes = Vec::with_capacity(append.writes.len());
    let mut events = Vec::new();
    let mut actors = Vec::new();
    for write in append.writes {
        let actor = match &write.meta {
            Some(own) if own.actor != append.meta.actor => own.actor.to_string().into(),
            Some(_) | None => Arc::clone(&common),
        };
        let mut meta = write.meta.unwrap_or_else(|| append.meta.clone());
        meta.recorded_at = recorded_at;
        writes.push(PlannedWrite {
            stream: write.stream,
            expected_version: write.expected_version,
            count: write.events.len() as u64,
        });
        for (version, event) in write.expected_version.next().onwards().zip(write.events) {
            let mut recorded = RecordedEvent {
                position: Position::ZERO,
                stream: write.stream,
                version,
                event_id: event.event_id,
                event_type: event.event_type.to_owned(),
                schema_version: event.schema_version,
                payload: event.payload,
                meta: meta.clone(),
                hash: [0; 32],
            };
            recorded.hash = leaf_hash_by(&recorded, &actor);
            events.push(recorded);
            actors.push(Arc::clone(&actor));
        }
    }
    Prepared { writes, events, actors, receipt: append.receipt, recorded_at }
}

/// The streams and receipt keys of a batch, each once. The keys are sorted.
pub(crate) fn touched(batch: &[Prepared]) -> (Vec<StreamId>, Vec<ReceiptKey>) {
    let streams: HashSet<StreamId> =
        batch.iter().flat_map(|append| append.writes.iter().map(|write| write.stream)).collect();
    let mut keys: Vec<ReceiptKey> =
        batch.iter().filter_map(|append| append.receipt.as_ref()).map(|receipt| receipt.key.clone()).collect();
    keys.sort();
    keys.dedup();
    (streams.into_iter().collect(), keys)
}

/// Judges the appends in order, each on the state that the accepted ones before it leave.
pub(crate) fn judge(batch: &[Prepared], known: &mut Known) -> Vec<Verdict> {
    let mut refused = Refused::default();
    batch.iter().map(|append| refused.note(append, judge_one(append, known, &refused))).collect()
}

/// The streams of the appends that a batch has refused so far. Later appends of the batch to these
/// streams build on the refused one. Their expected version may be right by chance, when another
/// writer has appended as many events, but the state they were decided on is wrong.
#[derive(Debug, Default)]
pub(crate) struct Refused(HashSet<StreamId>);

impl Refused {
    /// Notes an append that is not carried out; returns its verdict.
    pub fn note(&mut self, append: &Prepared, verdict: Verdict) -> Verdict {
        if !matches!(verdict, Verdict::Accepted { .. }) {
            self.0.extend(append.writes.iter().map(|write| write.stream));
        }
        verdict
    }
}

/// Judges one append and, if it is accepted, applies it to `known`.
pub(crate) fn judge_one(append: &Prepared, known: &mut Known, refused: &Refused) -> Verdict {
    // The receipt comes first: a repeated command usually conflicts as well, and its caller has to
    // get the first answer, not a conflict.
    if let Some(first) = append.receipt.as_ref().and_then(|receipt| known.receipts.get(&receipt.key)) {
        return Verdict::Duplicate(first.clone());
    }
    let mut moved: Vec<(StreamId, Version)> = Vec::with_capacity(append.writes.len());
    for write in &append.writes {
        let earlier = moved.iter().rev().find(|(stream, _)| *stream == write.stream).map(|(_, version)| *version);
        let stored = known.versions.get(&write.stream).copied().unwrap_or_default();
        if earlier.unwrap_or(stored) != write.expected_version || refused.0.contains(&write.stream) {
            return Verdict::Conflict { stream: write.stream, actual_version: stored };
        }
        moved.push((write.stream, write.expected_version.plus(write.count)));
    }
    let base = known.head;
    known.head = base.plus(append.events.len() as u64);
    known.versions.extend(moved);
    if let Some(new) = &append.receipt {
        known.receipts.insert(new.key.clone(), stored_receipt(new, known.head, append.recorded_at));
    }
    Verdict::Accepted { base }
}

/// A new receipt as it is stored, with an append that ends at `position`.
pub(crate) fn stored_receipt(new: &NewReceipt, position: Position, recorded_at: Timestamp) -> Receipt {
    Receipt { fingerprint: new.fingerprint, stream: new.stream, version: new.version, position, recorded_at }
}

/// The accepted appends with their base positions.
pub(crate) fn accepted<'a>(
    batch: &'a [Prepared],
    verdicts: &'a [Verdict],
) -> impl Iterator<Item = (&'a Prepared, Position)> {
    batch.iter().zip(verdicts).filter_map(|(append, verdict)| match verdict {
        Verdict::Accepted { base } => Some((append, *base)),
        Verdict::Conflict { .. } | Verdict::Duplicate(_) => None,
    })
}

/// Turns verdicts into the results for the callers.
pub(crate) fn settle(batch: Vec<Prepared>, verdicts: Vec<Verdict>) -> Vec<AppendResult> {
    batch.into_iter().zip(verdicts).map(|(append, verdict)| settle_one(append, verdict)).collect()
}

fn settle_one(append: Prepared, verdict: Verdict) -> AppendResult {
    match verdict {
        Verdict::Accepted { base } => {
            let events = base.next().onwards().zip(append.events).map(|(position, mut event)| {
                event.position = position;
                Arc::new(event)
            });
            AppendResult::Appended { events: events.collect() }
        }
        Verdict::Conflict { stream, actual_version } => AppendResult::Conflict { stream, actual_version },
        Verdict::Duplicate(receipt) => AppendResult::Duplicate { receipt },
    }
}
