//! Lists: pages, cursors, filters, search, sums.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{
    CancelledBy, OrderEvent, OrderFailed, OrderLine, OrderLinesCancelled, OrderPacked, OrderPaid,
    OrderPreparationStarted, OrderPutOnHold, OrderShipped,
};
use jangbu_aggregates::points::{
    PointsCaptured, PointsEvent, PointsExpired, PointsGranted, PointsHeld, PointsPart, PointsRestored,
};
use jangbu_aggregates::product::{ProductCreated, ProductDeactivated};
use jangbu_aggregates::shipment::{ShipmentDispatched, ShipmentEvent, ShipmentRequested, TrackingNumberCorrected};
use jangbu_aggregates::stock::StockReceived;
use jangbu_kernel::ports::TimerQueue as _;
use jangbu_kernel::{CategoryId, Money, OrderId, PaymentId, ProductId, RefundId, Remark, ShipmentId, StreamId, UserId};
use jangbu_projections::{Desk, OrderFilter, OrderStatus, PageRequest, ProductFilter, ProductSort, QueryError};

use crate::fixture::{Fixture, Place, at, buyer, deadline, id, paid, placed, sealed, won};

crate::on_both_engines! {
    cursors_walk_equal_times_once,
    a_bad_cursor_is_told,
    filters_choose_orders,
    the_order_desk_has_lists_of_its_own,
    orders_are_found_by_number_and_product,
    a_cursor_and_an_upper_bound_go_together,
    two_syllables_are_found,
    a_word_is_found_in_any_form_of_its_letters,
    every_word_of_a_search_counts_up_to_a_limit,
    a_number_used_again_finds_everybodys_own_parcel,
    points_that_lapse_are_not_shown_as_usable,
    filters_and_orders_choose_products,
    sums_are_exact_beyond_floats,
    a_table_that_is_locked_is_told_in_time,
}

fn page(cursor: Option<String>, limit: u32) -> PageRequest {
    PageRequest { cursor, limit }
}

async fn cursors_walk_equal_times_once(fixture: &Fixture) {
    let projector = fixture.projector();
    for number in 0..25 {
        fixture.order(number, 0, won(1_000)).await;
    }
    fixture.order(99, 5, won(1_000)).await;
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let found = queries.orders(&OrderFilter::default(), &page(cursor, 7)).await.unwrap();
        seen.extend(found.items.iter().map(|order| order.id.uuid()));
        pages += 1;
        cursor = found.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let mut wanted = vec![id(99)];
    wanted.extend((0..25).rev().map(id));
    assert_eq!((seen, pages), (wanted, 4));
    // A full last page has no next one.
    let all = queries.orders(&OrderFilter::default(), &page(None, 26)).await.unwrap();
    assert_eq!((all.items.len(), all.next_cursor), (26, None));
    projector.stop().await;
}

async fn a_bad_cursor_is_told(fixture: &Fixture) {
    let projector = fixture.projector();
    for number in 0..3 {
        fixture.order(number, 0, won(1_000)).await;
        fixture.product(500 + number, "컵", 1_000).await;
    }
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    let products = queries.products(&ProductFilter::default(), &page(None, 1)).await.unwrap();
    let others = products.next_cursor.unwrap();
    for cursor in [others.as_str(), "", "nonsense", "e30", "한글", "' or 1=1 --"] {
        let found = queries.orders(&OrderFilter::default(), &page(Some(cursor.to_owned()), 2)).await;
        assert_eq!(found, Err(QueryError::BadCursor), "{cursor}");
    }
    // The cursor of another sort order of the same list is rejected, too.
    let by_price = ProductFilter { sort: ProductSort::PriceAscending, ..ProductFilter::default() };
    assert_eq!(queries.products(&by_price, &page(Some(others), 1)).await, Err(QueryError::BadCursor));
    projector.stop().await;
}

async fn filters_choose_orders(fixture: &Fixture) {
    let projector = fixture.projector();
    for number in 0..6 {
        let order = fixture.order(number, i64::try_from(number).unwrap() * 100, won(1_000)).await;
        if number % 2 == 0 {
            let event = DomainEvent::Order(paid(None).into());
            fixture.append(StreamId::order(order), 1_000, vec![event]).await;
        }
    }
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    let filter = OrderFilter {
        user_id: Some(buyer()),
        status: Some(OrderStatus::Paid),
        from: Some(at(100)),
        to: Some(at(400)),
        ..OrderFilter::default()
    };
    let found = queries.orders(&filter, &PageRequest::default()).await.unwrap();
    assert_eq!(found.items.iter().map(|order| order.id.uuid()).collect::<Vec<_>>(), [id(2)]);
    let nobody = OrderFilter { user_id: Some(UserId::new(id(1))), ..OrderFilter::default() };
    assert_eq!(queries.orders(&nobody, &PageRequest::default()).await.unwrap().items, []);
    projector.stop().await;
}

/// The orders of a list by their numbers, walked page by page.
async fn walked(fixture: &Fixture, filter: &OrderFilter) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let found = fixture.models.queries().orders(filter, &page(cursor, 1)).await.unwrap();
        seen.extend(found.items.into_iter().map(|order| order.number));
        cursor = found.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}

async fn the_order_desk_has_lists_of_its_own(fixture: &Fixture) {
    let projector = fixture.projector();
    let shipment_id = ShipmentId::new(id(700));
    let hold = || OrderEvent::from(OrderPutOnHold { reason: Remark::code("looked_odd") });
    let start = || OrderEvent::from(OrderPreparationStarted { shipment_id });
    let due = |millis| OrderEvent::from(OrderPaid { ship_by: Some(at(millis)), ..paid(None) });
    let stories: [Vec<OrderEvent>; 8] = [
        vec![],
        vec![due(900)],
        vec![due(800), start()],
        vec![due(700), start(), OrderPacked { shipment_id }.into()],
        vec![due(600), start(), OrderPacked { shipment_id }.into(), OrderShipped {}.into()],
        vec![due(500), hold()],
        vec![hold()],
        vec![paid(None).into(), hold(), OrderFailed { reason: "gone".into() }.into()],
    ];
    for (number, story) in (0_u128..).zip(stories) {
        let order = fixture.order(number, 10 * i64::try_from(number).unwrap(), won(1_000)).await;
        for event in story {
            fixture.append(StreamId::order(order), 100, vec![DomainEvent::Order(event)]).await;
        }
    }
    fixture.caught_up(&projector).await;
    let listed = async |desk: Desk, now: i64| {
        let filter = OrderFilter { desk: Some(desk), now: Some(at(now)), ..OrderFilter::default() };
        walked(fixture, &filter).await
    };
    assert_eq!(listed(Desk::ToPack, 0).await, ["N-1", "N-2"], "the oldest first");
    assert_eq!(listed(Desk::ToSend, 0).await, ["N-3"]);
    assert_eq!(listed(Desk::OnHold, 0).await, ["N-5", "N-6"], "whatever has not ended");
    assert_eq!(listed(Desk::Late, 700).await, ["N-5", "N-3"], "the latest first, held or not, but not what left");
    assert_eq!(listed(Desk::Late, 499).await, Vec::<String>::new());
    let from = OrderFilter { desk: Some(Desk::ToPack), from: Some(at(15)), ..OrderFilter::default() };
    assert_eq!(walked(fixture, &from).await, ["N-2"]);
    let to = OrderFilter { desk: Some(Desk::ToPack), to: Some(at(20)), ..OrderFilter::default() };
    assert_eq!(walked(fixture, &to).await, ["N-1"]);
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

async fn orders_are_found_by_number_and_product(fixture: &Fixture) {
    let projector = fixture.projector();
    let bought = |number: u128, products: &[u128]| {
        let mut placed = placed(number, won(1_000));
        let line = placed.lines[0].clone();
        placed.lines =
            products.iter().map(|p| OrderLine { product_id: ProductId::new(id(*p)), ..line.clone() }).collect();
        DomainEvent::Order(placed.into())
    };
    for (number, products) in [(1, &[500][..]), (2, &[500, 501]), (3, &[502])] {
        let stream = StreamId::order(OrderId::new(id(number)));
        fixture.append(stream, i64::try_from(number).unwrap(), vec![bought(number, products)]).await;
    }
    // A row that changes keeps its products, also those whose lines are cancelled.
    let gone = vec![OrderLine { product_id: ProductId::new(id(501)), ..placed(2, won(1_000)).lines[0].clone() }];
    let cancelled = OrderLinesCancelled {
        by: CancelledBy::Owner,
        reason: None,
        lines: gone,
        subtotal: won(1_000),
        total: won(1_000),
        refund_id: None,
        replaced_shipment_id: None,
    };
    fixture.append(StreamId::order(OrderId::new(id(2))), 8, vec![DomainEvent::Order(cancelled.into())]).await;
    fixture.append(StreamId::order(OrderId::new(id(2))), 9, vec![DomainEvent::Order(paid(None).into())]).await;
    for (number, name) in [(500, "햇사과 5kg"), (501, "사과즙"), (502, "머그컵")] {
        fixture.product(number, name, 1_000).await;
    }
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    let with = async |products: Vec<ProductId>| {
        walked(fixture, &OrderFilter { products: Some(products), ..OrderFilter::default() }).await
    };
    assert_eq!(with(queries.products_with("사과").await.unwrap()).await, ["N-2", "N-1"]);
    assert_eq!(with(queries.products_with("사과즙").await.unwrap()).await, ["N-2"]);
    assert_eq!(with(vec![ProductId::new(id(502))]).await, ["N-3"]);
    assert_eq!(with(queries.products_with("없는").await.unwrap()).await, Vec::<String>::new());
    let numbered = |number: &str| OrderFilter { number: Some(number.to_owned()), ..OrderFilter::default() };
    assert_eq!(walked(fixture, &numbered("N-2")).await, ["N-2"]);
    assert_eq!(walked(fixture, &numbered("N-\0")).await, Vec::<String>::new());
    for number in 600..801 {
        fixture.product(number, "아주 흔한 것", 1_000).await;
    }
    fixture.caught_up(&projector).await;
    assert_eq!(queries.products_with("흔한").await, Err(QueryError::SearchTooBroad));
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

async fn a_cursor_and_an_upper_bound_go_together(fixture: &Fixture) {
    let projector = fixture.projector();
    for number in 0..6 {
        fixture.order(number, i64::try_from(number).unwrap() * 100, won(1_000)).await;
    }
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    let until = |to| OrderFilter { to: Some(at(to)), ..OrderFilter::default() };
    let ids = |found: &jangbu_projections::Page<jangbu_projections::OrderRow>| {
        found.items.iter().map(|order| order.id.uuid()).collect::<Vec<_>>()
    };
    let first = queries.orders(&until(400), &page(None, 2)).await.unwrap();
    assert_eq!(ids(&first), [id(3), id(2)]);
    let second = queries.orders(&until(400), &page(first.next_cursor.clone(), 2)).await.unwrap();
    assert_eq!(ids(&second), [id(1), id(0)]);
    // A bound below the cursor still holds.
    let lower = queries.orders(&until(100), &page(first.next_cursor, 2)).await.unwrap();
    assert_eq!(ids(&lower), [id(0)]);
    projector.stop().await;
}

async fn names_found(fixture: &Fixture, q: &str) -> Vec<String> {
    let filter = ProductFilter { q: Some(q.to_owned()), sort: ProductSort::Name, ..ProductFilter::default() };
    let found = fixture.models.queries().products(&filter, &PageRequest::default()).await.unwrap();
    found.items.into_iter().map(|item| item.product.name).collect()
}

async fn two_syllables_are_found(fixture: &Fixture) {
    let projector = fixture.projector();
    for (number, name) in (0_u128..).zip(["햇사과 5kg", "사과즙 (유기농)", "과사 대표", "Apple Juice", "머그컵"])
    {
        fixture.product(number, name, 1_000).await;
    }
    fixture.caught_up(&projector).await;
    assert_eq!(names_found(fixture, "사과").await, ["사과즙 (유기농)", "햇사과 5kg"]);
    assert_eq!(names_found(fixture, "사과 유기농").await, ["사과즙 (유기농)"]);
    assert_eq!(names_found(fixture, "햇사과").await, ["햇사과 5kg"]);
    assert_eq!(names_found(fixture, "컵").await, ["머그컵"]);
    assert_eq!(names_found(fixture, "aPPle").await, ["Apple Juice"]);
    // All its pairs occur, but the word does not.
    assert_eq!(names_found(fixture, "사과사").await, Vec::<String>::new());
    for nothing in ["없는", "%", "_", "'; drop table products; --", "\0"] {
        assert_eq!(names_found(fixture, nothing).await, Vec::<String>::new(), "{nothing}");
    }
    assert_eq!(names_found(fixture, " ").await.len(), 5);
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

async fn a_word_is_found_in_any_form_of_its_letters(fixture: &Fixture) {
    let projector = fixture.projector();
    let named =
        ["보리차", "\u{1107}\u{1169}\u{1105}\u{1175}\u{110e}\u{1161} \u{ff11}\u{ff2c}", "Café crème", "사\u{200b}과"];
    for (number, name) in (0_u128..).zip(named) {
        fixture.product(number, name, 1_000).await;
    }
    fixture.caught_up(&projector).await;
    for barley in ["차", "\u{110e}\u{1161}", "보리\u{200b}차", "\u{1107}\u{1169}\u{1105}\u{1175}차"] {
        assert_eq!(names_found(fixture, barley).await.len(), 2, "{barley}");
    }
    assert_eq!(names_found(fixture, "1l").await.len(), 1);
    for cafe in ["café", "CAFE\u{301}", "ＣＡＦÉ", "crème café"] {
        assert_eq!(names_found(fixture, cafe).await, ["Café crème"], "{cafe}");
    }
    assert_eq!(names_found(fixture, "사과").await.len(), 1);
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

async fn every_word_of_a_search_counts_up_to_a_limit(fixture: &Fixture) {
    let projector = fixture.projector();
    let words = |count: usize| (0..count).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
    fixture.product(1, &words(19), 1_000).await;
    let long = "가".repeat(60);
    fixture.product(2, &long, 1_000).await;
    fixture.caught_up(&projector).await;
    assert_eq!(names_found(fixture, &words(19)).await.len(), 1);
    // The last word counts, too, and so does the last letter.
    assert_eq!(names_found(fixture, &format!("{} other", words(19))).await, Vec::<String>::new());
    assert_eq!(names_found(fixture, &long).await.len(), 1);
    assert_eq!(names_found(fixture, &format!("{long}나")).await, Vec::<String>::new());
    let filter = ProductFilter { q: Some(words(21)), ..ProductFilter::default() };
    let refused = fixture.models.queries().products(&filter, &page(None, 10)).await;
    assert_eq!(refused.map(|_| ()), Err(QueryError::SearchTooLong));
    projector.stop().await;
}

async fn a_number_used_again_finds_everybodys_own_parcel(fixture: &Fixture) {
    let parcel = |number: u128, user: UserId, tracking: &str| {
        let order_id = OrderId::new(id(number));
        let (lines, shipping_address) = (Vec::new(), sealed("address"));
        let (carrier, tracking_number) = ("sandbox".to_owned(), tracking.to_owned());
        vec![
            ShipmentEvent::from(ShipmentRequested {
                order_id,
                user_id: user,
                lines,
                shipping_address,
                carrier: carrier.clone(),
            }),
            ShipmentDispatched { order_id, carrier, tracking_number }.into(),
        ]
    };
    let (early, late) = (UserId::new(id(61)), UserId::new(id(62)));
    for (number, user, tracking) in
        [(71, early, "6012-3456 7890"), (72, late, "６０１２３４５６７８９０"), (73, late, "")]
    {
        let events = parcel(number, user, tracking).into_iter().map(DomainEvent::Shipment).collect();
        fixture.append(StreamId::shipment(ShipmentId::new(id(number))), i64::try_from(number).unwrap(), events).await;
    }
    let projector = fixture.projector();
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    for written in ["601234567890", "6012-3456-7890", " 6012 3456 7890 ", "６０１２-３４５６-７８９０"] {
        let found = async |of| queries.shipment_by_tracking(written, of).await.unwrap().map(|row| row.id.uuid());
        assert_eq!(found(Some(early)).await, Some(id(71)), "{written}");
        assert_eq!(found(Some(late)).await, Some(id(72)), "{written}");
        assert_eq!(found(None).await, Some(id(72)), "{written}: the newest");
        assert_eq!(found(Some(UserId::new(id(63)))).await, None, "{written}");
    }
    let (order_id, reason) = (OrderId::new(id(71)), "typo".into());
    let (previous, tracking_number) = ("6012-3456 7890".to_owned(), "AB 12".to_owned());
    let corrected = ShipmentEvent::from(TrackingNumberCorrected { order_id, previous, tracking_number, reason });
    fixture.append(StreamId::shipment(ShipmentId::new(id(71))), 80, vec![DomainEvent::Shipment(corrected)]).await;
    fixture.caught_up(&projector).await;
    assert!(queries.shipment_by_tracking("601234567890", Some(early)).await.unwrap().is_none());
    let row = queries.shipment_by_tracking("ab-12", Some(early)).await.unwrap().unwrap();
    assert_eq!(row.tracking_number.as_deref(), Some("AB 12"));
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

async fn points_that_lapse_are_not_shown_as_usable(fixture: &Fixture) {
    let user = buyer();
    let (payment_id, order_id, refund_id) = (PaymentId::new(id(31)), OrderId::new(id(32)), RefundId::new(id(33)));
    let granted = |units, reference: &str, expires_at| PointsGranted {
        amount: won(units),
        reference: Remark::code(reference),
        reference_hash: None,
        expires_at,
    };
    let part = |units, extended_to| vec![PointsPart { entry: 1, amount: won(units), extended_to }];
    let ledger = vec![
        PointsEvent::from(granted(500, "short", Some(at(1_000)))),
        granted(300, "for ever", None).into(),
        PointsHeld { payment_id, order_id, amount: won(200), parts: part(200, None) }.into(),
    ];
    fixture.append(StreamId::points(user), 1, ledger.into_iter().map(DomainEvent::Points).collect()).await;
    let lasting = vec![granted(100, "for ever", None).into()];
    let lasts = UserId::new(id(30));
    fixture.append(StreamId::points(lasts), 1, lasting.into_iter().map(DomainEvent::Points).collect()).await;
    let projector = fixture.projector();
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    let waiting = async |now| {
        let ledgers = fixture.models.lapsed_points(at(now), 10).await.unwrap();
        ledgers.into_iter().map(|ledger| (ledger.user_id, ledger.lapsed_at)).collect::<Vec<_>>()
    };
    assert_eq!(waiting(999).await, []);
    assert_eq!(waiting(1_000).await, [(user, at(1_000))], "to be written off");
    assert_eq!(fixture.models.lapsed_points(at(1_000), 0).await.unwrap(), []);
    let seen = async |millis| {
        let row = queries.points(user).await.unwrap().at(at(millis)).unwrap();
        (row.balance, row.held, row.available)
    };
    assert_eq!(seen(999).await, (won(800), won(200), won(600)));
    assert_eq!(seen(1_000).await, (won(500), won(200), won(300)), "what is kept for a payment stays kept");
    // Spent, and refunded after the grant has lapsed: usable for the time that the shop sets.
    let later = vec![
        PointsEvent::from(PointsCaptured { payment_id, amount: won(200) }),
        PointsExpired { entry: 1, amount: won(300) }.into(),
        PointsRestored { payment_id, refund_id, amount: won(200), parts: part(200, Some(at(9_000))) }.into(),
    ];
    fixture.append(StreamId::points(user), 2_000, later.into_iter().map(DomainEvent::Points).collect()).await;
    fixture.caught_up(&projector).await;
    assert_eq!(waiting(8_999).await, [], "what is written off waits no more");
    assert_eq!(waiting(9_000).await, [(user, at(9_000))]);
    assert_eq!(seen(8_999).await, (won(500), won(0), won(500)));
    assert_eq!(seen(9_000).await, (won(300), won(0), won(300)));
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

async fn filters_and_orders_choose_products(fixture: &Fixture) {
    let projector = fixture.projector();
    let category = CategoryId::new(id(800));
    for number in 0..6_u128 {
        let product = ProductId::new(id(number));
        let created = ProductCreated {
            name: format!("{}", 9 - number),
            description: Some("좋은 물건".to_owned()),
            category_id: (number < 4).then_some(category),
            seller_id: None,
            price: won(1_000 * (1 + i64::try_from(number % 3).unwrap())),
        };
        let mut events = vec![DomainEvent::Product(created.into())];
        if number == 3 {
            events.push(DomainEvent::Product(ProductDeactivated {}.into()));
        }
        fixture.append(StreamId::product(product), i64::try_from(number).unwrap(), events).await;
        if number != 2 {
            fixture
                .append(
                    StreamId::stock(product),
                    9,
                    vec![DomainEvent::Stock(StockReceived { quantity: 3, location: None }.into())],
                )
                .await;
        }
    }
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    let ids = async |filter: ProductFilter| -> Vec<u128> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let found = queries.products(&filter, &page(cursor, 2)).await.unwrap();
            all.extend(found.items.iter().map(|item| item.product.id.uuid().as_u128() - id(0).as_u128()));
            cursor = found.next_cursor;
            if cursor.is_none() {
                return all;
            }
        }
    };
    let everything = ProductFilter::default();
    assert_eq!(ids(everything.clone()).await, [5, 4, 3, 2, 1, 0]);
    assert_eq!(
        ids(ProductFilter { sort: ProductSort::PriceAscending, ..everything.clone() }).await,
        [0, 3, 1, 4, 2, 5]
    );
    assert_eq!(
        ids(ProductFilter { sort: ProductSort::PriceDescending, ..everything.clone() }).await,
        [5, 2, 4, 1, 3, 0]
    );
    assert_eq!(ids(ProductFilter { sort: ProductSort::Name, ..everything.clone() }).await, [5, 4, 3, 2, 1, 0]);
    assert_eq!(
        ids(ProductFilter { category_id: Some(category), active_only: true, ..everything.clone() }).await,
        [2, 1, 0]
    );
    assert_eq!(ids(ProductFilter { in_stock: Some(true), ..everything.clone() }).await, [5, 4, 3, 1, 0]);
    assert_eq!(ids(ProductFilter { in_stock: Some(false), ..everything.clone() }).await, [2]);
    let between = ProductFilter { min_price: Some(won(2_000)), max_price: Some(won(2_000)), ..everything.clone() };
    assert_eq!(ids(between).await, [4, 1]);
    let dollars = Money::parse("0", "USD".parse().unwrap()).unwrap();
    assert_eq!(ids(ProductFilter { min_price: Some(dollars), ..everything.clone() }).await, Vec::<u128>::new());
    assert_eq!(ids(ProductFilter { q: Some("물건".to_owned()), ..everything }).await.len(), 6);
    projector.stop().await;
}

async fn sums_are_exact_beyond_floats(fixture: &Fixture) {
    let projector = fixture.projector();
    // 2^53 + 1 cents: the first whole number that a float cannot hold.
    let odd = Money::parse("90071992547409.93", "USD".parse().unwrap()).unwrap();
    for number in 0..3 {
        fixture.order(number, 0, odd).await;
    }
    fixture.caught_up(&projector).await;
    let sum = fixture.number("select cast(sum(total_minor) as bigint) from {}orders where currency = 'USD'").await;
    assert_eq!(sum, 3 * 9_007_199_254_740_993);
    let rows = fixture.models.queries().orders(&OrderFilter::default(), &PageRequest::default()).await.unwrap().items;
    assert!(rows.iter().all(|order| order.total == odd));
    projector.stop().await;
}

/// Another connection holds a lock on the lists' tables.
async fn a_table_that_is_locked_is_told_in_time(fixture: &Fixture) {
    let projector = fixture.projector();
    fixture.order(1, 0, won(1_000)).await;
    fixture.caught_up(&projector).await;
    projector.stop().await;
    let lock = fixture.lock_orders().await;
    let queries = fixture.models.queries();
    let (first, all) = (page(None, 1), OrderFilter::default());
    // More queries than there are connections.
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (queries, all, first) = (queries.clone(), all.clone(), first.clone());
        asked.spawn(async move { tokio::time::timeout_at(deadline(), queries.orders(&all, &first)).await });
    }
    for answer in asked.join_all().await {
        let answer = answer.expect("an answer, though the table is locked");
        match &fixture.place {
            // A writer does not block readers.
            Place::Sqlite(_) => assert_eq!(answer.unwrap().items.len(), 1),
            Place::Postgres { .. } => assert!(matches!(answer, Err(QueryError::Unavailable(_))), "{answer:?}"),
        }
    }
    drop(lock);
    // The server notices the end of a connection in its own time.
    let limit = deadline();
    while queries.orders(&all, &first).await.is_err() {
        assert!(tokio::time::Instant::now() < limit, "the table is free again");
    }
}
