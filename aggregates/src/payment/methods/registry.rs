//! The methods there are, one line each.

use super::card::Card;
use super::points::Points;
use super::{MethodName, PaymentMethod};

static METHODS: &[&dyn PaymentMethod] = &[&Card, &Points];

/// The strategy of a method.
#[must_use]
pub fn method(name: MethodName) -> &'static dyn PaymentMethod {
    // The match, not a search, so that a name without a strategy does not compile.
    match name {
        MethodName::Card => &Card,
        MethodName::Points => &Points,
    }
}

/// Every method that can be used.
#[must_use]
pub fn registered_methods() -> &'static [&'static dyn PaymentMethod] {
    METHODS
}
