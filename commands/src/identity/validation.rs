//! The rules for the fields that users fill in about themselves.

use jangbu_kernel::text;

use super::email::Email;
use super::{Change, Registration};

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

/// Shortest and longest password, in characters as a reader counts them. The upper bound keeps
/// refusing cheap.
pub(super) const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 8..=128;
const MAX_NAME_LENGTH: usize = 100;
const MAX_PHONE_LENGTH: usize = 32;

/// The fields of a registration in their stored form.
pub(super) struct Checked {
    pub(super) email: Email,
    pub(super) name: String,
    pub(super) phone: Option<String>,
}

/// Checks all fields of a registration at once.
pub(super) fn check_registration(registration: &Registration) -> Result<Checked, Vec<FieldError>> {
    let mut errors = Vec::new();
    let email = noted(check_email(&registration.email), &mut errors);
    noted(check_password(&registration.password), &mut errors);
    let name = noted(check_name(&registration.name), &mut errors);
    let given = registration.phone.as_deref().filter(|phone| !text::is_blank(phone));
    let phone = given.and_then(|phone| noted(check_phone(phone), &mut errors));
    match (email, name) {
        (Some(email), Some(name)) if errors.is_empty() => Ok(Checked { email, name, phone }),
        _ => Err(errors),
    }
}

/// Checks a change of name or telephone number; at least one must be given. Returns their stored
/// forms.
pub(super) fn check_contact(
    name: Option<&str>,
    phone: Change<String>,
) -> Result<(Option<String>, Change<String>), Vec<FieldError>> {
    let mut errors = Vec::new();
    if name.is_none() && phone == Change::Keep {
        errors.push(error("", "nothing_to_change", "give a name or a phone"));
    }
    let name = name.and_then(|name| noted(check_name(name), &mut errors));
    let phone = match phone {
        Change::Set(phone) => noted(check_phone(&phone), &mut errors).map_or(Change::Keep, Change::Set),
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
    };
    if errors.is_empty() { Ok((name, phone)) } else { Err(errors) }
}

fn noted<T>(checked: Result<T, FieldError>, errors: &mut Vec<FieldError>) -> Option<T> {
    checked.map_err(|error| errors.push(error)).ok()
}

fn check_name(name: &str) -> Result<String, FieldError> {
    text::line(name)
        .ok()
        .filter(|name| name.chars().count() <= MAX_NAME_LENGTH)
        .ok_or_else(|| error("/name", "invalid_name", "a name has 1 to 100 characters that can be seen, in one line"))
}

/// An e-mail address in its normal form.
///
/// # Errors
/// When the text is not an address.
pub fn check_email(email: &str) -> Result<Email, FieldError> {
    Email::parse(email).map_err(|_| error("/email", "invalid_email", "not an e-mail address"))
}

/// Whether a password may be chosen.
///
/// # Errors
/// When it does not have 8 to 128 characters, as a reader counts them.
pub fn check_password(password: &str) -> Result<(), FieldError> {
    if PASSWORD_LENGTH.contains(&text::clusters(&text::composed(password))) {
        return Ok(());
    }
    Err(error("/password", "invalid_length", "a password has 8 to 128 characters"))
}

/// The stored form of a telephone number.
///
/// # Errors
/// When the text is not a telephone number.
pub fn check_phone(phone: &str) -> Result<String, FieldError> {
    let fits = |phone: &String| {
        (3..=MAX_PHONE_LENGTH).contains(&phone.len())
            && phone.chars().any(|c| c.is_ascii_digit())
            && phone.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.'))
    };
    let invalid = || error("/phone", "invalid_phone", "a phone number has 3 to 32 digits, spaces and + - ( ) .");
    text::line(&text::compatible(phone)).ok().filter(fits).ok_or_else(invalid)
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
        .err()
        .unwrap();
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer).collect();
        assert_eq!(pointers, ["/email", "/password", "/name", "/phone"]);
    }

    #[test]
    fn a_contact_is_kept_in_one_form() {
        let (name, phone) =
            check_contact(Some(" \u{1100}\u{1161}\u{200b}나 "), Change::Set("０１０-１２３４".to_owned())).unwrap();
        assert_eq!((name.as_deref(), phone), (Some("가나"), Change::Set("010-1234".to_owned())));
        for invisible in ["\u{3164}", "\u{200b}", "a\u{202e}b", "a\nb"] {
            assert!(check_contact(Some(invisible), Change::Keep).is_err(), "{invisible:?}");
        }
        assert_eq!(check_contact(None, Change::Clear), Ok((None, Change::Clear)));
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
        // Two code points each, which count as four characters.
        assert!(check_registration(&registration(&"e\u{301}".repeat(4))).is_err());
        assert!(check_registration(&registration(&text::decomposed("비밀번호여덟글자"))).is_ok());
        assert!(check_registration(&registration("비밀번호")).is_err());
        assert!(check_registration(&registration(&"x".repeat(129))).is_err());
    }
}
