//! The carrier: its labels, its scans, and a node's adapter to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jangbu_kernel::gateway::{Carrier, CarrierNotice, LabelCancelOutcome, LabelOutcome, LabelRequest, WebhookError};
use jangbu_kernel::{ShipmentId, Timestamp};

use crate::gateway::read_words;
use crate::life::Life;
use crate::names::Fault;
use crate::outside::{Letter, Post, Route, call};
use crate::sim::{Sim, lock};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Ready,
    Cancelled,
    /// The carrier has the parcel.
    Taken,
}

#[derive(Default)]
struct Books {
    labels: BTreeMap<ShipmentId, Label>,
    /// Messages sent so far; each message has its number as its id.
    messages: u64,
}

/// Its name, in the adapter and in the webhooks' path.
pub(crate) const NAME: &str = "simulated";

/// The carrier itself. It outlives every node.
pub(crate) struct Hauler {
    sim: Arc<Sim>,
    books: Mutex<Books>,
    post: Post,
}

fn number_of(shipment_id: ShipmentId) -> String {
    format!("T-{shipment_id}")
}

impl Hauler {
    pub fn new(sim: &Arc<Sim>, post: Post) -> Arc<Self> {
        Arc::new(Self { sim: Arc::clone(sim), books: Mutex::default(), post })
    }

    /// Labels that are valid and unused.
    pub fn ready(&self) -> Vec<ShipmentId> {
        let books = lock(&self.books);
        books.labels.iter().filter(|(_, label)| **label == Label::Ready).map(|(shipment_id, _)| *shipment_id).collect()
    }

    fn request(&self, request: &LabelRequest) -> LabelOutcome {
        let shipment_id = request.shipment_id;
        let refused = |code: &str| LabelOutcome::Refused { code: code.to_owned() };
        let mut books = lock(&self.books);
        match books.labels.get(&shipment_id) {
            Some(Label::Cancelled) => refused("label_cancelled"),
            Some(Label::Ready | Label::Taken) => LabelOutcome::Ready { tracking_number: number_of(shipment_id) },
            // An address that this carrier never goes to: the order that has it is undone.
            None if request.address.postal_code == "00000" => refused("no_service"),
            None if self.sim.strikes(Fault::LabelRefused) => refused("no_capacity"),
            None => {
                books.labels.insert(shipment_id, Label::Ready);
                self.sim.tell("label", 1, || format!("carrier: label for {shipment_id}"));
                LabelOutcome::Ready { tracking_number: number_of(shipment_id) }
            }
        }
    }

    fn cancel(&self, shipment_id: ShipmentId) -> LabelCancelOutcome {
        let mut books = lock(&self.books);
        if books.labels.get(&shipment_id) == Some(&Label::Taken) {
            return LabelCancelOutcome::AlreadyDispatched;
        }
        books.labels.insert(shipment_id, Label::Cancelled);
        self.sim.tell("label", 2, || format!("carrier: label for {shipment_id} called off"));
        LabelCancelOutcome::Cancelled
    }

    /// Scans a parcel and sends a webhook. False if its label was cancelled.
    pub fn scan(&self, shipment_id: ShipmentId, status: &'static str) -> bool {
        let mut books = lock(&self.books);
        if books.labels.get(&shipment_id) == Some(&Label::Cancelled) {
            return false;
        }
        books.labels.insert(shipment_id, Label::Taken);
        books.messages += 1;
        let at = self.sim.now().timestamp_millis();
        let body = format!("c{} {shipment_id} {} {status} {at}", books.messages, number_of(shipment_id));
        self.sim.tell("scan", status.len() as u64, || format!("carrier: {shipment_id} {status}"));
        // After the end of the run there is no receiver.
        let _over = self.post.send(Letter { from_gateway: None, body, may_be_lost: true });
        true
    }
}

/// A node's way to the carrier.
pub(crate) struct NodeCarrier {
    pub hauler: Arc<Hauler>,
    pub life: Arc<Life>,
}

#[async_trait]
impl Carrier for NodeCarrier {
    fn name(&self) -> &str {
        NAME
    }

    async fn request_label(&self, request: LabelRequest) -> LabelOutcome {
        let hauler = Arc::clone(&self.hauler);
        let answer = call(&self.life, Route::choose(&self.life.sim), move || hauler.request(&request)).await;
        answer.unwrap_or_else(|| LabelOutcome::Unknown { detail: "no answer".to_owned() })
    }

    async fn cancel_label(&self, shipment_id: ShipmentId) -> LabelCancelOutcome {
        let hauler = Arc::clone(&self.hauler);
        let answer = call(&self.life, Route::choose(&self.life.sim), move || hauler.cancel(shipment_id)).await;
        answer.unwrap_or_else(|| LabelCancelOutcome::Unknown { detail: "no answer".to_owned() })
    }

    fn read_webhook(&self, headers: &[(String, String)], body: &[u8]) -> Result<CarrierNotice, WebhookError> {
        let words = read_words(headers, body)?;
        let unreadable = || WebhookError::Unreadable("five words".to_owned());
        let [message_id, shipment_id, tracking_number, status, at] = words.as_slice() else { return Err(unreadable()) };
        let at = at.parse().ok().and_then(Timestamp::from_timestamp_millis).ok_or_else(unreadable)?;
        Ok(CarrierNotice {
            message_id: (*message_id).to_owned(),
            shipment_id: shipment_id.parse().map_err(|_| unreadable())?,
            tracking_number: (*tracking_number).to_owned(),
            status: (*status).to_owned(),
            code: status.to_uppercase(),
            place: "Busan".to_owned(),
            at,
        })
    }
}
