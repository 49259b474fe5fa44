//! The code of a location.

use jangbu_kernel::text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The code of a location, by which facts of stock name it: 1-40 characters of the form of a slug.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LocationCode(String);

impl LocationCode {
    /// Characters of a code.
    pub const LONGEST: usize = 40;
    /// The code of the location that is there from the beginning.
    pub const MAIN: &'static str = "main";

    /// Reads a code; none when the text is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text::slug(text).filter(|code| code.chars().count() <= Self::LONGEST).map(Self)
    }

    /// The location that is there from the beginning.
    #[must_use]
    pub fn main() -> Self {
        Self(Self::MAIN.to_owned())
    }

    /// Whether it is the location that is there from the beginning.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.0 == Self::MAIN
    }

    /// The code as facts carry it: none is `main`.
    #[must_use]
    pub fn unless_main(self) -> Option<Self> {
        (!self.is_main()).then_some(self)
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for LocationCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
