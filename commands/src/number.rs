//! The number by which people refer to an order.

use chrono::Datelike as _;
use jangbu_kernel::{OrderId, Timestamp};

/// Crockford's base 32: no I, L, O or U, so that it can be read out on the telephone.
const ALPHABET: [u8; 32] = *b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Symbols after the date, 5 bits each.
const SYMBOLS: u32 = 10;

/// `YYMMDD-XXXXXXXXXX`: the UTC date and 50 of the id's random bits.
///
/// Two orders of one day have the same number with probability 2^-50; among two million orders of a
/// day the probability that any two do is about 0.2 %. The number is for people and for searching.
/// The order is identified by its id alone, so nothing breaks if numbers collide.
#[must_use]
pub fn order_number(now: Timestamp, order_id: OrderId) -> String {
    let random = order_id.uuid().as_u128();
    let mut number = format!("{:02}{:02}{:02}-", now.year().rem_euclid(100), now.month(), now.day());
    for place in (0..SYMBOLS).rev() {
        let symbol = usize::try_from((random >> (place * 5)) & 31).unwrap_or_default();
        number.push(char::from(ALPHABET.get(symbol).copied().unwrap_or(b'0')));
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_number_has_the_date_and_fifty_bits_of_the_id() {
        let now = Timestamp::from_timestamp_millis(1_795_222_800_000).unwrap_or_default();
        let all_ones = OrderId::new(Uuid::from_u128(u128::MAX));
        assert_eq!(order_number(now, all_ones), format!("{}-ZZZZZZZZZZ", now.format("%y%m%d")));
        assert_eq!(
            order_number(now, OrderId::new(Uuid::from_u128(33))),
            format!("{}-0000000011", now.format("%y%m%d"))
        );
    }
}
