//! The leaf hash of an event: SHA-256 over a zero byte (RFC 6962 section 2.1,
//! leaf prefix) and the row's canonical form.
//!
//! Storage format. The canonical form is the byte `1` (its version), then these
//! fields in this order, each as a length of four bytes, big-endian, and its
//! bytes:
//!
//! 1. stream kind, text
//! 2. stream id, 16 bytes
//! 3. version, 8 bytes, big-endian
//! 4. event id, 16 bytes
//! 5. event type, text
//! 6. schema version, 8 bytes, big-endian
//! 7. payload, the exact text
//! 8. correlation id, 16 bytes
//! 9. causation id, 16 bytes
//! 10. command id, 16 bytes
//! 11. actor, text
//! 12. trace, empty when there is none (a trace is never empty)
//! 13. recorded at, milliseconds since 1970 UTC, 8 bytes, big-endian two's complement
//!
//! Position and predecessor are left out, so that the hash can be made before the position of the
//! append is known; the Merkle tree covers the position.

use aws_lc_rs::digest;
use jangbu_kernel::{RecordedEvent, Version};
use uuid::Uuid;

const LEAF_PREFIX: u8 = 0x00;
const FORM_VERSION: u8 = 1;
/// Everything except the texts: thirteen lengths and the fields of fixed size.
const FIXED_BYTES: usize = 2 + 13 * 4 + 5 * 16 + 3 * 8;

/// The fields that the leaf hash of an event covers, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafFields<'a> {
    /// Name of the stream's kind.
    pub stream_kind: &'a str,
    /// The stream's id within its kind.
    pub stream_id: Uuid,
    /// Place in the stream, from 1.
    pub version: Version,
    /// The event's own id.
    pub event_id: Uuid,
    /// The event's type.
    pub event_type: &'a str,
    /// Version of the payload's schema.
    pub schema_version: u64,
    /// The payload, byte for byte.
    pub payload: &'a str,
    /// Correlation id.
    pub correlation_id: Uuid,
    /// Causation id.
    pub causation_id: Uuid,
    /// Command id.
    pub command_id: Uuid,
    /// The actor in its text form.
    pub actor: &'a str,
    /// The trace, if there is one.
    pub trace: Option<&'a str>,
    /// When it was recorded, in milliseconds since 1970 UTC.
    pub recorded_at_ms: i64,
}

impl LeafFields<'_> {
    /// The bytes that the hash covers, including the leaf prefix.
    #[must_use]
    pub fn canonical_form(&self) -> Vec<u8> {
        let texts = [self.stream_kind, self.event_type, self.payload, self.actor, self.trace.unwrap_or_default()];
        let mut form = Vec::with_capacity(FIXED_BYTES + texts.iter().map(|text| text.len()).sum::<usize>());
        form.extend_from_slice(&[LEAF_PREFIX, FORM_VERSION]);
        let mut field = |bytes: &[u8]| {
            // No engine stores a field of 4 GiB. The length would be capped, the bytes would not.
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            form.extend_from_slice(&length.to_be_bytes());
            form.extend_from_slice(bytes);
        };
        field(self.stream_kind.as_bytes());
        field(self.stream_id.as_bytes());
        field(&self.version.get().to_be_bytes());
        field(self.event_id.as_bytes());
        field(self.event_type.as_bytes());
        field(&self.schema_version.to_be_bytes());
        field(self.payload.as_bytes());
        field(self.correlation_id.as_bytes());
        field(self.causation_id.as_bytes());
        field(self.command_id.as_bytes());
        field(self.actor.as_bytes());
        field(self.trace.unwrap_or_default().as_bytes());
        field(&self.recorded_at_ms.to_be_bytes());
        form
    }

    /// The Merkle leaf hash.
    #[must_use]
    pub fn leaf_hash(&self) -> [u8; 32] {
        sha256(&self.canonical_form())
    }
}

/// The leaf hash of an event that this program made or read. An actor whose name this version does
/// not know is read as another one than is stored, so verification uses [`crate::row::StoredRow`]s
/// instead.
#[must_use]
pub fn leaf_hash(event: &RecordedEvent) -> [u8; 32] {
    leaf_hash_by(event, &event.meta.actor.to_string())
}

/// The same, for a known text form of the actor, which the events of one command share.
pub(crate) fn leaf_hash_by(event: &RecordedEvent, actor: &str) -> [u8; 32] {
    LeafFields {
        stream_kind: event.stream.kind.name(),
        stream_id: event.stream.id,
        version: event.version,
        event_id: event.event_id.uuid(),
        event_type: &event.event_type,
        schema_version: u64::from(event.schema_version),
        payload: &event.payload,
        correlation_id: event.meta.correlation_id.uuid(),
        causation_id: event.meta.causation_id,
        command_id: event.meta.command_id.uuid(),
        actor,
        trace: event.meta.trace.as_deref(),
        recorded_at_ms: event.meta.recorded_at.timestamp_millis(),
    }
    .leaf_hash()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: LeafFields<'static> = LeafFields {
        stream_kind: "order",
        stream_id: Uuid::from_u128(1),
        version: Version::FIRST,
        event_id: Uuid::from_u128(2),
        event_type: "order.placed",
        schema_version: 1,
        payload: "{}",
        correlation_id: Uuid::from_u128(3),
        causation_id: Uuid::from_u128(4),
        command_id: Uuid::from_u128(5),
        actor: "anonymous",
        trace: None,
        recorded_at_ms: 1_795_223_220_000,
    };

    /// Storage format: this value was made by an independent program from the text of the module,
    /// and must never change.
    #[test]
    fn the_canonical_form_is_frozen() {
        let expected = "55a495399e786f328e62445e761c87362fefe707c62d842c23c96f13afda161d";
        let hash: String = FIELDS.leaf_hash().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, expected);
    }

    #[test]
    fn every_field_counts() {
        let altered = [
            LeafFields { stream_kind: "stock", ..FIELDS },
            LeafFields { stream_id: Uuid::from_u128(9), ..FIELDS },
            LeafFields { version: Version::new(2), ..FIELDS },
            LeafFields { event_id: Uuid::from_u128(9), ..FIELDS },
            LeafFields { event_type: "order.paid", ..FIELDS },
            LeafFields { schema_version: 2, ..FIELDS },
            LeafFields { payload: "{} ", ..FIELDS },
            LeafFields { correlation_id: Uuid::from_u128(9), ..FIELDS },
            LeafFields { causation_id: Uuid::from_u128(9), ..FIELDS },
            LeafFields { command_id: Uuid::from_u128(9), ..FIELDS },
            LeafFields { actor: "operator:anna", ..FIELDS },
            LeafFields { trace: Some("00-1"), ..FIELDS },
            LeafFields { recorded_at_ms: 1_795_223_220_001, ..FIELDS },
        ];
        let mut seen = std::collections::HashSet::from([FIELDS.leaf_hash()]);
        for fields in altered {
            assert!(seen.insert(fields.leaf_hash()), "{fields:?} hashes like another");
        }
    }

    #[test]
    fn the_length_is_reserved_exactly() {
        let form = FIELDS.canonical_form();
        assert_eq!(form.len(), FIXED_BYTES + "order".len() + "order.placed".len() + "{}".len() + "anonymous".len());
    }
}
