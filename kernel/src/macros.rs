//! The macros that declare an aggregate's events and name an enum's variants.

/// One event type as the schema catalogue lists it.
pub struct EventTypeInfo {
    /// `<aggregate>.<past_tense>`.
    pub event_type: &'static str,
    /// Version of the payload's schema.
    pub schema_version: u16,
    /// The JSON Schema of the payload, made from the type.
    pub schema: fn() -> schemars::Schema,
    /// How payloads of earlier versions are read, oldest first.
    pub upcasters: &'static [Upcaster],
}

/// Turns the payload of one version into that of the next.
#[derive(Clone, Copy)]
pub struct Upcaster {
    /// The version it reads; it gives the one after it.
    pub from: u16,
    /// Changes the payload's fields. It never fails: what it cannot make sense of stays as it
    /// is, and reading the payload's type finds out.
    pub change: fn(&mut serde_json::Map<String, serde_json::Value>),
}

/// Reads a payload of an earlier version: every upcaster from that version on is applied.
///
/// # Errors
/// What the parser says of the payload, or of what became of it.
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
    /// The type or its version is not known here: the log was written by a newer version.
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
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
}

/// Gives enums the names of their variants: `ALL`, `name` and `from_name`.
///
/// The enum derives `EnumString`, `IntoStaticStr` and `VariantArray` of `strum` with
/// `#[strum(serialize_all = "snake_case")]`. Its names are made of its variants, as
/// serde makes them, so that events, read models, JSON and the command line spell them alike.
#[macro_export]
macro_rules! named {
    ($($name:ty),+ $(,)?) => {$(
        impl $name {
            /// Every one, in the order in which they are declared.
            pub const ALL: &'static [Self] = <Self as ::strum::VariantArray>::VARIANTS;
            /// The name in JSON, in queries and on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                self.into()
            }
            /// The one with this name.
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
/// gives the enum, `From` each payload, `event_type()`, `schema_version()`,
/// `payload_json()`, `decode(type, version, json)` and `TYPES`, and each payload its
/// `TYPE`. A later version names how each earlier one becomes the next ([`Upcaster`]):
/// what was stored stays as it is and is read as if it were written today.
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
            /// The event types of this aggregate, in order of declaration.
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
                // Payloads are plain structs with text keys: writing one cannot fail.
                written.unwrap_or_else(|_| $crate::__private::never("a payload could not be written", String::new()))
            }

            /// Reads a stored payload.
            ///
            /// # Errors
            /// An unknown type or version, or a payload that does not fit.
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
