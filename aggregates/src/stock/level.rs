//! Whether there is enough to sell, and the events that record it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{StockDepleted, StockEvent, StockRanLow, StockReplenished};

/// How much of a product can be sold, measured by its threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum StockLevel {
    /// More than the threshold. Also the level of a product that never had stock.
    #[default]
    Enough,
    /// As many as the threshold or fewer.
    Low,
    /// None.
    Depleted,
}

jangbu_kernel::named!(StockLevel);

impl StockLevel {
    /// The level of so many available units with a threshold.
    #[must_use]
    pub fn of(available: i64, low: u32) -> Self {
        if available <= 0 {
            Self::Depleted
        } else if available <= i64::from(low) {
            Self::Low
        } else {
            Self::Enough
        }
    }

    /// The event that records the new level; none if this is the level already.
    pub(super) fn becomes(self, available: i64, low: u32) -> Option<StockEvent> {
        match (self, Self::of(available, low)) {
            (Self::Enough, Self::Enough) | (Self::Low, Self::Low) | (Self::Depleted, Self::Depleted) => None,
            (Self::Enough, Self::Low) => Some(StockRanLow { available, low }.into()),
            (Self::Enough | Self::Low, Self::Depleted) => Some(StockDepleted {}.into()),
            (Self::Low, Self::Enough) | (Self::Depleted, Self::Low | Self::Enough) => {
                Some(StockReplenished { available, low }.into())
            }
        }
    }
}
