//! The projector: rows are folds, crashes lose nothing, streams are parked one by one.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::*;
use jangbu_aggregates::payment::*;
use jangbu_aggregates::points::*;
use jangbu_aggregates::processes::*;
use jangbu_aggregates::shipment::*;
use jangbu_aggregates::stock::*;
use jangbu_aggregates::user::*;
use jangbu_kernel::log::EventLog as _;
use jangbu_kernel::ports::TimerQueue as _;
use jangbu_kernel::{OrderId, PaymentId, Position, ProductId, RefundId, Role, ShipmentId, StreamId, UserId, Version};
use jangbu_projections::{
    Compared, EntryKind, OrderStatus, PageRequest, PaymentStatus, ProjectionState, ProjectorError, fold,
};
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;

use crate::fixture::{Fixture, Place, at, buyer, deadline, id, paid, payment_requested, placed, sealed, won};

crate::on_both_engines! {
    a_row_is_the_fold_of_its_stream,
    a_mark_of_a_stock_is_the_stock_as_it_was,
    a_crash_between_pages_costs_nothing,
    a_parked_stream_stands_alone_and_is_redriven_in_order,
    an_unknown_event_parks_its_stream,
    a_page_that_was_written_all_the_same_is_not_folded_twice,
    a_newer_projector_fences_the_older,
    a_page_waits_for_an_epoch_that_is_being_taken,
    an_owner_who_was_last_seen_in_the_future_is_gone,
    due_timers_come_earliest_first,
    another_process_waits_by_the_checkpoints,
    whoever_only_reads_finds_every_row_that_differs,
}

/// Compares with the log without a projector: each kind of difference, a view that is ahead, one
/// that another version of the program folded, and read models that do not exist.
async fn whoever_only_reads_finds_every_row_that_differs(fixture: &Fixture) {
    let projector = fixture.projector();
    for number in 1..=3 {
        fixture.order(number, 0, won(1_000)).await;
    }
    fixture.caught_up(&projector).await;
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
    let orders = async || fixture.compared().await.into_iter().find(|view| view.name == "orders").unwrap();
    let told = async || match orders().await.outcome {
        Compared::Rows { differences, examples } => {
            (differences, examples.into_iter().map(|example| example.what).collect::<Vec<_>>())
        }
        other @ (Compared::Ahead | Compared::OtherVersion | Compared::Missing) => panic!("{other:?}"),
    };
    assert_eq!((orders().await.rows, told().await), (3, (0, vec![])));
    for (tampering, difference) in [
        ("update {}orders set status = 'completed' where number = 'N-1'", "different"),
        ("update {}orders set doc = doc || ' ' where number = 'N-2'", "different"),
        ("delete from {}orders where number = 'N-3'", "missing"),
    ] {
        let before = told().await.0;
        fixture.tamper(tampering).await;
        let (differences, examples) = told().await;
        assert!(differences == before + 1 && examples.contains(&difference.to_owned()), "{tampering}: {examples:?}");
    }
    let head = fixture.store.head().await.unwrap();
    fixture.tamper("update {}projections set position = position + 1 where name = 'stock'").await;
    fixture.tamper("update {}projections set version = version + 1 where name = 'users'").await;
    fixture.tamper("delete from {}projections where name = 'points'").await;
    for view in fixture.compared().await {
        match view.name {
            "stock" => assert_eq!((view.outcome, view.position), (Compared::Ahead, head.next())),
            "users" => assert_eq!(view.outcome, Compared::OtherVersion),
            "points" => assert_eq!(view.outcome, Compared::Missing),
            _ => assert!(matches!(view.outcome, Compared::Rows { .. }), "{view:?}"),
        }
    }
}

fn order_events(events: Vec<OrderEvent>) -> Vec<DomainEvent> {
    events.into_iter().map(DomainEvent::Order).collect()
}

/// Gives every view a stream with a whole life cycle.
async fn a_life(fixture: &Fixture) -> (OrderId, PaymentId, ShipmentId, UserId) {
    let (order, payment, shipment) = (OrderId::new(id(100)), PaymentId::new(id(101)), ShipmentId::new(id(102)));
    let (refund, user) = (RefundId::new(id(103)), buyer());
    stock_people_and_points(fixture, order, payment, refund).await;
    payment_and_parcel(fixture, order, payment, shipment, refund).await;
    let order_life = vec![
        OrderEvent::from(placed(100, won(10_000))),
        OrderPaymentOpened { payment_id: payment }.into(),
        paid(Some(payment)).into(),
        OrderPreparationStarted { shipment_id: shipment }.into(),
        OrderShipped {}.into(),
        OrderDelivered { delivered_at: None }.into(),
    ];
    fixture.append(StreamId::order(order), 6, order_events(order_life)).await;
    let process = vec![
        FulfilmentEvent::from(FulfilmentStarted {
            order_id: order,
            total: won(10_000),
            payment_deadline: at(900),
            first_input: None,
        }),
        TimerSet { timer: TimerName::PaymentDeadline, due_at: at(900) }.into(),
        StepEntered { step: Step::Capturing }.into(),
        CommandIssued {
            command_id: jangbu_kernel::CommandId::new(id(104)),
            command: ProcessCommand::CapturePayment { payment_id: payment },
        }
        .into(),
    ];
    fixture.append(StreamId::fulfilment(order), 7, process.into_iter().map(DomainEvent::Fulfilment).collect()).await;
    (order, payment, shipment, user)
}

async fn stock_people_and_points(fixture: &Fixture, order: OrderId, payment: PaymentId, refund: RefundId) {
    let user = buyer();
    let product = fixture.product(1, "머그컵", 10_000).await;
    let stock = vec![
        StockEvent::from(StockReceived { quantity: 10, location: None }),
        StockReserved { order_id: order, quantity: 2, expires_at: at(900) }.into(),
        StockAllocated { order_id: order, quantity: 2 }.into(),
        StockShipped { order_id: order, quantity: 1, from: Vec::new() }.into(),
    ];
    fixture.append(StreamId::stock(product), 1, stock.into_iter().map(DomainEvent::Stock).collect()).await;
    let registered = UserRegistered {
        email: sealed("e"),
        name: sealed("n"),
        phone: None,
        password_hash: sealed("p"),
        roles: vec![Role::Customer],
    };
    let people =
        vec![UserEvent::from(registered), RoleGranted { role: Role::Staff }.into(), UserLocked { until: at(5) }.into()];
    fixture.append(StreamId::user(user), 2, people.into_iter().map(DomainEvent::User).collect()).await;
    let ledger = vec![
        PointsEvent::from(PointsGranted {
            amount: won(5_000),
            reference: "welcome".into(),
            reference_hash: None,
            expires_at: Some(at(99)),
        }),
        PointsHeld {
            payment_id: payment,
            order_id: order,
            amount: won(3_000),
            parts: vec![PointsPart { entry: 1, amount: won(3_000), extended_to: None }],
        }
        .into(),
        PointsCaptured { payment_id: payment, amount: won(3_000) }.into(),
        PointsRestored { payment_id: payment, refund_id: refund, amount: won(1_000), parts: vec![] }.into(),
    ];
    fixture.append(StreamId::points(user), 3, ledger.into_iter().map(DomainEvent::Points).collect()).await;
}

async fn payment_and_parcel(
    fixture: &Fixture,
    order: OrderId,
    payment: PaymentId,
    shipment: ShipmentId,
    refund: RefundId,
) {
    let user = buyer();
    let paying = vec![
        PaymentEvent::from(payment_requested(order, 7_000, 3_000)),
        CaptureRequested { order_id: order, leg: Some(0), gateway: Some("sandbox".to_owned()), amount: won(7_000) }
            .into(),
        PaymentCaptured {
            order_id: order,
            amount: won(10_000),
            reference: Some("ch_1".into()),
            source: Source::Answer,
        }
        .into(),
        RefundRequested {
            order_id: order,
            refund_id: refund,
            amount: won(8_000),
            allocation: vec![LegRefund { leg: 0, amount: won(7_000) }, LegRefund { leg: 1, amount: won(1_000) }],
            reason: "broken".into(),
        }
        .into(),
        LegRefunded {
            order_id: order,
            refund_id: refund,
            leg: 0,
            amount: won(7_000),
            reference: None,
            source: Source::Answer,
        }
        .into(),
        LegRefunded {
            order_id: order,
            refund_id: refund,
            leg: 1,
            amount: won(1_000),
            reference: None,
            source: Source::Shop,
        }
        .into(),
        RefundSettled { order_id: order, refund_id: refund, amount: won(8_000) }.into(),
    ];
    fixture.append(StreamId::payment(payment), 4, paying.into_iter().map(DomainEvent::Payment).collect()).await;
    let parcel = vec![
        ShipmentEvent::from(ShipmentRequested {
            order_id: order,
            user_id: user,
            lines: placed(100, won(10_000)).lines,
            shipping_address: sealed("address"),
            carrier: "sandbox".into(),
        }),
        ShipmentReady { order_id: order, carrier: "sandbox".into(), tracking_number: "T-1".into() }.into(),
        ShipmentDispatched { order_id: order, carrier: "sandbox".into(), tracking_number: "T-1".into() }.into(),
        ScanRecorded {
            order_id: order,
            carrier: "sandbox".into(),
            tracking_number: "T-1".into(),
            status: ScanStatus::Delivered,
            code: "D".into(),
            place: "서울".into(),
            at: at(8),
            note: None,
            received_at: None,
            ignored_because: None,
        }
        .into(),
        ShipmentDelivered { order_id: order }.into(),
    ];
    fixture.append(StreamId::shipment(shipment), 5, parcel.into_iter().map(DomainEvent::Shipment).collect()).await;
}

async fn a_row_is_the_fold_of_its_stream(fixture: &Fixture) {
    let (order, payment, shipment, user) = a_life(fixture).await;
    let projector = fixture.projector();
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();

    let order_row = queries.order(order).await.unwrap();
    assert_eq!(order_row, fold::order(&fixture.stream(StreamId::order(order)).await).unwrap());
    let order_row = order_row.unwrap();
    assert_eq!((order_row.status, order_row.version), (OrderStatus::Delivered, Version::new(6)));
    assert_eq!(queries.order_by_number("N-100").await.unwrap(), Some(order_row));

    let payment_row = queries.payment(payment).await.unwrap();
    assert_eq!(payment_row, fold::payment(&fixture.stream(StreamId::payment(payment)).await).unwrap());
    let payment_row = payment_row.unwrap();
    assert_eq!((payment_row.status, payment_row.refunded), (PaymentStatus::PartiallyRefunded, won(8_000)));
    assert_eq!(payment_row.legs[0].gateway_reference.as_deref(), Some("ch_1"));
    assert_eq!(queries.payments_of_order(order).await.unwrap(), [payment_row]);

    let shipment_row = queries.shipment(shipment).await.unwrap();
    assert_eq!(shipment_row, fold::shipment(&fixture.stream(StreamId::shipment(shipment)).await).unwrap());
    assert_eq!(queries.shipment_by_tracking("T-1", None).await.unwrap(), shipment_row);
    assert_eq!(queries.shipments_of_order(order).await.unwrap(), [shipment_row.unwrap()]);

    let product = ProductId::new(id(1));
    let stock = queries.stock(product).await.unwrap().unwrap();
    assert_eq!(Some(&stock), fold::stock(&fixture.stream(StreamId::stock(product)).await).unwrap().as_ref());
    assert_eq!((stock.on_hand, stock.reserved, stock.allocated, stock.available), (9, 0, 1, 8));
    let with_stock = queries.product(product).await.unwrap().unwrap();
    assert_eq!(Some(with_stock.product), fold::product(&fixture.stream(StreamId::product(product)).await).unwrap());
    assert_eq!(with_stock.available, 8);

    let user_row = queries.user(user).await.unwrap();
    assert_eq!(user_row, fold::user(&fixture.stream(StreamId::user(user)).await).unwrap());
    assert_eq!(user_row.unwrap().roles, [Role::Customer, Role::Staff]);

    let ledger = fixture.stream(StreamId::points(user)).await;
    let points = queries.points(user).await.unwrap();
    assert_eq!(Some(&points), fold::points(&ledger).unwrap().as_ref());
    let mut entries = fold::points_entries(&ledger).unwrap();
    entries.retain(|entry| entry.kind != EntryKind::Held);
    entries.reverse();
    let listed = queries.points_entries(user, &PageRequest::default()).await.unwrap();
    assert_eq!(listed.items, entries);
    let sum: i64 = listed.items.iter().map(|entry| entry.amount.minor_units()).sum();
    assert_eq!((sum, points.balance), (3_000, won(3_000)));

    let process = queries.fulfilment(order).await.unwrap();
    assert_eq!(process, fold::fulfilment(&fixture.stream(StreamId::fulfilment(order)).await).unwrap());
    let process = process.unwrap();
    assert_eq!((process.step.as_str(), process.at_rest), ("capturing", false));
    assert_eq!(process.open_commands[0].name, "capture_payment");
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

/// Marks begin and end within pages and between them, and go on after a restart.
async fn a_mark_of_a_stock_is_the_stock_as_it_was(fixture: &Fixture) {
    let product = ProductId::new(id(1));
    let stream = StreamId::stock(product);
    for (round, changes) in [100, 155, 1, 1, 1, 254, 1, 300].into_iter().enumerate() {
        let received =
            (0..changes).map(|_| DomainEvent::Stock(StockReceived { quantity: 2, location: None }.into())).collect();
        fixture.append(stream, i64::try_from(round).unwrap(), received).await;
        let projector = fixture.projector();
        fixture.caught_up(&projector).await;
        fixture.rows_are_the_log(&projector).await;
        projector.stop().await;
    }
    assert_eq!(fixture.number("select count(*) from {}stock_marks").await, 4);
    let events = fixture.stream(stream).await;
    assert_eq!(events.len(), 813);
    let queries = fixture.models.queries();
    for (version, mark) in [(1, 0), (255, 0), (256, 256), (257, 256), (511, 256), (512, 512), (812, 768), (813, 768)] {
        let there = queries.stock_before(product, Version::new(version)).await.unwrap();
        assert_eq!(there, fold::stock(&events[..mark]).unwrap(), "{version}");
    }
}

async fn a_crash_between_pages_costs_nothing(fixture: &Fixture) {
    a_life(fixture).await;
    for round in 0..5_u128 {
        for number in 0..300 {
            let order = fixture.order(10_000 + round * 1_000 + number, 10, won(1_000)).await;
            fixture.append(StreamId::order(order), 11, order_events(vec![paid(None).into()])).await;
        }
        let projector = fixture.projector();
        // Dropped somewhere in the middle.
        projector.wait_for(Position::new(1 + u64::try_from(round).unwrap() * 600), deadline()).await;
        drop(projector);
    }
    let projector = fixture.projector();
    fixture.caught_up(&projector).await;
    assert_eq!(fixture.number("select count(*) from {}orders where status = 'paid'").await, 1_500);
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

async fn a_parked_stream_stands_alone_and_is_redriven_in_order(fixture: &Fixture) {
    let bad = fixture.order(1, 0, won(1_000)).await;
    let good = fixture.order(2, 0, won(1_000)).await;
    let projector = fixture.projector();
    fixture.caught_up(&projector).await;
    projector.stop().await;
    fixture.tamper("update {}orders set doc = '{\"version\":1}' where number = 'N-1'").await;

    let projector = fixture.projector();
    let opened = OrderPaymentOpened { payment_id: PaymentId::new(id(7)) };
    fixture.append(StreamId::order(bad), 1, order_events(vec![opened.clone().into()])).await;
    fixture.append(StreamId::order(good), 2, order_events(vec![opened.into()])).await;
    fixture.append(StreamId::order(bad), 3, order_events(vec![paid(None).into()])).await;
    fixture.caught_up(&projector).await;
    let status = projector.statuses().await.unwrap().into_iter().find(|status| status.name == "orders").unwrap();
    assert_eq!((status.parked_streams, status.state), (1, ProjectionState::Live));
    assert_eq!(fixture.models.queries().order(good).await.unwrap().unwrap().status, OrderStatus::AwaitingPayment);
    assert_eq!(fixture.number("select position from {}parked_streams").await, 3);

    // Nothing was repaired, so the stream is parked again at the same place.
    let again = projector.redrive("orders", StreamId::order(bad)).await.unwrap();
    assert_eq!(again.parked_again.unwrap().0, Position::new(3));
    let row = fold::order(&fixture.stream(StreamId::order(bad)).await[..1]).unwrap().unwrap();
    let doc = serde_json::to_string(&row).unwrap();
    fixture.tamper(&format!("update {{}}orders set doc = '{doc}' where number = 'N-1'")).await;
    // Parked streams survive a restart.
    projector.stop().await;
    let projector = fixture.projector();
    let redriven = projector.redrive("orders", StreamId::order(bad)).await.unwrap();
    assert_eq!((redriven.events, redriven.parked_again), (2, None));
    assert_eq!(fixture.models.queries().order(bad).await.unwrap().unwrap().status, OrderStatus::Paid);
    fixture.append(StreamId::order(bad), 4, order_events(vec![OrderShipped {}.into()])).await;
    fixture.caught_up(&projector).await;
    fixture.rows_are_the_log(&projector).await;
    assert!(matches!(projector.redrive("orders", StreamId::order(bad)).await, Err(ProjectorError::NotParked(..))));
    assert!(matches!(projector.redrive("nothing", StreamId::order(bad)).await, Err(ProjectorError::UnknownView(_))));
    projector.stop().await;
}

async fn an_unknown_event_parks_its_stream(fixture: &Fixture) {
    let order = fixture.order(1, 0, won(1_000)).await;
    let projector = fixture.projector();
    fixture.append_raw(StreamId::order(order), 1, vec![("order.teleported", "{}".to_owned())]).await;
    fixture.append(StreamId::order(order), 2, order_events(vec![paid(None).into()])).await;
    let other = fixture.order(2, 3, won(1_000)).await;
    fixture.append_raw(StreamId::order(other), 4, vec![("order.put_on_hold", "{\"reason\":7}".to_owned())]).await;
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    // The rows stay at the last event that could be read.
    for order in [order, other] {
        assert_eq!(queries.order(order).await.unwrap().unwrap().version, Version::FIRST);
    }
    assert_eq!(fixture.number("select count(*) from {}parked_streams where view = 'orders'").await, 2);
    projector.stop().await;
}

/// A failure after the commit leaves the projector behind its own tables: here the lease cannot be
/// renewed.
async fn a_page_that_was_written_all_the_same_is_not_folded_twice(fixture: &Fixture) {
    let order = fixture.order(1, 0, won(1_000)).await;
    let projector = fixture.projector();
    fixture.caught_up(&projector).await;
    let refuse =
        "create function views.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
        create trigger refused before update on views.lease for each row execute function views.refuse();";
    let sqlite = "create trigger refused before update on lease begin select raise(abort, 'no'); end;";
    fixture.script(sqlite, refuse).await;
    let overdue = match &fixture.place {
        Place::Sqlite(_) => "select cast(unixepoch('subsec') * 1000 as integer) - renewed_ms > 600 from lease",
        Place::Postgres { .. } => {
            "select ((extract(epoch from clock_timestamp()) * 1000)::bigint - renewed_ms > 600)::int::bigint from views.lease"
        }
    };
    fixture.until(overdue, 1).await;
    fixture.append(StreamId::order(order), 1, order_events(vec![paid(None).into()])).await;
    fixture.until("select version from {}orders where number = 'N-1'", 2).await;
    fixture.append(StreamId::order(order), 2, order_events(vec![OrderShipped {}.into()])).await;
    fixture.until("select version from {}orders where number = 'N-1'", 3).await;
    fixture.script("drop trigger refused;", "drop trigger refused on views.lease;").await;
    fixture.caught_up(&projector).await;
    assert_eq!(fixture.number("select count(*) from {}parked_streams").await, 0);
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

async fn a_newer_projector_fences_the_older(fixture: &Fixture) {
    let older = fixture.projector();
    fixture.order(1, 0, won(1_000)).await;
    fixture.caught_up(&older).await;
    let newer = fixture.projector_on(fixture.elsewhere().await);
    fixture.until("select epoch from {}lease", 2).await;
    let fenced = fixture.order(2, 0, won(1_000)).await;
    fixture.caught_up(&newer).await;
    // The older one finds out with its next write, and shows what the newer one writes.
    fixture.caught_up(&older).await;
    assert!(matches!(
        older.redrive("orders", StreamId::order(fenced)).await,
        Err(ProjectorError::Stopped | ProjectorError::NotParked(..))
    ));
    newer.stop().await;
    fixture.order(3, 0, won(1_000)).await;
    // It takes over again, under an epoch of its own.
    fixture.caught_up(&older).await;
    assert_eq!(fixture.number("select epoch from {}lease").await, 3);
    fixture.rows_are_the_log(&older).await;
    older.stop().await;
}

/// A projector locks the epoch while it writes a page. If another one is taking the epoch at that
/// moment, the projector waits for it and then writes nothing.
async fn a_page_waits_for_an_epoch_that_is_being_taken(fixture: &Fixture) {
    let Place::Postgres { url, .. } = &fixture.place else {
        // An embedded file has one writer at a time.
        return;
    };
    let projector = fixture.projector();
    fixture.order(1, 0, won(1_000)).await;
    fixture.caught_up(&projector).await;
    let (mut taker, mut watcher) =
        (PgConnection::connect(url).await.unwrap(), PgConnection::connect(url).await.unwrap());
    sqlx::raw_sql("begin; update views.lease set epoch = epoch + 1").execute(&mut taker).await.unwrap();
    fixture.order(2, 0, won(1_000)).await;
    let limit = deadline();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() \
                 and wait_event_type = 'Lock' and query like 'select epoch from views.lease%'";
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watcher).await.unwrap() == 0 {
        assert!(Instant::now() < limit, "nobody waits for the epoch");
        tokio::task::yield_now().await;
    }
    sqlx::raw_sql("update views.lease set renewed_ms = renewed_ms + 3600000; commit")
        .execute(&mut taker)
        .await
        .unwrap();
    fixture.until("select count(*) from {}orders", 1).await;
    // Nobody renews the epoch that was taken, so the projector takes over again after a while.
    sqlx::raw_sql("update views.lease set renewed_ms = 0").execute(&mut taker).await.unwrap();
    fixture.caught_up(&projector).await;
    assert_eq!(fixture.number("select epoch from {}lease").await, 3);
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

/// After a database's clock was put back, the last renewal of an owner that is gone may lie in the
/// future. Nobody waits until that time has passed.
async fn an_owner_who_was_last_seen_in_the_future_is_gone(fixture: &Fixture) {
    let older = fixture.projector();
    fixture.order(1, 0, won(1_000)).await;
    fixture.caught_up(&older).await;
    let newer = fixture.projector_on(fixture.elsewhere().await);
    fixture.until("select epoch from {}lease", 2).await;
    fixture.order(2, 0, won(1_000)).await;
    fixture.caught_up(&newer).await;
    fixture.caught_up(&older).await;
    // Releasing the lease leaves a renewal an hour ahead instead.
    let sqlite = "create trigger ahead after update on lease when new.renewed_ms = 0 begin
            update lease set renewed_ms = cast(unixepoch('subsec') * 1000 as integer) + 3600000; end;";
    let postgres = "create function views.ahead() returns trigger language plpgsql as $$ begin
            if new.renewed_ms = 0 then
                new.renewed_ms := (extract(epoch from clock_timestamp()) * 1000)::bigint + 3600000;
            end if; return new; end $$;
        create trigger ahead before update on views.lease for each row execute function views.ahead();";
    fixture.script(sqlite, postgres).await;
    newer.stop().await;
    fixture.until("select epoch from {}lease", 3).await;
    fixture.order(3, 0, won(1_000)).await;
    fixture.caught_up(&older).await;
    fixture.rows_are_the_log(&older).await;
    older.stop().await;
}

async fn due_timers_come_earliest_first(fixture: &Fixture) {
    let timer = |number: u128, due: i64| {
        let stream = StreamId::fulfilment(OrderId::new(id(number)));
        let started = FulfilmentStarted {
            order_id: OrderId::new(id(number)),
            total: won(1),
            payment_deadline: at(due),
            first_input: None,
        };
        let set = TimerSet { timer: TimerName::PaymentDeadline, due_at: at(due) };
        (stream, vec![DomainEvent::Fulfilment(started.into()), DomainEvent::Fulfilment(set.into())])
    };
    let projector = fixture.projector();
    assert_eq!(fixture.models.next_due().await.unwrap(), None);
    for (number, due) in [(1, 500), (2, 100), (3, 300), (4, 900)] {
        let (stream, events) = timer(number, due);
        fixture.append(stream, 0, events).await;
    }
    let third = StreamId::fulfilment(OrderId::new(id(3)));
    let fourth = StreamId::fulfilment(OrderId::new(id(4)));
    let name = TimerName::PaymentDeadline;
    fixture.append(third, 1, vec![DomainEvent::Fulfilment(TimerCancelled { timer: name }.into())]).await;
    // Moved while its old time was being reached: it stays set for the new one.
    let moved =
        vec![TimerSet { timer: name, due_at: at(950) }.into(), TimerReached { timer: name, due_at: at(900) }.into()];
    fixture.append(fourth, 1, moved.into_iter().map(DomainEvent::Fulfilment).collect()).await;
    fixture.caught_up(&projector).await;
    let due = fixture.models.due(at(600), 10).await.unwrap();
    let seen: Vec<_> = due.iter().map(|timer| (timer.stream.id, timer.timer.as_str(), timer.due_at)).collect();
    assert_eq!(seen, [(id(2), "payment_deadline", at(100)), (id(1), "payment_deadline", at(500))]);
    assert_eq!(fixture.models.due(at(600), 1).await.unwrap().len(), 1);
    assert_eq!(fixture.models.next_due().await.unwrap(), Some(at(100)));
    assert_eq!(fixture.models.due(at(950), 10).await.unwrap().last().unwrap().due_at, at(950));
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

async fn another_process_waits_by_the_checkpoints(fixture: &Fixture) {
    let projector = fixture.projector();
    let elsewhere = fixture.elsewhere().await;
    let order = fixture.order(1, 0, won(1_000)).await;
    let queries = elsewhere.queries();
    assert!(queries.wait_for(Position::FIRST, deadline()).await);
    assert!(queries.order(order).await.unwrap().is_some());
    assert!(!queries.wait_for(Position::new(2), Instant::now()).await);
    let names: Vec<String> = queries.statuses().await.unwrap().into_iter().map(|status| status.name).collect();
    assert_eq!(names, jangbu_projections::names().collect::<Vec<_>>());
    elsewhere.close().await;
    projector.stop().await;
}
