//! What the checks of the stock find: S1 to S5.

use jangbu_aggregates::locations::LocationCode;
use jangbu_kernel::TransferId;

use super::*;

#[test]
fn s1_negative_stock_is_found() {
    let mut story = Story::default();
    story.stock_received(id(PRODUCT), 1);
    story.stock(StockAdjusted { delta: -2, reason: "miscount".into(), location: None });
    assert!(story.broken().contains(&(S1, 2)));

    let mut story = Story::default();
    story.stock_received(id(PRODUCT), 1);
    story.stock(StockReleased { order_id: order_id(), quantity: 1, reason: "order_expired".into() });
    assert!(story.broken().contains(&(S1, 2)));
}

#[test]
fn s1_a_count_that_expected_something_else_is_found() {
    let counted = |expected| {
        let mut story = Story::default();
        story.stock_received(id(PRODUCT), 5);
        story.stock(StockWrittenOff { quantity: 1, reason: "broken".into(), location: None });
        story.stock(StockCounted { counted: 3, expected, reason: None, location: None });
        story.stock(StockCounted { counted: 3, expected: 3, reason: None, location: None });
        story.broken()
    };
    assert_eq!(counted(4), []);
    assert_eq!(counted(5), [(S1, 3)]);
}

#[test]
fn s3_promising_ahead_beyond_the_limit_is_found() {
    let ahead = |limits: [u32; 2], quantity| {
        let mut story = Story::default();
        story.stock_received(id(PRODUCT), 1);
        story.stock(StockBackOrderSet { limit: limits[0] });
        story.stock(StockReserved { order_id: order_id(), quantity, expires_at: chrono::DateTime::UNIX_EPOCH });
        story.stock(StockBackOrderSet { limit: limits[1] });
        story.stock(StockAllocated { order_id: order_id(), quantity });
        story.broken()
    };
    assert_eq!(ahead([2, 2], 3), []);
    assert_eq!(ahead([2, 0], 3), [], "a lowered limit takes back no promise");
    assert_eq!(ahead([1, 2], 3), [(S3, 3)]);
}

#[test]
fn s3_counting_or_writing_off_what_is_promised_is_found() {
    let mut story = Story::default();
    story.placed();
    story.stock(StockCounted { counted: 1, expected: 5, reason: None, location: None });
    assert!(story.broken().contains(&(S3, 4)));

    let mut story = Story::default();
    story.placed();
    story.stock(StockWrittenOff { quantity: 4, reason: "mould".into(), location: None });
    assert!(story.broken().contains(&(S3, 4)));
}

#[test]
fn s2_a_finished_order_that_holds_stock_is_found() {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.order(OrderExpired {});
    let here = story.here();
    ended(&mut story, FulfilmentOutcome::Expired);
    assert_eq!(story.broken(), [(S2, here)]);
}

#[test]
fn s3_selling_more_than_there_is_is_found() {
    let mut story = Story::default();
    story.stock_received(id(PRODUCT), 1);
    story.stock(StockReserved { order_id: order_id(), quantity: 2, expires_at: chrono::DateTime::UNIX_EPOCH });
    assert!(story.broken().contains(&(S3, 2)));
}

/// Five in stock with a threshold of 2; then these events, in one append.
fn leveled(events: impl IntoIterator<Item = StockEvent>) -> Vec<(Invariant, u64)> {
    let mut story = Story::default();
    story.stock_received(id(PRODUCT), 5);
    story.stock(StockThresholdSet { low: 2 });
    for (number, event) in events.into_iter().enumerate() {
        if number > 0 {
            story.same_command();
        }
        story.stock(event);
    }
    story.stock_received(id(21), 1);
    story.broken()
}

#[test]
fn s4_levels_that_are_told_once_hold() {
    let gone = |quantity| StockWrittenOff { quantity, reason: "mould".into(), location: None }.into();
    assert_eq!(leveled([gone(2)]), []);
    assert_eq!(leveled([gone(3), StockRanLow { available: 2, low: 2 }.into()]), []);
    let back = StockReplenished { available: 1, low: 2 };
    let back = [gone(5), StockDepleted {}.into(), StockReceived { quantity: 1, location: None }.into(), back.into()];
    assert_eq!(leveled(back), []);
    // A log from before levels were told.
    let mut story = Story::default();
    story.stock_received(id(PRODUCT), 5);
    story.stock(StockWrittenOff { quantity: 5, reason: "mould".into(), location: None });
    assert_eq!(story.broken(), []);
}

#[test]
fn s4_a_level_that_is_told_wrongly_late_or_never_is_found() {
    let gone = |quantity| StockWrittenOff { quantity, reason: "mould".into(), location: None }.into();
    let low = |available, low| StockRanLow { available, low }.into();
    assert_eq!(leveled([gone(3)]), [(S4, 3)], "never");
    assert_eq!(leveled([gone(2), low(3, 2)]), [(S4, 4), (S4, 4)], "too early");
    assert_eq!(leveled([gone(3), low(2, 2), low(2, 2)]), [(S4, 5)], "twice");
    assert_eq!(leveled([gone(3), low(1, 2)]), [(S4, 4)], "with another number");
    let mut story = Story::default();
    story.stock_received(id(PRODUCT), 5);
    story.stock(StockThresholdSet { low: 0 });
    story.stock(StockWrittenOff { quantity: 5, reason: "mould".into(), location: None });
    story.stock(StockDepleted {});
    assert_eq!(story.broken(), [(S4, 3)], "in an append of its own");
}

#[test]
fn s5_goods_that_are_nowhere_are_found() {
    let code = |text: &str| LocationCode::parse(text).unwrap();
    let transfer_id = TransferId::new(id(70));
    let sent = |quantity| StockTransferSent { transfer_id, from: code("main"), to: code("pangyo"), quantity };
    let came = |quantity| StockTransferReceived { transfer_id, to: code("pangyo"), quantity };
    let story = |quantities: [u32; 3]| {
        let mut story = Story::default();
        story.stock_received(id(PRODUCT), 5);
        story.stock(sent(quantities[0]));
        story.stock(came(quantities[1]));
        let gone = StockWrittenOff { quantity: quantities[2], reason: "mould".into(), location: Some(code("pangyo")) };
        story.stock(gone);
        story.broken()
    };
    assert_eq!(story([3, 3, 3]), []);
    assert_eq!(story([3, 2, 2]), []);
    assert_eq!(story([3, 3, 4]), [(S5, 4)], "more leave than are there");
    assert!(story([3, 4, 1]).contains(&(S5, 3)), "more arrive than were sent");
    assert!(story([6, 3, 1]).contains(&(S5, 2)), "more are sent than are there");
}
