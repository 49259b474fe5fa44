//! Passwords that the program generates and shows once.

use uuid::Uuid;

/// 122 random bits in a form that can be typed.
pub(crate) fn made_up_password() -> String {
    let digits = Uuid::new_v4().simple().to_string();
    let groups = digits.as_bytes().chunks(8).map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_password_is_long_and_new_each_time() {
        assert_eq!(made_up_password().len(), 35);
        assert_ne!(made_up_password(), made_up_password());
    }
}
