//! The rules of the fields a person fills in about themselves.

use super::Registration;
use super::email::Email;

/// A value that breaks a rule of its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the request.
    pub pointer: &'static str,
    /// Stable code of the rule.
    pub code: &'static str,
    /// One sentence for a person.
    pub detail: String,
}

/// Shortest and longest password, in characters. The upper bound keeps hashing cheap to refuse.
pub(super) const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 8..=128;
const MAX_NAME_LENGTH: usize = 100;
const MAX_PHONE_LENGTH: usize = 32;

/// Checks all fields of a sign-up at once.
pub(super) fn check_registration(registration: &Registration) -> Result<Email, Vec<FieldError>> {
    let mut errors = Vec::new();
    let email = Email::parse(&registration.email);
    if email.is_err() {
        errors.push(error("/email", "invalid_email", "not an e-mail address"));
    }
    if !PASSWORD_LENGTH.contains(&registration.password.chars().count()) {
        errors.push(error("/password", "invalid_length", "a password has 8 to 128 characters"));
    }
    errors.extend(check_name(&registration.name));
    errors.extend(registration.phone.as_deref().and_then(check_phone));
    match email {
        Ok(email) if errors.is_empty() => Ok(email),
        _ => Err(errors),
    }
}

/// Checks a change of name or telephone number; one of them must be there.
pub(super) fn check_contact(name: Option<&str>, phone: Option<&str>) -> Result<(), Vec<FieldError>> {
    let mut errors = Vec::new();
    if name.is_none() && phone.is_none() {
        errors.push(error("", "nothing_to_change", "give a name or a phone"));
    }
    errors.extend(name.and_then(check_name));
    errors.extend(phone.and_then(check_phone));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_name(name: &str) -> Option<FieldError> {
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().count() <= MAX_NAME_LENGTH && !name.chars().any(char::is_control);
    (!fits).then(|| error("/name", "invalid_name", "a name has 1 to 100 characters and no control characters"))
}

fn check_phone(phone: &str) -> Option<FieldError> {
    let fits = (3..=MAX_PHONE_LENGTH).contains(&phone.len())
        && phone.chars().any(|c| c.is_ascii_digit())
        && phone.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.'));
    (!fits).then(|| error("/phone", "invalid_phone", "a phone number has 3 to 32 digits, spaces and + - ( ) ."))
}

fn error(pointer: &'static str, code: &'static str, detail: &str) -> FieldError {
    FieldError { pointer, code, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        let errors = check_registration(&Registration {
            email: "nobody".to_owned(),
            password: "short".to_owned(),
            name: " ".to_owned(),
            phone: Some("call me".to_owned()),
        })
        .unwrap_err();
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer).collect();
        assert_eq!(pointers, ["/email", "/password", "/name", "/phone"]);
    }

    #[test]
    fn a_password_is_counted_in_characters() {
        let registration = |password: &str| Registration {
            email: "kim@example.com".to_owned(),
            password: password.to_owned(),
            name: "김민지".to_owned(),
            phone: None,
        };
        assert!(check_registration(&registration("비밀번호여덟글자")).is_ok());
        assert!(check_registration(&registration("비밀번호")).is_err());
        assert!(check_registration(&registration(&"x".repeat(129))).is_err());
    }
}
