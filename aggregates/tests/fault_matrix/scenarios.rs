//! The scenarios, each with what the world does and how it has to end.

use jangbu_aggregates::order::OrderStatus;
use jangbu_aggregates::processes::OperatorAction;
use jangbu_aggregates::shipment::ScanStatus;

use crate::outside::{Charge, Script};
use crate::world::Pays;

#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub pays: Pays,
    pub script: Script,
    pub meets_challenge: bool,
    /// Payments that the buyer opens after one that failed.
    pub retries: u32,
    pub journey: ScanStatus,
    pub confirms_delivery: bool,
    pub staff_refunds: Option<i64>,
    /// Staff refund everything before the parcel leaves.
    pub staff_refunds_whole: bool,
    /// The buyer calls a piece off before the parcel leaves.
    pub one_less: bool,
    pub operator: Option<OperatorAction>,
    pub ends: OrderStatus,
}

fn smooth(name: &'static str, pays: Pays) -> Scenario {
    Scenario {
        name,
        pays,
        script: Script::default(),
        meets_challenge: true,
        retries: 0,
        journey: ScanStatus::Delivered,
        confirms_delivery: false,
        staff_refunds: None,
        staff_refunds_whole: false,
        one_less: false,
        operator: None,
        ends: OrderStatus::Completed,
    }
}

fn charging(name: &'static str, charges: &[Charge], ends: OrderStatus) -> Scenario {
    let script = Script { charges: charges.to_vec(), ..Script::default() };
    Scenario { script, ends, ..smooth(name, Pays::CardAndPoints) }
}

fn scripted(name: &'static str, script: Script, ends: OrderStatus) -> Scenario {
    Scenario { script, ends, ..smooth(name, Pays::CardAndPoints) }
}

fn refunded_whole(name: &'static str, script: Script, ends: OrderStatus) -> Scenario {
    Scenario { staff_refunds_whole: true, ..scripted(name, script, ends) }
}

pub fn scenarios() -> Vec<Scenario> {
    let mut all = vec![
        smooth("a card pays", Pays::Card),
        smooth("card and points pay", Pays::CardAndPoints),
        smooth("points pay", Pays::Points),
        Scenario { confirms_delivery: true, ..smooth("the buyer confirms the delivery", Pays::Card) },
        Scenario { staff_refunds: Some(5_000), ..smooth("staff refund a part", Pays::CardAndPoints) },
        refunded_whole("staff refund the whole before it leaves", Script::default(), OrderStatus::Cancelled),
        refunded_whole(
            "the whole is refunded at the third try, with a label that is called off late",
            Script { refunds_lost: 3, label_cancels_lost: 2, ..Script::default() },
            OrderStatus::Cancelled,
        ),
        refunded_whole(
            "the refund of the whole is refused, so it ships",
            Script { refunds_refused: 1, ..Script::default() },
            OrderStatus::Completed,
        ),
        Scenario { one_less: true, ..smooth("a piece is called off", Pays::CardAndPoints) },
        Scenario { one_less: true, ..smooth("a piece is called off, points come back", Pays::Points) },
        Scenario {
            one_less: true,
            ..scripted(
                "a piece is called off, and the label only at the third try",
                Script { label_cancels_lost: 2, refunds_lost: 1, ..Script::default() },
                OrderStatus::Completed,
            )
        },
        Scenario { staff_refunds: Some(19_000), ..smooth("staff refund card and points", Pays::CardAndPoints) },
    ];
    all.extend(paying());
    all.extend(undoing());
    all.extend(resolving());
    all
}

fn paying() -> Vec<Scenario> {
    use OrderStatus::{Completed, Expired};
    let lost = |name, lost, ends| {
        let script = Script { charges: vec![Charge::TakesSilently], inquiries_lost: lost, ..Script::default() };
        scripted(name, script, ends)
    };
    vec![
        charging("declined for good", &[Charge::Declines], Expired),
        Scenario { retries: 2, ..charging("declined once", &[Charge::Declines, Charge::Takes], Completed) },
        charging("challenge met", &[Charge::AsksForChallenge], Completed),
        Scenario { meets_challenge: false, ..charging("challenge not met", &[Charge::AsksForChallenge], Expired) },
        lost("answer lost, money taken", 0, Completed),
        lost("answer lost, inquiries too", 3, Completed),
        lost("answer lost until the deadline", 50, Expired),
        charging("answer lost, nothing taken", &[Charge::HearsNothing], Expired),
        Scenario {
            retries: 1,
            ..charging("nothing taken, then paid", &[Charge::HearsNothing, Charge::Takes], Completed)
        },
        charging("paid at a bank, told by inquiries alone", &[Charge::PaidAtBank], Completed),
        charging("left at a bank", &[Charge::LeftAtBank], Expired),
        charging("slow", &[Charge::IsSlow], Completed),
        charging("repeats itself", &[Charge::RepeatsItself], Completed),
        charging("declined, then taken late", &[Charge::DeclinesThenTakes], Expired),
        Scenario {
            retries: 1,
            ..charging("taken late while another pays", &[Charge::DeclinesThenTakes, Charge::Takes], Completed)
        },
        scripted(
            "the news of a charge comes after its void",
            Script {
                charges: vec![Charge::TakesSilently],
                inquiries_lost: 50,
                voids_lost: 2,
                news_after_void: true,
                ..Script::default()
            },
            Expired,
        ),
        scripted(
            "the void is not acknowledged at first",
            Script { charges: vec![Charge::HearsNothing], voids_lost: 3, ..Script::default() },
            Expired,
        ),
    ]
}

fn undoing() -> Vec<Scenario> {
    use OrderStatus::{Completed, Failed};
    let refused = Script { labels_refused: 3, ..Script::default() };
    vec![
        scripted("labels refused twice", Script { labels_refused: 2, ..Script::default() }, Completed),
        scripted("labels unanswered twice", Script { labels_lost: 2, ..Script::default() }, Completed),
        scripted("labels refused for good", refused.clone(), Failed),
        Scenario { pays: Pays::Points, ..scripted("points come back", refused.clone(), Failed) },
        scripted("refund unanswered", Script { refunds_lost: 4, ..refused.clone() }, Failed),
        scripted("refund refused at first", Script { refunds_refused: 2, ..refused.clone() }, Failed),
        scripted("every refund refused", Script { refunds_refused: 100, ..refused.clone() }, Failed),
        scripted("no refund answered", Script { refunds_lost: 100, ..refused.clone() }, Failed),
        scripted("calling the label off unanswered", Script { label_cancels_lost: 2, ..refused.clone() }, Failed),
        scripted("calling the label off never answered", Script { label_cancels_lost: 100, ..refused }, Failed),
    ]
}

fn resolving() -> Vec<Scenario> {
    use OrderStatus::{Completed, Failed};
    let parked = |name, operator, journey, ends| Scenario {
        operator: Some(operator),
        journey,
        ends,
        ..smooth(name, Pays::CardAndPoints)
    };
    vec![
        parked("lost, undone", OperatorAction::Compensate, ScanStatus::Lost, Failed),
        parked("returned, undone", OperatorAction::Compensate, ScanStatus::Returned, Failed),
        parked("lost, taken as arrived", OperatorAction::Skip, ScanStatus::Lost, Completed),
        Scenario {
            operator: Some(OperatorAction::Compensate),
            ..charging("another amount", &[Charge::TakesAnotherAmount], Failed)
        },
    ]
}
