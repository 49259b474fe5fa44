//! What shipping costs: rules as data, applied to the goods of an order.

use jangbu_kernel::{Money, MoneyError, UserId};

/// What shipping costs in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippingFee {
    /// The fee.
    pub base: Money,
    /// The value of the goods from which the base fee is not asked.
    pub free_from: Option<Money>,
    /// Whether the goods of each seller are a shipment with a fee of its own.
    pub per_seller: bool,
    /// What is asked beside the base fee for where the goods go, also from `free_from`.
    pub regions: Vec<Region>,
    /// What is asked beside the base fee for weight, also from `free_from`: the step with the most
    /// grams that the goods weigh more than.
    pub weights: Vec<WeightStep>,
}

/// A surcharge for postal codes of a range, both ends included. The codes are compared as numbers
/// where all three are, and have the same length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first postal code.
    pub from: String,
    /// The last postal code.
    pub to: String,
    /// What is asked more.
    pub fee: Money,
}

impl Region {
    fn has(&self, postal_code: &str) -> bool {
        let is_code = |text: &str| text.len() == postal_code.len() && text.bytes().all(|byte| byte.is_ascii_digit());
        // Digits of one length compare as their numbers do.
        [postal_code, &self.from, &self.to].into_iter().all(is_code)
            && (self.from.as_str()..=self.to.as_str()).contains(&postal_code)
    }
}

/// A surcharge for goods that weigh more than this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightStep {
    /// Grams.
    pub over_grams: u64,
    /// What is asked more.
    pub fee: Money,
}

/// Goods that are shipped: one line of an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goods {
    /// Who sells them.
    pub seller_id: Option<UserId>,
    /// What they cost together.
    pub value: Money,
    /// What they weigh together.
    pub grams: u64,
}

impl ShippingFee {
    /// A fee that depends on nothing but the value of the goods.
    #[must_use]
    pub const fn plain(base: Money, free_from: Option<Money>) -> Self {
        Self { base, free_from, per_seller: false, regions: Vec::new(), weights: Vec::new() }
    }

    /// What shipping these goods costs. Without a postal code no surcharge for where they go is in
    /// it.
    ///
    /// # Errors
    /// Amounts of different currencies, or beyond what can be counted.
    pub fn of(&self, goods: &[Goods], postal_code: Option<&str>) -> Result<Money, MoneyError> {
        let mut shipments: Vec<Goods> = Vec::new();
        for line in goods {
            let known = shipments.iter_mut().find(|known| !self.per_seller || known.seller_id == line.seller_id);
            if let Some(known) = known {
                known.value = known.value.checked_add(&line.value)?;
                known.grams = known.grams.saturating_add(line.grams);
            } else {
                shipments.push(*line);
            }
        }
        let mut sum = Money::zero(self.base.currency());
        for shipment in &shipments {
            sum = sum.checked_add(&self.of_one(shipment, postal_code)?)?;
        }
        Ok(sum)
    }

    fn of_one(&self, shipment: &Goods, postal_code: Option<&str>) -> Result<Money, MoneyError> {
        let mut fee = match &self.free_from {
            Some(limit) if shipment.value.checked_cmp(limit)?.is_ge() => Money::zero(self.base.currency()),
            Some(_) | None => self.base,
        };
        let step = self.weights.iter().filter(|step| shipment.grams > step.over_grams);
        if let Some(step) = step.max_by_key(|step| step.over_grams) {
            fee = fee.checked_add(&step.fee)?;
        }
        let region = postal_code.and_then(|code| self.regions.iter().find(|region| region.has(code)));
        if let Some(region) = region {
            fee = fee.checked_add(&region.fee)?;
        }
        Ok(fee)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::testing::{id, won};

    fn rules() -> ShippingFee {
        ShippingFee {
            base: won(3_000),
            free_from: Some(won(50_000)),
            per_seller: false,
            regions: vec![
                Region { from: "63000".into(), to: "63644".into(), fee: won(3_000) },
                Region { from: "40200".into(), to: "40240".into(), fee: won(5_000) },
            ],
            weights: vec![
                WeightStep { over_grams: 20_000, fee: won(4_000) },
                WeightStep { over_grams: 5_000, fee: won(1_000) },
            ],
        }
    }

    fn goods(value: i64, grams: u64, seller: u128) -> Goods {
        Goods { seller_id: (seller > 0).then(|| id(seller)), value: won(value), grams }
    }

    #[test]
    fn value_weight_and_region_add_up() {
        let rules = rules();
        for (goods, postal_code, fee) in [
            (vec![goods(49_999, 0, 0)], None, 3_000),
            (vec![goods(50_000, 0, 0)], None, 0),
            (vec![goods(20_000, 0, 0), goods(30_000, 0, 0)], None, 0),
            (vec![goods(1_000, 5_000, 0)], None, 3_000),
            (vec![goods(1_000, 5_000, 0), goods(1_000, 1, 0)], None, 4_000),
            (vec![goods(1_000, 20_001, 0)], None, 7_000),
            (vec![goods(50_000, 20_001, 0)], Some("63000"), 7_000),
            (vec![goods(1_000, 0, 0)], Some("63644"), 6_000),
            (vec![goods(1_000, 0, 0)], Some("63645"), 3_000),
            (vec![goods(1_000, 0, 0)], Some("40210"), 8_000),
            // What is no code of this form belongs to no region.
            (vec![goods(1_000, 0, 0)], Some("630000"), 3_000),
            (vec![goods(1_000, 0, 0)], Some("6 3100"), 3_000),
            (vec![], None, 0),
        ] {
            assert_eq!(rules.of(&goods, postal_code).unwrap(), won(fee), "{goods:?} {postal_code:?}");
        }
    }

    #[test]
    fn each_seller_ships_for_a_fee_of_their_own() {
        let rules = ShippingFee { per_seller: true, ..rules() };
        let lines = [goods(30_000, 0, 1), goods(30_000, 0, 2), goods(30_000, 0, 1), goods(1_000, 0, 0)];
        assert_eq!(rules.of(&lines, None).unwrap(), won(6_000));
        assert_eq!(rules.of(&lines, Some("63100")).unwrap(), won(6_000 + 3 * 3_000));
    }
}
