//! What a card token makes the gateway do, and the random faults under load.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

/// The behaviour of the gateway for a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// The money is taken and the answer is given.
    Capture,
    /// The charge is declined with this code.
    Decline(&'static str),
    /// The buyer has to confirm first.
    Challenge,
    /// The buyer pays at a page of the sandbox.
    Page(Page),
    /// The money is taken, the answer never comes.
    LoseAnswer,
    /// Nothing is taken and no answer comes.
    LoseRequest,
    /// Two errors, then the money is taken.
    FailTwice,
    /// The money is taken after a while.
    Slow,
    /// The money is taken, and the webhook is sent five times, once before the answer.
    TellFiveTimes,
}

/// How a charge is paid at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// By a transfer: the money arrives some time after the buyer's action.
    pub is_transfer: bool,
    /// No webhook is sent about the result; it is only found by an inquiry.
    pub is_silent: bool,
}

/// How many errors `tok_error_then_ok` gives before it succeeds.
pub const FAILURES: i64 = 2;
/// How often the webhook of `tok_duplicate_webhook` is sent.
pub const DUPLICATES: usize = 5;

const TOKENS: [(&str, Script); 10] = [
    ("tok_ok", Script::Capture),
    ("tok_declined", Script::Decline("card_declined")),
    ("tok_insufficient_funds", Script::Decline("insufficient_funds")),
    ("tok_challenge", Script::Challenge),
    ("tok_redirect", Script::Page(Page { is_transfer: false, is_silent: false })),
    ("tok_timeout_charged", Script::LoseAnswer),
    ("tok_timeout_not_charged", Script::LoseRequest),
    ("tok_error_then_ok", Script::FailTwice),
    ("tok_slow", Script::Slow),
    ("tok_duplicate_webhook", Script::TellFiveTimes),
];

impl Script {
    /// The behaviour for a charge by a method. An unknown method is declined.
    pub fn of(method: &str, details: &BTreeMap<String, String>) -> Self {
        match method {
            "card" => Self::of_token(details.get("card_token").map_or("", String::as_str)),
            "bank_transfer" => {
                let is_silent = details.get("bank").is_some_and(|bank| bank == "silent");
                Self::Page(Page { is_transfer: true, is_silent })
            }
            _ => Self::Decline("unknown_method"),
        }
    }

    /// Reads a token: one of the known ones, alone or with a suffix after `_`. Any other is a card
    /// that the gateway does not know.
    fn of_token(token: &str) -> Self {
        let known = TOKENS.iter().find(|(name, _)| {
            token.strip_prefix(name).is_some_and(|suffix| suffix.is_empty() || suffix.starts_with('_'))
        });
        known.map_or(Self::Decline("invalid_card_token"), |(_, script)| *script)
    }
}

/// Fault rates, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Declined charges.
    pub decline: u32,
    /// Charges whose answer never comes; half of them are charged.
    pub timeout: u32,
    /// Charges whose webhook is sent five times.
    pub duplicate: u32,
}

impl Rates {
    /// Whether any fault can happen.
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// The behaviour for the `throw`th charge since the rates were set. Equal seeds give equal
    /// results, whatever the keys of the charges are.
    pub fn throw(self, seed: u64, throw: u64) -> Script {
        if die(seed, throw, 0) < self.decline {
            return Script::Decline("card_declined");
        }
        if die(seed, throw, 1) < self.timeout {
            let charged = die(seed, throw, 2) < ONE / 2;
            return if charged { Script::LoseAnswer } else { Script::LoseRequest };
        }
        if die(seed, throw, 3) < self.duplicate {
            return Script::TellFiveTimes;
        }
        Script::Capture
    }
}

/// A rate of one, in millionths.
pub const ONE: u32 = 1_000_000;

/// An even number in 0..[`ONE`].
fn die(seed: u64, throw: u64, face: u8) -> u32 {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(throw.to_be_bytes());
    hash.update([face]);
    let digest: [u8; 32] = hash.finalize().into();
    let number = digest.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    u32::try_from(number % u64::from(ONE)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_carry_a_suffix() {
        assert_eq!(Script::of_token("tok_ok"), Script::Capture);
        assert_eq!(Script::of_token("tok_ok_42"), Script::Capture);
        assert_eq!(Script::of_token("tok_timeout_not_charged_x_y"), Script::LoseRequest);
        for stranger in ["", "tok", "tok_okay", "tok_ok42", "TOK_OK", "4111111111111111"] {
            assert_eq!(Script::of_token(stranger), Script::Decline("invalid_card_token"), "{stranger}");
        }
    }

    #[test]
    fn equal_seeds_throw_equal_faults_at_about_the_rate() {
        let rates = Rates { decline: 300_000, timeout: 20_000, duplicate: 50_000 };
        let run = |seed| (0..10_000).map(|throw| rates.throw(seed, throw)).collect::<Vec<_>>();
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let declined = run(7).iter().filter(|script| **script == Script::Decline("card_declined")).count();
        assert!((2_800..3_200).contains(&declined), "{declined}");
        let sure = Rates { decline: ONE, ..Rates::default() };
        assert!((0..1_000).all(|throw| sure.throw(1, throw) == Script::Decline("card_declined")));
        assert!((0..1_000).all(|throw| Rates::default().throw(1, throw) == Script::Capture));
    }
}
