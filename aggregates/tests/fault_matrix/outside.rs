//! The outside world by script: a gateway and a carrier with books of their own.

use std::collections::BTreeMap;

use jangbu_kernel::gateway::{ChargeOutcome, LabelCancelOutcome, LabelOutcome, RefundOutcome};
use jangbu_kernel::{Money, PaymentId, ShipmentId};
use uuid::Uuid;

/// How the gateway handles a new charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    Takes,
    Declines,
    AsksForChallenge,
    /// Takes it, but the answer is lost.
    TakesSilently,
    /// Does not take it, and gives no answer.
    HearsNothing,
    /// Redirects the buyer to a page; reports only when asked that it was used, then that it is
    /// paid.
    PaidAtBank,
    /// Redirects the buyer to a page that nobody ever uses.
    LeftAtBank,
    /// Answers that it is processing it; takes it by the second inquiry.
    IsSlow,
    TakesAnotherAmount,
    /// Declines it, and takes the money later nevertheless.
    DeclinesThenTakes,
    /// Reports the capture five times, once before the answer.
    RepeatsItself,
}

/// What the outside does in a run.
#[derive(Clone, Debug)]
pub struct Script {
    /// One for each charge; the last one repeats.
    pub charges: Vec<Charge>,
    /// Answers to inquiries that are lost first.
    pub inquiries_lost: u32,
    /// Acknowledgements of voids that are lost first; the void itself is done.
    pub voids_lost: u32,
    /// A void of a charge that was taken is followed by the report that it was taken.
    pub news_after_void: bool,
    /// Answers to refunds that are lost first; every second one is not executed either.
    pub refunds_lost: u32,
    /// Refunds that are refused first.
    pub refunds_refused: u32,
    /// Labels that are refused first.
    pub labels_refused: u32,
    /// Answers to requests for a label that are lost first.
    pub labels_lost: u32,
    /// Answers to cancelling a label that are lost first.
    pub label_cancels_lost: u32,
    /// The carrier has the parcel already, although nobody recorded that.
    pub label_cancels_too_late: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            charges: vec![Charge::Takes],
            inquiries_lost: 0,
            voids_lost: 0,
            news_after_void: false,
            refunds_lost: 0,
            refunds_refused: 0,
            labels_refused: 0,
            labels_lost: 0,
            label_cancels_lost: 0,
            label_cancels_too_late: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Challenge,
    /// The number of inquiries before it is paid; none: never.
    AtBank(Option<u32>),
    Working(u32),
    Captured,
    Declined,
    Voided,
}

/// A charge in the gateway's books.
#[derive(Clone, Debug)]
pub struct BookedCharge {
    pub payment_id: PaymentId,
    pub amount: i64,
    pub refunded: i64,
    pub standing: Standing,
}

impl BookedCharge {
    /// What the gateway holds for the shop.
    pub fn net(&self) -> i64 {
        if self.standing == Standing::Captured { self.amount - self.refunded } else { 0 }
    }
}

#[derive(Debug, Default)]
pub struct Outside {
    pub script: Script,
    /// By gateway and key: each gateway has books of its own.
    pub charges: BTreeMap<(String, Uuid), BookedCharge>,
    refunds: BTreeMap<Uuid, RefundOutcome>,
    /// What the gateway reports unasked: the payment and the outcome.
    pub webhooks: Vec<(PaymentId, ChargeOutcome)>,
    /// The labels, and whether each is valid.
    pub labels: BTreeMap<ShipmentId, bool>,
    charged: usize,
    calls: u32,
    /// The call whose answer is lost, and whether the call arrives.
    pub lost_call: Option<(u32, bool)>,
}

fn lost() -> ChargeOutcome {
    ChargeOutcome::Unknown { detail: "timeout".into() }
}

/// Counts a scripted problem down; true while one is left.
fn spend(trouble: &mut u32) -> bool {
    let left = *trouble > 0;
    *trouble = trouble.saturating_sub(1);
    left
}

impl Outside {
    pub fn new(script: Script) -> Self {
        Self { script, ..Self::default() }
    }

    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Whether this call arrives, and whether its answer does.
    fn fate(&mut self) -> (bool, bool) {
        self.calls += 1;
        match self.lost_call {
            Some((call, arrives)) if call == self.calls => (arrives, false),
            _ => (true, true),
        }
    }

    pub fn charge(&mut self, gateway: &str, key: Uuid, payment_id: PaymentId, amount: Money) -> ChargeOutcome {
        let (arrives, answered) = self.fate();
        if !arrives {
            return lost();
        }
        let amount = amount.minor_units();
        let key = (gateway.to_owned(), key);
        if !self.charges.contains_key(&key) {
            let how = self.script.charges.get(self.charged).or(self.script.charges.last()).copied();
            self.charged += 1;
            let standing = match how.unwrap_or(Charge::Takes) {
                Charge::HearsNothing => return lost(),
                Charge::Declines | Charge::DeclinesThenTakes => Standing::Declined,
                Charge::AsksForChallenge => Standing::Challenge,
                Charge::PaidAtBank => Standing::AtBank(Some(2)),
                Charge::LeftAtBank => Standing::AtBank(None),
                Charge::IsSlow => Standing::Working(2),
                Charge::Takes | Charge::TakesSilently | Charge::TakesAnotherAmount | Charge::RepeatsItself => {
                    Standing::Captured
                }
            };
            let amount = if how == Some(Charge::TakesAnotherAmount) { amount - 1 } else { amount };
            self.charges.insert(key.clone(), BookedCharge { payment_id, amount, refunded: 0, standing });
            let answer = self.outcome(&key);
            match how.unwrap_or(Charge::Takes) {
                Charge::TakesSilently => return lost(),
                Charge::RepeatsItself => self.webhooks.extend(vec![(payment_id, answer.clone()); 5]),
                Charge::DeclinesThenTakes => {
                    self.charges.get_mut(&key).unwrap().standing = Standing::Captured;
                    let news = self.outcome(&key);
                    self.webhooks.push((payment_id, news));
                }
                _ => {}
            }
            return if answered { answer } else { lost() };
        }
        if answered { self.outcome(&key) } else { lost() }
    }

    fn outcome(&self, key: &(String, Uuid)) -> ChargeOutcome {
        let Some(charge) = self.charges.get(key) else {
            return ChargeOutcome::NotFound;
        };
        let reference = format!("ch_{}", key.1);
        match charge.standing {
            Standing::Challenge => ChargeOutcome::ChallengeRequired { reference },
            Standing::AtBank(Some(0)) => ChargeOutcome::DepositAwaited { reference },
            Standing::AtBank(_) => ChargeOutcome::RedirectRequired { reference, url: "https://bank.example".into() },
            Standing::Working(_) => ChargeOutcome::Pending { reference },
            Standing::Captured => ChargeOutcome::Captured { reference, amount: Money::krw(charge.amount).unwrap() },
            Standing::Declined => ChargeOutcome::Declined { code: "declined".into() },
            Standing::Voided => ChargeOutcome::Voided,
        }
    }

    pub fn confirm(&mut self, gateway: &str, reference: &str) -> ChargeOutcome {
        let (arrives, answered) = self.fate();
        let key = (gateway.to_owned(), reference.trim_start_matches("ch_").parse().unwrap());
        if arrives {
            let charge = self.charges.get_mut(&key).expect("the charge is confirmed where it was asked");
            if charge.standing == Standing::Challenge {
                charge.standing = Standing::Captured;
            }
        }
        if answered { self.outcome(&key) } else { lost() }
    }

    pub fn inquire(&mut self, gateway: &str, key: Uuid) -> ChargeOutcome {
        let (arrives, answered) = self.fate();
        if !arrives || !answered || spend(&mut self.script.inquiries_lost) {
            return lost();
        }
        let key = (gateway.to_owned(), key);
        if let Some(charge) = self.charges.get_mut(&key) {
            match charge.standing {
                Standing::AtBank(Some(0)) => charge.standing = Standing::Captured,
                Standing::AtBank(Some(left)) => charge.standing = Standing::AtBank(Some(left - 1)),
                Standing::Working(0) => charge.standing = Standing::Captured,
                Standing::Working(left) => charge.standing = Standing::Working(left - 1),
                _ => {}
            }
        }
        self.outcome(&key)
    }

    pub fn net_cancel(&mut self, gateway: &str, key: Uuid, payment_id: PaymentId) -> ChargeOutcome {
        let (arrives, answered) = self.fate();
        let key = (gateway.to_owned(), key);
        if arrives {
            let taken = self.charges.get(&key).is_some_and(|charge| charge.standing == Standing::Captured);
            if taken && self.script.news_after_void {
                let news = self.outcome(&key);
                self.webhooks.push((payment_id, news));
            }
            let voided = BookedCharge { payment_id, amount: 0, refunded: 0, standing: Standing::Voided };
            self.charges.entry(key.clone()).or_insert(voided).standing = Standing::Voided;
        }
        if !arrives || !answered || spend(&mut self.script.voids_lost) {
            return lost();
        }
        self.outcome(&key)
    }

    pub fn refund(&mut self, gateway: &str, key: Uuid, reference: &str, amount: Money) -> RefundOutcome {
        let (arrives, answered) = self.fate();
        let lost = RefundOutcome::Unknown { detail: "timeout".into() };
        let unlucky = spend(&mut self.script.refunds_lost);
        if !arrives || (unlucky && self.script.refunds_lost.is_multiple_of(2)) {
            return lost;
        }
        if !self.refunds.contains_key(&key) {
            let outcome = if spend(&mut self.script.refunds_refused) {
                RefundOutcome::Refused { code: "not_now".into() }
            } else {
                let charge = (gateway.to_owned(), reference.trim_start_matches("ch_").parse().unwrap());
                let charge = self.charges.get_mut(&charge).expect("the money comes back from where it went");
                assert_eq!(charge.standing, Standing::Captured, "a refund of a charge that holds no money");
                charge.refunded += amount.minor_units();
                assert!(charge.refunded <= charge.amount, "M1: more goes back than was taken");
                RefundOutcome::Settled { reference: format!("re_{key}") }
            };
            self.refunds.insert(key, outcome);
        }
        if unlucky || !answered { lost } else { self.refunds[&key].clone() }
    }

    pub fn request_label(&mut self, shipment_id: ShipmentId) -> LabelOutcome {
        let (arrives, answered) = self.fate();
        let lost = LabelOutcome::Unknown { detail: "timeout".into() };
        if !arrives {
            return lost;
        }
        if !self.labels.contains_key(&shipment_id) && spend(&mut self.script.labels_refused) {
            return if answered { LabelOutcome::Refused { code: "no_capacity".into() } } else { lost };
        }
        self.labels.insert(shipment_id, true);
        if !answered || spend(&mut self.script.labels_lost) {
            return lost;
        }
        LabelOutcome::Ready { tracking_number: format!("T{shipment_id}") }
    }

    pub fn cancel_label(&mut self, shipment_id: ShipmentId) -> LabelCancelOutcome {
        let (arrives, answered) = self.fate();
        if self.script.label_cancels_too_late {
            return LabelCancelOutcome::AlreadyDispatched;
        }
        if arrives {
            self.labels.insert(shipment_id, false);
        }
        if !arrives || !answered || spend(&mut self.script.label_cancels_lost) {
            return LabelCancelOutcome::Unknown { detail: "timeout".into() };
        }
        LabelCancelOutcome::Cancelled
    }
}
