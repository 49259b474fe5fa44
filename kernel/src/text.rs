//! Text as people write it: the one place that defines how it is stored, when two texts are the
//! same, and which texts are refused.
//!
//! | field | kept as | the same when |
//! |---|---|---|
//! | name, address, reference, carrier, tracking number | [`line()`] | equal; a tracking number by its [`key`] |
//! | reason, note, description | [`prose`] | equal |
//! | telephone number | [`compatible`], then [`line()`] | equal |
//! | words of a search | not kept | [`folded`] |
//! | slug | [`slug`] | equal |
//! | e-mail address | lower case, NFC | local part [`folded`], domain in its ASCII form (IDNA) |
//! | password | never | NFC ([`composed`]); its length is in [`clusters`] |
//!
//! A text without a visible character is not a text: [`Unfit::Blank`].

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// A range of characters, with both ends.
pub type Range = (char, char);

/// Never part of a text: control characters except tab and line breaks, explicit changes of the
/// writing direction (they show a text in another order than it has), and code points that are not
/// characters.
pub const REFUSED: &[Range] = &[
    ('\u{0}', '\u{8}'),
    ('\u{b}', '\u{c}'),
    ('\u{e}', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2066}', '\u{2069}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{fffe}', '\u{ffff}'),
];

/// Allowed in a text of several lines, but not in one line.
const NOT_IN_A_LINE: &[Range] =
    &[('\t', '\n'), ('\r', '\r'), ('\u{61c}', '\u{61c}'), ('\u{200e}', '\u{200f}'), ('\u{2028}', '\u{2029}')];

/// Characters without a visible shape: white space, what Unicode calls default ignorable, and
/// letters that are blank, such as the Hangul fillers.
pub const INVISIBLE: &[Range] = &[
    ('\t', '\n'),
    ('\r', '\r'),
    (' ', ' '),
    ('\u{a0}', '\u{a0}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{2000}', '\u{200f}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{2065}'),
    ('\u{206a}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Invisible characters that change the visible character before them, such as the choice between a
/// plain sign and its coloured picture. They are kept after that character.
const MODIFIERS: &[Range] = &[('\u{180b}', '\u{180d}'), ('\u{fe00}', '\u{fe0f}'), ('\u{e0020}', '\u{e01ef}')];

/// Invisible characters that have no meaning within a line.
const MEANINGLESS: &[Range] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200b}'),
    ('\u{2060}', '\u{2064}'),
    ('\u{feff}', '\u{feff}'),
];

/// Why a text cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It contains characters that are not allowed there.
    #[error("control characters and changes of the writing direction are not allowed here")]
    Characters,
    /// It has no visible character.
    #[error("there is nothing to see in it")]
    Blank,
}

/// The stored form of a text of one line: NFC, without blanks around it and without characters that
/// have no meaning in it.
///
/// # Errors
/// [`Unfit`].
pub fn line(text: &str) -> Result<String, Unfit> {
    let trimmed = trimmed(text)?;
    if trimmed.chars().any(|c| is_in(c, NOT_IN_A_LINE)) {
        return Err(Unfit::Characters);
    }
    Ok(trimmed.chars().filter(|c| !is_in(*c, MEANINGLESS)).nfc().collect())
}

/// The stored form of a text of several lines: NFC, without blanks around it.
///
/// # Errors
/// [`Unfit`].
pub fn prose(text: &str) -> Result<String, Unfit> {
    trimmed(text).map(composed)
}

fn trimmed(text: &str) -> Result<&str, Unfit> {
    if text.chars().any(|c| is_in(c, REFUSED)) {
        return Err(Unfit::Characters);
    }
    let seen = |c: char| !is_in(c, INVISIBLE);
    let (Some(start), Some(last)) = (text.find(seen), text.rfind(seen)) else { return Err(Unfit::Blank) };
    let mut ends = text.get(last..).unwrap_or_default().char_indices();
    let (_, letter) = ends.next().unwrap_or_default();
    let modifiers = ends.take_while(|(_, c)| is_in(*c, MODIFIERS)).last();
    let length = modifiers.map_or(letter.len_utf8(), |(place, c)| place + c.len_utf8());
    text.get(start..last + length).ok_or(Unfit::Blank)
}

/// Characters of a slug.
pub const LONGEST_SLUG: usize = 80;

/// What a slug looks like in its stored form, beside its length: words of lower-case letters, digits and
/// Hangul syllables with a hyphen between them.
pub const SLUG_PATTERN: &str = "^[a-z0-9\\uac00-\\ud7a3]+(?:-[a-z0-9\\uac00-\\ud7a3]+)*$";

/// The stored form of a slug, the readable part of an address: NFC. None when it is none.
#[must_use]
pub fn slug(text: &str) -> Option<String> {
    let kept = composed(text);
    let is_letter = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '가'..='힣');
    let is_word = |word: &str| !word.is_empty() && word.chars().all(is_letter);
    (kept.chars().count() <= LONGEST_SLUG && kept.split('-').all(is_word)).then_some(kept)
}

/// Whether a text has no visible character.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| is_in(c, INVISIBLE) || is_in(c, REFUSED))
}

/// Canonical composition (NFC): one form for the same text, whichever keyboard it came from.
#[must_use]
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// Canonical decomposition (NFD).
#[must_use]
pub fn decomposed(text: &str) -> String {
    text.nfd().collect()
}

/// Compatibility composition (NFKC): digits and letters of any width become the plain ones.
#[must_use]
pub fn compatible(text: &str) -> String {
    text.nfkc().collect()
}

/// The form in which texts are compared and searched: NFKC, without letter case and without
/// invisible characters other than spaces.
#[must_use]
pub fn folded(text: &str) -> String {
    // The second pass folds what the first one has produced.
    fold_once(&fold_once(text))
}

fn fold_once(text: &str) -> String {
    let plain: String = text.nfkc().filter(|c| c.is_whitespace() || !is_in(*c, INVISIBLE)).collect();
    UniCase::unicode(plain).to_folded_case().nfkc().collect()
}

/// The form in which numbers and codes are compared: [`folded`], with letters and digits only,
/// because people copy them with or without blanks and hyphens.
#[must_use]
pub fn key(text: &str) -> String {
    folded(text).chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The length as a reader counts it, in grapheme clusters.
#[must_use]
pub fn clusters(text: &str) -> usize {
    text.graphemes(true).count()
}

/// The allowed form of a text, as a regular expression over what is sent (ECMA-262, also understood
/// by Python and Rust). It is made from the same tables as the checks.
#[must_use]
pub fn pattern(one_line: bool, may_be_blank: bool, at_least: usize) -> String {
    let refused = class(REFUSED);
    let blank = class(INVISIBLE);
    let (inside, visible) = if one_line {
        (format!("[^{refused}{}]", class(NOT_IN_A_LINE)), format!("[^{refused}{blank}]"))
    } else {
        (format!("[^{refused}]"), format!("[^{refused}{blank}]"))
    };
    // From the first visible character to the last one.
    let seen = match at_least.checked_sub(2) {
        Some(between) => format!("{visible}{inside}{{{between},}}{visible}"),
        None => format!("{visible}(?:{inside}*{visible})?"),
    };
    if may_be_blank { format!("^[{blank}]*(?:{seen}[{blank}]*)?$") } else { format!("^[{blank}]*{seen}[{blank}]*$") }
}

fn class(ranges: &[Range]) -> String {
    ranges
        .iter()
        .map(
            |(first, last)| {
                if first == last { escaped(*first) } else { format!("{}-{}", escaped(*first), escaped(*last)) }
            },
        )
        .collect()
}

/// Every dialect understands four digits. For characters beyond them there is no common escape, so
/// they stand for themselves.
fn escaped(c: char) -> String {
    match u32::from(c) {
        code @ 0..=0xffff => format!("\\u{code:04x}"),
        0x1_0000.. => c.to_string(),
    }
}

fn is_in(c: char, ranges: &[Range]) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_one_text_are_kept_as_one() {
        for (kept, forms) in [
            ("차", vec!["\u{110e}\u{1161}", " 차 ", "차\u{3000}", "\u{200b}차", "차\u{3164}", "\u{feff}차\t"]),
            ("café", vec!["cafe\u{301}", "ca\u{200b}fé", "ca\u{ad}fé"]),
            ("❤\u{fe0f}", vec![" ❤\u{fe0f} "]),
        ] {
            for form in forms {
                assert_eq!(line(form).as_deref(), Ok(kept), "{form:?}");
            }
        }
    }

    #[test]
    fn a_text_without_anything_to_see_is_blank() {
        for text in [
            "",
            " ",
            "\t\r\n",
            "\u{3000}",
            "\u{a0}",
            "\u{200b}",
            "\u{200d}",
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{ffa0}",
            "\u{feff}",
            "\u{2060}",
            "\u{ad}",
            "\u{2800}",
            "\u{fe0f}",
            "\u{e0041}",
            "\u{180e}",
            "\u{200e}",
        ] {
            assert!(is_blank(text), "{text:?}");
            assert_eq!(line(text), Err(Unfit::Blank), "{text:?}");
            assert_eq!(prose(text), Err(Unfit::Blank), "{text:?}");
        }
    }

    #[test]
    fn what_does_not_belong_into_a_text_is_refused() {
        for text in ["a\u{0}", "a\u{7}b", "\u{202e}abc", "a\u{2066}b", "a\u{7f}", "a\u{85}b", "a\u{fffe}"] {
            assert_eq!(line(text), Err(Unfit::Characters), "{text:?}");
            assert_eq!(prose(text), Err(Unfit::Characters), "{text:?}");
        }
        for text in ["a\nb", "a\tb", "a\u{2028}b", "a\u{200f}b"] {
            assert_eq!(line(text), Err(Unfit::Characters), "{text:?}");
            assert_eq!(prose(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn case_width_and_accents_apart_do_not_matter_for_finding() {
        for (one, other) in [
            ("ＡＢＣ１２", "abc12"),
            ("STRASSE", "straße"),
            ("ΣΑΣ", "σας"),
            ("사\u{200b}과", "사과"),
            ("ﬁ", "FI"),
            ("Ⅷ", "viii"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        // The dotless i is a separate letter: it makes another mailbox and another word.
        assert_ne!(folded("ı"), folded("i"));
        assert_eq!(key("6012-3456 7890"), key("６０１２３４５６７８９０"));
        assert_eq!(clusters("각\u{1100}\u{1161}\u{11a8}👨\u{200d}👩\u{200d}👧"), 3);
    }

    #[test]
    fn a_slug_is_words_with_hyphens() {
        for fits in ["a", "7", "감귤", "jeju-감귤-5kg", &"가".repeat(LONGEST_SLUG)] {
            assert_eq!(slug(fits).as_deref(), Some(fits));
        }
        assert_eq!(slug(&decomposed("감귤-5kg")).as_deref(), Some("감귤-5kg"));
        for wrong in
            ["", "-", "a-", "-a", "a--b", "A", "a b", "a_b", "ㄱ", "é", "a/b", "귤.", &"a".repeat(LONGEST_SLUG + 1)]
        {
            assert_eq!(slug(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_stays_as_it_is(text in "\\PC{0,20}|[a가\u{301}\u{1100}\u{1161}\u{3164} \u{200b}\u{fe0f}\n]{0,12}") {
            for keep in [line, prose] {
                if let Ok(kept) = keep(&text) {
                    prop_assert_eq!(keep(&kept), Ok(kept.clone()));
                    prop_assert_eq!(keep(&decomposed(&kept)), Ok(kept.clone()));
                    prop_assert_eq!(keep(&format!("\u{3000}{kept}\u{200b} ")), Ok(kept));
                }
            }
        }

        #[test]
        fn all_forms_of_a_text_are_found_as_one(text in "[가-힣a-zA-Z0-9éüß ]{0,20}") {
            let wide: String = text.chars().map(|c| match c { '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap(), c => c }).collect();
            let parted: String = text.chars().flat_map(|c| [c, '\u{200b}']).collect();
            for form in [composed(&text), decomposed(&text), wide, parted, text.to_uppercase(), text.to_lowercase()] {
                prop_assert_eq!(folded(&form), folded(&text));
                prop_assert_eq!(key(&form), key(&text));
            }
        }

        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,20}") {
            prop_assert_eq!(folded(&folded(&text)), folded(&text));
        }
    }
}
