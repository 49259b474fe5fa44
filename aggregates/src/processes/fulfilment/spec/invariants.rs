//! I2 to I8 as scenarios: one test for each way in which an invariant could be broken.

use super::*;

#[test]
fn i2_a_capture_before_its_payment_is_known_confirms_the_order_all_the_same() {
    let mut bench = Bench::new();
    bench.learn(&captured());
    assert_eq!(bench.state.step(), Step::NotStarted);
    bench.learn(&payment(PaymentNews::Requested));
    let events = bench.learn(&ProcessFact::OrderPlaced);
    assert_eq!(commands(&events), [ProcessCommand::ConfirmOrder { payment_id: id(PAYMENT) }]);
}

#[test]
fn i3_the_same_decision_issues_the_same_ids_and_another_one_others() {
    let bench = in_step(Step::AwaitingPayment);
    let input = bench.input(&payment(PaymentNews::Requested));
    assert_eq!(bench.decide(&input), bench.decide(&input));
    let mut first = in_step(Step::Inquiring);
    let ids = |events: &[FulfilmentEvent]| {
        events.iter().flat_map(FulfilmentEvent::issued).map(|issued| issued.command_id).collect::<Vec<_>>()
    };
    let one = ids(&first.ring(TimerName::Inquiry));
    let two = ids(&first.ring(TimerName::Inquiry));
    assert_eq!((one.len(), two.len()), (1, 1));
    assert_ne!(one, two);
}

#[test]
fn what_an_input_leads_to_stands_in_its_own_event_in_the_order_it_was_decided() {
    let mut bench = in_step(Step::Capturing);
    let events = bench.learn(&captured());
    let [FulfilmentEvent::InputReceived(input)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((input.step, input.issued.len()), (Some(Step::Confirming), 1));
    // Folding the one event gives the same as folding its parts.
    let mut parts = in_step(Step::Capturing).state;
    parts.evolve(&InputReceived { step: None, issued: Vec::new(), ..input.clone() }.into());
    parts.evolve(&StepEntered { step: Step::Confirming }.into());
    parts.evolve(&input.issued[0].clone().into());
    assert_eq!(serde_json::to_value(&bench.state).unwrap(), serde_json::to_value(&parts).unwrap());
}

#[test]
fn what_follows_another_event_of_the_same_decision_stands_by_itself() {
    let mut bench = in_step(Step::Shipping);
    bench.learn(&shipment(ShipmentNews::Requested));
    let events = bench.learn(&shipment(ShipmentNews::Cancelled));
    let types: Vec<_> = events.iter().map(FulfilmentEvent::event_type).collect();
    assert_eq!(types[..3], ["fulfilment.input_received", "fulfilment.compensation_started", "fulfilment.step_entered"]);
    assert_eq!(bench.state.step(), Step::Compensating);
    let FulfilmentEvent::InputReceived(input) = &events[0] else { panic!("{events:?}") };
    assert_eq!((input.step, input.issued.len()), (None, 0));
    assert!(!commands(&events).is_empty());
}

#[test]
fn i4_the_deadline_expires_nothing_while_a_payment_is_undecided() {
    for step in [Step::Capturing, Step::AwaitingChallenge, Step::AwaitingDeposit, Step::Inquiring] {
        let mut bench = in_step(step);
        let events = bench.ring(TimerName::PaymentDeadline);
        assert!(!commands(&events).contains(&ProcessCommand::ExpireOrder), "{step:?}");
        let events = bench.learn(&ended());
        let noted = ProcessCommand::RecordPaymentFailure { payment_id: id(PAYMENT), reason: "declined".into() };
        assert_eq!(commands(&events), [noted, ProcessCommand::ExpireOrder], "{step:?}");
    }
}

#[test]
fn i4_what_is_paid_elsewhere_is_asked_after_until_the_deadline_and_voided_then() {
    let mut bench = in_step(Step::AwaitingDeposit);
    for attempt in 1..4 {
        assert!(bench.state.at_rest(), "nobody waits for it: the buyer pays");
        let asks = ProcessCommand::InquirePayment { payment_id: id(PAYMENT), attempt };
        assert_eq!(commands(&bench.ring(TimerName::Inquiry)), [asks]);
    }
    let void = ProcessCommand::NetCancelPayment { payment_id: id(PAYMENT), reason: "deposit_not_made".into() };
    assert_eq!(commands(&bench.ring(TimerName::PaymentDeadline)), [void]);
    assert_eq!(bench.state.step(), Step::Inquiring);
}

#[test]
fn i4_what_the_gateway_never_heard_of_is_voided_before_it_is_given_up() {
    let mut bench = in_step(Step::Inquiring);
    let unheard = payment(PaymentNews::InquiryUndecided { not_found: true });
    assert_eq!(commands(&bench.learn(&unheard)), []);
    let void = ProcessCommand::NetCancelPayment { payment_id: id(PAYMENT), reason: "not_found".into() };
    assert_eq!(commands(&bench.learn(&unheard)), std::slice::from_ref(&void));
    // Until the gateway acknowledges, the timer repeats the same command.
    assert_eq!(commands(&bench.ring(TimerName::Inquiry)), [void]);
    assert!(!bench.state.at_rest());
}

#[test]
fn i5_money_that_comes_after_the_end_goes_back_and_the_process_ends_again() {
    let mut bench = in_step(Step::Ended);
    assert!(bench.state.at_rest());
    let events = bench.learn(&captured());
    let issued = commands(&events);
    let [ProcessCommand::RecordLatePayment { .. }, ProcessCommand::RequestRefund { refund_id, .. }] = issued[..] else {
        panic!("{issued:?}");
    };
    bench.learn(&ProcessFact::OrderLatePayment { payment_id: id(PAYMENT) });
    bench.learn(&payment(PaymentNews::RefundRequested { refund_id, amount: won(5_000) }));
    assert!(!bench.state.at_rest());
    let events = bench.learn(&payment(PaymentNews::RefundSettled { refund_id }));
    assert!(matches!(events.last(), Some(FulfilmentEvent::Ended(_))));
    assert!(bench.state.at_rest());
}

#[test]
fn i5_a_late_capture_of_a_failed_payment_goes_back_while_another_pays() {
    let mut bench = in_step(Step::Shipping);
    let late = |news| ProcessFact::Payment { payment_id: id(11), news };
    bench.learn(&late(PaymentNews::Ended { reason: "declined".into() }));
    let events = bench.learn(&late(PaymentNews::Captured { amount: won(5_000) }));
    let refunds: Vec<_> = commands(&events)
        .into_iter()
        .filter(|command| matches!(command, ProcessCommand::RequestRefund { payment_id, .. } if *payment_id == id(11)))
        .collect();
    assert_eq!(refunds.len(), 1);
    assert_eq!(bench.state.step(), Step::Shipping);
}

#[test]
fn i5_a_late_capture_goes_back_at_once_while_the_buyer_may_still_pay() {
    let mut bench = in_step(Step::Capturing);
    bench.learn(&ended());
    bench.learn(&ProcessFact::OrderPaymentFailed { payment_id: id(PAYMENT) });
    let events = bench.learn(&captured());
    assert!(matches!(commands(&events)[..], [ProcessCommand::RequestRefund { .. }]));
    assert_eq!(bench.state.step(), Step::AwaitingPayment);
}

#[test]
fn i5_a_refund_by_staff_is_carried_out_and_disturbs_nothing() {
    let mut bench = in_step(Step::AwaitingCompletion);
    let events = bench.learn(&payment(PaymentNews::RefundRequested { refund_id: id(7), amount: won(100) }));
    let settle = ProcessCommand::SettleRefund { payment_id: id(PAYMENT), refund_id: id(7), attempt: 1 };
    assert_eq!(commands(&events), [settle]);
    assert!(!bench.state.at_rest());
    bench.learn(&payment(PaymentNews::RefundSettled { refund_id: id(7) }));
    assert_eq!(bench.state.step(), Step::AwaitingCompletion);
    assert!(bench.state.at_rest());
}

#[test]
fn i6_once_compensating_nothing_goes_forward() {
    let mut bench = in_step(Step::Compensating);
    let issued = commands(&bench.learn(&paid()));
    assert!(issued.iter().all(|command| !matches!(command, ProcessCommand::RequestShipment { .. })), "{issued:?}");
    assert_eq!(bench.state.step(), Step::Compensating);
}

#[test]
fn i6_a_label_that_is_refused_three_times_undoes_in_reverse() {
    let mut bench = in_step(Step::Shipping);
    bench.learn(&shipment(ShipmentNews::Requested));
    for attempt in 1..=2 {
        bench.learn(&shipment(ShipmentNews::Refused { attempt }));
        let next = ProcessCommand::BookCarrier { shipment_id: parcel(), attempt: attempt + 1 };
        assert_eq!(commands(&bench.ring(TimerName::LabelRetry)), [next]);
    }
    let events = bench.learn(&shipment(ShipmentNews::Refused { attempt: 3 }));
    let cancel = ProcessCommand::CancelShipment { shipment_id: parcel(), reason: "shipment_refused".into() };
    assert_eq!(commands(&events), [cancel]);
    let issued = commands(&bench.learn(&shipment(ShipmentNews::Cancelled)));
    let [ProcessCommand::RequestRefund { refund_id, .. }] = issued[..] else { panic!("{issued:?}") };
    let amount: Money = won(5_000);
    bench.learn(&payment(PaymentNews::RefundRequested { refund_id, amount }));
    let events = bench.learn(&payment(PaymentNews::RefundSettled { refund_id }));
    assert_eq!(commands(&events), [ProcessCommand::FailOrder { reason: "shipment_refused".into() }]);
}

#[test]
fn i7_a_command_that_is_refused_again_and_again_ends_with_a_person() {
    let mut bench = in_step(Step::Confirming);
    bench.refuse("order_state_conflict");
    let mut retries = 0;
    while bench.state.timers().contains_key(&TimerName::CommandRetry) {
        bench.ring(TimerName::CommandRetry);
        retries += 1;
        bench.refuse("order_state_conflict");
    }
    assert_eq!(retries, crate::policy::Policy::default().undo_retries.len());
    assert_eq!((bench.state.step(), bench.state.parked_reason()), (Step::NeedsOperator, Some("command_refused")));
    assert!(bench.state.at_rest());
}

#[test]
fn i7_a_refund_that_is_refused_is_asked_for_anew_and_then_by_a_person() {
    let mut bench = in_step(Step::Cancelling);
    // The parcel that was requested before the order was cancelled is not opened.
    bench.refuse("order_state_conflict");
    let mut tries = 0;
    while bench.state.step() == Step::Cancelling {
        let Some((_, ProcessCommand::RequestRefund { refund_id, .. })) = bench.state.open_commands().next() else {
            bench.ring(TimerName::RefundRetry);
            continue;
        };
        let refund_id = *refund_id;
        tries += 1;
        bench.learn(&payment(PaymentNews::RefundRequested { refund_id, amount: won(5_000) }));
        bench.learn(&payment(PaymentNews::RefundRefused { refund_id }));
    }
    assert_eq!(tries, crate::policy::Policy::default().undo_retries.len() + 1);
    assert_eq!(bench.state.parked_reason(), Some("refund_refused"));
    let skip = FulfilmentCommand::Resolve { action: OperatorAction::Skip, reason: "paid by hand".into() };
    let Decision::Record(events) = bench.ask(&skip) else { panic!("skip is refused") };
    assert_eq!(commands(&events), [ProcessCommand::FinishCancellation]);
}

#[test]
fn i8_an_end_leaves_no_timer() {
    for end in [ProcessFact::OrderCancelled, ProcessFact::OrderExpired, ProcessFact::OrderFailed] {
        let mut bench = in_step(Step::AwaitingPayment);
        assert!(!bench.state.timers().is_empty());
        bench.learn(&end);
        assert_eq!(bench.state.step(), Step::Ended);
        assert!(bench.state.timers().is_empty() && bench.state.at_rest());
    }
}

#[test]
fn an_order_whose_money_has_all_gone_back_is_called_off_before_it_leaves() {
    let refund_id = id(700);
    let refunded = |bench: &mut Bench, amount| {
        bench.learn(&payment(PaymentNews::RefundRequested { refund_id, amount: won(amount) }));
        bench.learn(&payment(PaymentNews::RefundSettled { refund_id }))
    };
    for step in [Step::Shipping, Step::Delivering] {
        let mut whole = in_step(step);
        let events = refunded(&mut whole, 5_000);
        let called_off = ProcessCommand::CancelOrder { reason: "refunded_whole".into() };
        assert!(commands(&events).contains(&called_off), "{step:?}: {events:?}");
        let mut part = in_step(step);
        let events = refunded(&mut part, 4_999);
        assert!(!commands(&events).contains(&called_off), "{step:?}: in part it ships");
    }
    let mut left = in_step(Step::Delivering);
    left.learn(&shipment(ShipmentNews::Dispatched));
    assert_eq!(commands(&refunded(&mut left, 5_000)), [], "what has left is not called off");
}

#[test]
fn a_lost_parcel_waits_for_a_person_and_can_be_undone() {
    let mut bench = in_step(Step::Delivering);
    bench.learn(&shipment(ShipmentNews::Dispatched));
    let events = bench.learn(&shipment(ShipmentNews::Lost));
    assert_eq!(commands(&events), [ProcessCommand::HoldOrder { reason: "shipment_lost".into() }]);
    assert_eq!(bench.state.step(), Step::NeedsOperator);
    let mut resumed = bench.clone();
    let resolve = |action| FulfilmentCommand::Resolve { action, reason: "looked".into() };
    resumed.ask(&resolve(OperatorAction::Resume));
    assert_eq!(resumed.state.step(), Step::Delivering, "known, and waited for");
    assert_eq!(commands(&resumed.learn(&shipment(ShipmentNews::Delivered))), [ProcessCommand::MarkDelivered]);
    let Decision::Record(events) = bench.ask(&resolve(OperatorAction::Compensate)) else { panic!("refused") };
    assert!(matches!(commands(&events)[..], [ProcessCommand::RequestRefund { .. }]));
}

#[test]
fn i7_a_command_whose_stream_cannot_be_read_waits_for_a_person_at_once_and_gives_no_money_back() {
    for step in [Step::Confirming, Step::Shipping, Step::Capturing] {
        let mut bench = in_step(step);
        let events = bench.refuse("stream_unreadable");
        assert!(commands(&events).is_empty(), "{step:?}: {events:?}");
        assert_eq!(bench.state.parked_reason(), Some("stream_unreadable"), "{step:?}");
        assert!(!bench.state.is_compensating() && bench.state.at_rest(), "{step:?}");
        let resume = FulfilmentCommand::Resolve { action: OperatorAction::Resume, reason: "mended".into() };
        let Decision::Record(events) = bench.ask(&resume) else { panic!("{step:?}: refused") };
        assert_eq!((commands(&events).len(), bench.state.step()), (1, step), "it is tried again");
    }
}

#[test]
fn a_parked_process_is_not_at_rest_while_a_refund_is_carried_out_beside_it() {
    let mut bench = in_step(Step::Delivering);
    bench.learn(&shipment(ShipmentNews::Dispatched));
    bench.learn(&shipment(ShipmentNews::Lost));
    assert!(!bench.state.at_rest(), "the order is being put on hold");
    bench.learn(&ProcessFact::OrderHeld);
    assert!(bench.state.at_rest(), "nothing is under way");
    let refund_id = id(7);
    bench.learn(&payment(PaymentNews::RefundRequested { refund_id, amount: won(100) }));
    assert_eq!(bench.state.step(), Step::NeedsOperator);
    assert!(!bench.state.at_rest());
    bench.learn(&payment(PaymentNews::RefundSettled { refund_id }));
    assert!(bench.state.at_rest());
}

#[test]
fn a_parcel_that_a_further_one_replaces_is_waited_for_no_more() {
    let mut bench = in_step(Step::Delivering);
    bench.learn(&shipment(ShipmentNews::Lost));
    assert_eq!(bench.state.trouble(), Some(Trouble::ParcelLost));
    bench.ask(&FulfilmentCommand::Resolve { action: OperatorAction::Resume, reason: "sent again".into() });
    assert_eq!(bench.state.step(), Step::Delivering, "it may still turn up");
    let further = |news| ProcessFact::Shipment { shipment_id: id(77), news };
    let book = ProcessCommand::BookCarrier { shipment_id: id(77), attempt: 1 };
    assert_eq!(commands(&bench.learn(&further(ShipmentNews::Requested))), [book]);
    assert_eq!(commands(&bench.learn(&further(ShipmentNews::Ready))), []);
    assert_eq!(commands(&bench.learn(&further(ShipmentNews::Dispatched))), []);
    assert_eq!(commands(&bench.learn(&further(ShipmentNews::Delivered))), [ProcessCommand::MarkDelivered]);
}

#[test]
fn a_mismatch_that_a_person_took_as_enough_lets_the_process_go_on() {
    let mut bench = in_step(Step::NeedsOperator);
    assert_eq!(bench.state.trouble(), Some(Trouble::PaymentMismatch));
    let events = bench.learn(&captured());
    assert_eq!(commands(&events), [ProcessCommand::ConfirmOrder { payment_id: id(PAYMENT) }]);
    assert_eq!((bench.state.step(), bench.state.parked_reason()), (Step::Confirming, None));
    // A process that is parked for another reason stays parked.
    let mut bench = in_step(Step::Delivering);
    bench.learn(&shipment(ShipmentNews::Returned));
    bench.learn(&payment(PaymentNews::Captured { amount: won(1) }));
    assert_eq!(bench.state.trouble(), Some(Trouble::ParcelReturned));
}

#[test]
fn a_replaced_parcel_is_cancelled_before_the_label_of_the_further_one_is_requested() {
    let further = |news| ProcessFact::Shipment { shipment_id: id(77), news };
    let replaced = ProcessFact::OrderParcelReplaced { shipment_id: parcel() };
    let cancel = ProcessCommand::CancelShipment { shipment_id: parcel(), reason: "parcel_replaced".into() };
    let book = ProcessCommand::BookCarrier { shipment_id: id(77), attempt: 1 };
    let begun = |step| {
        let mut bench = in_step(step);
        if step == Step::Shipping {
            bench.learn(&shipment(ShipmentNews::Requested));
        }
        assert_eq!(commands(&bench.learn(&replaced)), std::slice::from_ref(&cancel), "{step:?}");
        assert_eq!(commands(&bench.learn(&further(ShipmentNews::Requested))), [], "{step:?}");
        assert_eq!(bench.state.step(), Step::Shipping);
        bench
    };
    for step in [Step::Shipping, Step::Delivering] {
        let mut bench = begun(step);
        // A label that comes after all changes nothing, and what is not acknowledged is asked again.
        bench.learn(&shipment(ShipmentNews::Ready));
        assert_eq!(commands(&bench.ring(TimerName::CancelRetry)), std::slice::from_ref(&cancel));
        assert_eq!(commands(&bench.learn(&shipment(ShipmentNews::Cancelled))), std::slice::from_ref(&book));
        assert!(!bench.state.is_compensating());
        bench.learn(&further(ShipmentNews::Ready));
        assert_eq!(bench.state.step(), Step::Delivering);
        assert_eq!(commands(&bench.learn(&further(ShipmentNews::Delivered))), [ProcessCommand::MarkDelivered]);
    }
    // A replaced parcel takes the place of none: the further one is lost, and taken as arrived.
    let mut bench = begun(Step::Delivering);
    bench.learn(&shipment(ShipmentNews::Cancelled));
    for news in [ShipmentNews::Ready, ShipmentNews::Dispatched, ShipmentNews::Lost] {
        bench.learn(&further(news));
    }
    let skip =
        |reason: &'static str| FulfilmentCommand::Resolve { action: OperatorAction::Skip, reason: reason.into() };
    let Decision::Record(events) = bench.ask(&skip("it turned up")) else { panic!("skip is refused") };
    assert_eq!(commands(&events), [ProcessCommand::MarkDelivered]);
    // An operator decides about what the carrier already has; taken as cancelled, the further one is sent.
    let mut bench = begun(Step::Delivering);
    bench.refuse("order_already_dispatched");
    assert_eq!(bench.state.parked_reason(), Some("already_dispatched"));
    let Decision::Record(events) = bench.ask(&skip("it is here")) else { panic!("skip is refused") };
    assert_eq!(commands(&events), [book]);
    // If the whole order is cancelled, both parcels are.
    let mut bench = begun(Step::Delivering);
    let events = bench.learn(&ProcessFact::OrderCancellationRequested);
    let other = ProcessCommand::CancelShipment { shipment_id: id(77), reason: "order_cancelled".into() };
    assert_eq!(commands(&events), [other]);
}
