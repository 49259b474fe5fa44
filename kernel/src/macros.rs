//! The macros that declare an aggregate's events and name an enum's variants.

/// One event type, as listed in the schema catalogue.
pub struct EventTypeInfo {
    /// `<aggregate>.<past_tense>`.
    pub event_type: &'static str,
    /// Version of the payload's schema.
    pub schema_version: u16,
    /// The JSON Schema of the payload, generated from the type.
    pub schema: fn() -> schemars::Schema,
    /// The upcasters for payloads of earlier versions, oldest first.
    pub upcasters: &'static [Upcaster],
}

/// Turns the payload of one version into that of the next.
#[derive(Clone, Copy)]
pub struct Upcaster {
    /// The version that it reads; the result is the next version.
    pub from: u16,
    /// Changes the payload's fields. It never fails: fields that it cannot interpret stay as they
    /// are, and reading the result as the payload's type then fails.
    pub change: fn(&mut serde_json::Map<String, serde_json::Value>),
}

/// Reads a payload of an earlier version: every upcaster from that version on is applied.
///
/// # Errors
/// The parser's error for the payload, or for the result of the upcasters.
pub fn read_older<T: serde::de::DeserializeOwned>(
    upcasters: &[Upcaster],
    version: u16,
    payload: &str,
) -> Result<T, serde_json::Error> {
    let mut fields = serde_json::from_str(payload)?;
    for upcaster in upcasters.iter().filter(|upcaster| upcaster.from >= version) {
        (upcaster.change)(&mut fields);
    }
    serde_json::from_value(serde_json::Value::Object(fields))
}

/// A stored event that this program cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The type or its version is not known: the log was written by a newer program.
    #[error("unknown event type {event_type} v{schema_version}")]
    UnknownType {
        /// The stored type.
        event_type: String,
        /// The stored version.
        schema_version: u16,
    },
    /// The payload does not fit its schema.
    #[error("payload of {event_type} v{schema_version} does not fit its schema")]
    Payload {
        /// The stored type.
        event_type: String,
        /// The stored version.
        schema_version: u16,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
}

/// Gives enums the names of their variants: `ALL`, `name` and `from_name`.
///
/// The enum derives `EnumString`, `IntoStaticStr` and `VariantArray` of `strum` with
/// `#[strum(serialize_all = "snake_case")]`. The names are derived from the variants in the same
/// way as serde does it, so that events, read models, JSON and the command line use the same
/// spelling.
#[macro_export]
macro_rules! named {
    ($($name:ty),+ $(,)?) => {$(
        impl $name {
            /// All variants, in the order of their declaration.
            pub const ALL: &'static [Self] = <Self as ::strum::VariantArray>::VARIANTS;
            /// The name in JSON, in queries and on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                self.into()
            }
            /// The variant with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                name.parse().ok()
            }
        }
    )+};
}

/// Declares an aggregate's event enum from its payload structs.
///
/// ```ignore
/// events! {
///     /// What happened to an order.
///     pub enum OrderEvent {
///         "order.placed" v 1 => Placed(OrderPlaced),
///         "order.paid" v 3 => Paid(OrderPaid) { 1 => add_the_currency, 2 => name_the_payment },
///     }
/// }
/// ```
/// This declares the enum with `From` each payload, `event_type()`, `schema_version()`,
/// `payload_json()`, `decode(type, version, json)` and `TYPES`, and gives each payload its `TYPE`.
/// A later version names for each earlier one how it becomes the next ([`Upcaster`]): stored
/// payloads stay as they are, and are read as if they had been written today.
#[macro_export]
macro_rules! events {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($type:literal v $version:literal => $variant:ident($payload:ident) $({ $($from:literal => $change:path),+ $(,)? })?,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "the payload struct of the variant carries the text")]
        pub enum $name { $($variant($payload),)+ }

        impl $name {
            /// The event types of this aggregate, in the order of their declaration.
            pub const TYPES: &'static [$crate::macros::EventTypeInfo] = &[
                $($crate::macros::EventTypeInfo {
                    event_type: $type,
                    schema_version: $version,
                    schema: || $crate::__private::schemars::schema_for!($payload),
                    upcasters: &[$($($crate::macros::Upcaster { from: $from, change: $change }),+)?],
                },)+
            ];

            /// `<aggregate>.<past_tense>`.
            #[must_use]
            pub const fn event_type(&self) -> &'static str {
                match self { $(Self::$variant(_) => $type,)+ }
            }

            /// Version of the payload's schema.
            #[must_use]
            pub const fn schema_version(&self) -> u16 {
                match self { $(Self::$variant(_) => $version,)+ }
            }

            /// The payload as it is stored.
            #[must_use]
            pub fn payload_json(&self) -> String {
                let written = match self {
                    $(Self::$variant(payload) => $crate::__private::serde_json::to_string(payload),)+
                };
                // Payloads are plain structs with text keys, which always serialize.
                written.unwrap_or_else(|_| $crate::__private::never("a payload could not be written", String::new()))
            }

            /// Reads a stored payload.
            ///
            /// # Errors
            /// When the type or version is unknown, or the payload does not fit.
            pub fn decode(event_type: &str, schema_version: u16, payload: &str) -> Result<Self, $crate::macros::DecodeError> {
                match (event_type, schema_version) {
                    $(($type, $version) => $crate::__private::serde_json::from_str::<$payload>(payload)
                        .map(Self::$variant)
                        .map_err(|source| $crate::macros::DecodeError::Payload {
                            event_type: event_type.to_owned(), schema_version, source,
                        }),)+
                    $($(($type, $($from)|+) => $crate::macros::read_older::<$payload>(
                            &[$($crate::macros::Upcaster { from: $from, change: $change }),+], schema_version, payload,
                        )
                        .map(Self::$variant)
                        .map_err(|source| $crate::macros::DecodeError::Payload {
                            event_type: event_type.to_owned(), schema_version, source,
                        }),)?)+
                    _ => Err($crate::macros::DecodeError::UnknownType {
                        event_type: event_type.to_owned(), schema_version,
                    }),
                }
            }
        }

        $(impl From<$payload> for $name {
            fn from(payload: $payload) -> Self { Self::$variant(payload) }
        }

        impl $payload {
            /// The event's type.
            pub const TYPE: &'static str = $type;
        })+
    };
}
