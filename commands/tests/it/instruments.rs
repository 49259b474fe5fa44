//! The data that a payment method needs, as sealed by this version and by an earlier one.

use jangbu_commands::Instrument;
use jangbu_kernel::{SealedAt, StreamId};

use crate::process::House;
use crate::support::sealed;

const PRICE: i64 = 53_000;

/// Version 1 of the event sealed only the card's token, which must always remain usable.
#[tokio::test]
async fn an_instrument_that_version_1_sealed_still_opens() {
    let house = House::open();
    let (user, product) = house.stocked().await;
    let order = |token: &str, field: &str| {
        let mut order = house.shop.paid_order(user, product, PRICE, "unused");
        let payment = order.payment.as_mut().unwrap();
        let at = SealedAt { field, stream: StreamId::payment(payment.payment_id) };
        let (sealed, member) = (sealed(user, at, token), Some("card_token".to_owned()));
        payment.legs[0].instrument = Some(Instrument { sealed, member });
        order
    };
    for (token, field, taken) in
        [("ok", "payment.card_token", true), ("declined", "payment.card_token", false), ("ok", "payment.other", false)]
    {
        let order = order(token, field);
        let payment_id = order.payment.as_ref().unwrap().payment_id;
        house.settle(order).await;
        assert_eq!(house.payment(payment_id).await.is_captured(), taken, "{token} sealed as {field}");
    }
    house.close().await;
}
