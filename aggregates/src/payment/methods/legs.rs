//! Checks the legs of a payment: their number, each by itself, and all of them together.

use jangbu_kernel::{Currency, Money, Refusal, RefusalCode};

use super::{Composition, Leg, Method};

/// Legs of one payment, at most.
pub const MAX_LEGS: usize = 4;

/// Checks the legs of a payment of `total`: their number, whether they can be combined, each one's
/// instrument and limits, and that they add up to the total exactly.
///
/// # Errors
/// `payment_method_invalid`, pointing at `/legs` or `/legs/<i>`;
/// `payment_total_mismatch` with both sums, pointing at `/legs`.
pub fn validate_legs(legs: &[Leg], total: &Money) -> Result<(), Refusal> {
    if legs.is_empty() || legs.len() > MAX_LEGS {
        return Err(invalid("a payment has 1 to 4 legs", "/legs".to_owned()));
    }
    for (index, leg) in legs.iter().enumerate() {
        validate_leg(leg, total.currency()).map_err(|why| invalid(why, format!("/legs/{index}")))?;
    }
    validate_composition(legs)?;
    validate_sum(legs, total)
}

fn validate_leg(leg: &Leg, currency: Currency) -> Result<(), String> {
    // Only the method and the gateway read what is sealed; whether there is anything is checked
    // here.
    if leg.instrument.is_some() == leg.method.fields().is_empty() {
        return Err("the instrument is not one of this method".to_owned());
    }
    if leg.amount.currency() != currency {
        return Err(format!("the leg is not in the order's currency {currency}"));
    }
    let Some((smallest, largest)) = leg.method.limits(currency) else {
        return Err(format!("the method cannot be used in {currency}"));
    };
    let amount = leg.amount.amount();
    if amount < smallest.into() || amount > largest.into() {
        return Err(format!("the method takes {smallest} to {largest} {currency}"));
    }
    Ok(())
}

fn validate_composition(legs: &[Leg]) -> Result<(), Refusal> {
    let mut gateway_legs = 0_usize;
    let mut complements: Vec<Method> = Vec::new();
    for (index, leg) in legs.iter().enumerate() {
        match leg.method.composition() {
            Composition::Gateway => gateway_legs += 1,
            Composition::Complement if complements.contains(&leg.method) => {
                return Err(invalid("the method can be used once in a payment", format!("/legs/{index}")));
            }
            Composition::Complement => complements.push(leg.method),
        }
        if gateway_legs > 1 {
            return Err(invalid("a payment has one gateway leg at most", format!("/legs/{index}")));
        }
    }
    if legs.len() > 1 && gateway_legs == 0 {
        return Err(invalid("a payment of several legs needs a gateway leg", "/legs/0".to_owned()));
    }
    Ok(())
}

fn validate_sum(legs: &[Leg], total: &Money) -> Result<(), Refusal> {
    let sum = Money::sum(legs.iter().map(|leg| &leg.amount), total.currency());
    match sum {
        Ok(sum) if sum == *total => Ok(()),
        Ok(sum) => Err(Refusal::new(
            RefusalCode::PaymentTotalMismatch,
            format!("the legs sum to {sum} and the order's total is {total}"),
        )
        .at("/legs")),
        Err(error) => Err(Refusal::new(
            RefusalCode::PaymentTotalMismatch,
            format!("the legs do not sum to the order's total {total}: {error}"),
        )
        .at("/legs")),
    }
}

fn invalid(detail: impl Into<String>, pointer: String) -> Refusal {
    Refusal::new(RefusalCode::PaymentMethodInvalid, detail).at(pointer)
}
