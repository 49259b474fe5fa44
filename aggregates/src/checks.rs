//! Small checks that several aggregates share.

use jangbu_kernel::{Refusal, RefusalCode, Remark};

/// The longest reason that a person may give, in characters.
pub(crate) const LONGEST_REASON: usize = 500;

/// The refusal for a thing that does not exist, or is not the caller's. It is the same for both, so
/// that nobody learns which ids exist.
pub(crate) fn not_found(thing: &str) -> Refusal {
    Refusal::new(RefusalCode::NotFound, format!("no such {thing}"))
}

/// The refusal for a missing reason of staff.
pub(crate) fn missing_reason() -> Refusal {
    Refusal::new(RefusalCode::ValidationFailed, "a reason is needed").at("/reason")
}

/// Checks that a reason is some text, and not too long.
pub(crate) fn reason(text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(missing_reason());
    }
    if text.chars().count() > LONGEST_REASON {
        let detail = format!("a reason has at most {LONGEST_REASON} characters");
        return Err(Refusal::new(RefusalCode::ValidationFailed, detail).at("/reason"));
    }
    Ok(())
}

/// The same for a reason that may be sealed; a sealed one was checked before it was sealed.
pub(crate) fn remark(reason: &Remark) -> Result<(), Refusal> {
    match reason {
        Remark::Plain(text) => self::reason(text),
        Remark::Sealed { .. } => Ok(()),
    }
}
