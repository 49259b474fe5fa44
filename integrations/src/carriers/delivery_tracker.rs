//! delivery-tracker (tracker.delivery): reports on parcels of Korean carriers, by its published GraphQL
//! schema. It makes no labels: the shop writes its own, and dispatches a parcel with the carrier and the number
//! from the receipt.
//!
//! A parcel is followed by registering a callback for a carrier and a number, for 48 hours at a time. The
//! callback says only that there is news, and is not signed. So its address names the parcel and carries a proof
//! of the shop's own, and what happened is read.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use jangbu_kernel::gateway::{
    Carrier, CarrierNews, CarrierNotice, Following, LabelCancelOutcome, LabelOutcome, LabelRequest, ParcelUnderWay,
    WebhookError,
};
use jangbu_kernel::{ShipmentId, Timestamp, text, time};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::manual;
use crate::SetupError;
use crate::outbound::{CallError, Outbound, OutboundPolicy, OutboundRequest};

/// The carrier's name.
pub const NAME: &str = "delivery_tracker";

/// Carriers that are followed: the tracker's ids, and how people write them.
const CARRIERS: &[(&str, &[&str])] = &[
    ("kr.cjlogistics", &["CJ대한통운", "대한통운", "CJ", "cjlogistics"]),
    ("kr.epost", &["우체국", "우체국택배", "epost"]),
    ("kr.hanjin", &["한진", "한진택배", "hanjin"]),
    ("kr.lotte", &["롯데", "롯데택배", "롯데글로벌로지스", "lotte"]),
    ("kr.logen", &["로젠", "로젠택배", "logen"]),
    ("kr.coupangls", &["쿠팡", "쿠팡로지스틱스", "coupangls"]),
    ("kr.cvsnet", &["편의점택배", "GS25", "cvsnet"]),
    ("kr.kdexp", &["경동", "경동택배", "kdexp"]),
];
/// Scans of a parcel that are read, the newest.
const NEWEST: u32 = 50;
/// Bytes of the proof in a callback's address, in hexadecimal digits.
const PROOF_DIGITS: usize = 32;

const REGISTER: &str = "mutation Follow($input: RegisterTrackWebhookInput!) { registerTrackWebhook(input: $input) }";
const TRACK: &str = "query Track($carrierId: ID!, $trackingNumber: String!, $last: Int!) { \
    track(carrierId: $carrierId, trackingNumber: $trackingNumber) { \
    events(last: $last) { edges { node { time status { code name } location { name } } } } } }";

/// How the tracker is reached, and how it reaches the shop.
#[derive(Clone)]
pub struct TrackerSettings {
    /// Where it answers, such as `https://apis.tracker.delivery/graphql`.
    pub url: String,
    /// The client id and the client secret with a colon between them.
    pub api_key: SecretString,
    /// Where this shop is reached from outside, such as `https://shop.example`.
    pub shop_url: String,
    /// Timeouts and retries of calls to it.
    pub policy: OutboundPolicy,
}

/// The adapter.
struct DeliveryTracker {
    outbound: Outbound,
    path: String,
    shop_url: String,
    key: hmac::Key,
}

/// Creates the adapter.
///
/// # Errors
/// When the settings are unusable.
pub fn connect(settings: &TrackerSettings) -> Result<Arc<dyn Carrier>, SetupError> {
    let bad = |url: &str| SetupError::BaseUrl(url.to_owned());
    let url = Url::parse(&settings.url).map_err(|_| bad(&settings.url))?;
    let shop = Url::parse(&settings.shop_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let shop = shop.ok_or_else(|| bad(&settings.shop_url))?;
    let key = SecretString::from(format!("TRACKQL-API-KEY {}", settings.api_key.expose_secret()));
    let origin = url.origin().ascii_serialization();
    Ok(Arc::new(DeliveryTracker {
        outbound: Outbound::new("carrier:delivery_tracker", &origin, "authorization", &key, settings.policy.clone())?,
        path: url.path().to_owned(),
        shop_url: shop.as_str().trim_end_matches('/').to_owned(),
        key: hmac::Key::new(hmac::HMAC_SHA256, settings.api_key.expose_secret().as_bytes()),
    }))
}

/// The tracker's id of a carrier, however somebody wrote its name.
fn carrier_id(named: &str) -> Option<&'static str> {
    let wanted = text::key(named);
    let is_it =
        |(id, names): &&(&str, &[&str])| text::key(id) == wanted || names.iter().any(|name| text::key(name) == wanted);
    CARRIERS.iter().find(is_it).map(|(id, _)| *id)
}

#[derive(Serialize)]
struct Question<'a, T> {
    query: &'a str,
    variables: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Register<'a> {
    carrier_id: &'a str,
    tracking_number: &'a str,
    callback_url: String,
    expiration_time: String,
}

#[derive(Serialize)]
struct Input<T> {
    input: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Track<'a> {
    carrier_id: &'a str,
    tracking_number: &'a str,
    last: u32,
}

#[derive(Deserialize)]
struct Reply<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Default, Deserialize)]
struct Extensions {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    register_track_webhook: Option<bool>,
}

#[derive(Deserialize)]
struct Tracked {
    track: Option<TrackInfo>,
}

#[derive(Deserialize)]
struct TrackInfo {
    events: Option<Events>,
}

#[derive(Deserialize)]
struct Events {
    edges: Option<Vec<Option<Edge>>>,
}

#[derive(Deserialize)]
struct Edge {
    node: Option<Event>,
}

#[derive(Deserialize)]
struct Event {
    time: Option<Timestamp>,
    status: Status,
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Status {
    code: Code,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Location {
    name: Option<String>,
}

/// The general statuses of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
enum Code {
    Unknown,
    InformationReceived,
    AtPickup,
    InTransit,
    OutForDelivery,
    AttemptFail,
    Delivered,
    AvailableForPickup,
    Exception,
}

impl Code {
    /// The status of the parcel that it shows; none where it shows nothing of the parcel itself.
    const fn status(self) -> Option<&'static str> {
        match self {
            // The carrier knows of a label, and may not have the parcel.
            Self::Unknown | Self::InformationReceived => None,
            Self::AtPickup | Self::InTransit => Some("in_transit"),
            // Where it waits for the buyer is the last place before it is handed over.
            Self::OutForDelivery | Self::AvailableForPickup => Some("out_for_delivery"),
            Self::AttemptFail => Some("attempt_failed"),
            Self::Delivered => Some("delivered"),
            Self::Exception => Some("exception"),
        }
    }
}

impl DeliveryTracker {
    /// What the tracker answers; none where it does not know of the parcel (yet).
    async fn ask<T: DeserializeOwned>(&self, query: &str, variables: impl Serialize) -> Result<Option<T>, CallError> {
        let call = OutboundRequest::new(Method::POST, self.path.clone()).json(&Question { query, variables });
        let Reply { data, errors } = self.outbound.send(call).await?.read::<Reply<T>>()?;
        match errors.first() {
            Some(fault) if fault.extensions.code == "NOT_FOUND" => Ok(None),
            Some(_) => Err(CallError::Garbled("it answered with an error")),
            None => data.map(Some).ok_or(CallError::Garbled("an answer without data")),
        }
    }

    /// Shows that the shop itself made a callback's address.
    fn proof(&self, shipment_id: ShipmentId) -> String {
        let tag = hmac::sign(&self.key, shipment_id.uuid().as_bytes());
        hex::encode(tag.as_ref()).chars().take(PROOF_DIGITS).collect()
    }

    fn callback(&self, shipment_id: ShipmentId) -> String {
        format!("{}/v1/hooks/carriers/{NAME}?parcel={shipment_id}&proof={}", self.shop_url, self.proof(shipment_id))
    }

    /// A scan of a parcel; none for what shows nothing of it, or has no time.
    fn notice(parcel: &ParcelUnderWay, event: Event) -> Option<CarrierNotice> {
        let (status, at) = (event.status.code.status()?, time::to_millis(event.time?));
        let code = event.status.name.unwrap_or_else(|| <&str>::from(event.status.code).to_owned());
        Some(CarrierNotice {
            message_id: String::new(),
            shipment_id: parcel.shipment_id,
            tracking_number: parcel.tracking_number.clone(),
            status: status.to_owned(),
            code,
            place: event.location.and_then(|location| location.name).unwrap_or_default(),
            at,
        })
    }
}

#[async_trait]
impl Carrier for DeliveryTracker {
    fn name(&self) -> &str {
        NAME
    }

    /// The shop writes its own.
    async fn request_label(&self, request: LabelRequest) -> LabelOutcome {
        LabelOutcome::Ready { tracking_number: manual::mark(request.shipment_id) }
    }

    async fn cancel_label(&self, _: ShipmentId) -> LabelCancelOutcome {
        LabelCancelOutcome::Cancelled
    }

    /// Its messages are not signed; see [`Carrier::read_news`].
    fn read_webhook(&self, _: &[(String, String)], _: &[u8]) -> Result<CarrierNotice, WebhookError> {
        Err(WebhookError::BadSignature)
    }

    fn read_news(&self, _: &[(String, String)], query: &str, _: &[u8]) -> Result<CarrierNews, WebhookError> {
        let field = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted).map(|(_, value)| value)
        };
        let parcel = field("parcel").and_then(|id| Uuid::try_parse(&id).ok()).map(ShipmentId::new);
        let (Some(shipment_id), Some(proof)) = (parcel, field("proof")) else {
            return Err(WebhookError::BadSignature);
        };
        let is_ours =
            aws_lc_rs::constant_time::verify_slices_are_equal(self.proof(shipment_id).as_bytes(), proof.as_bytes());
        is_ours.map_err(|_| WebhookError::BadSignature)?;
        // Each one means that something new is to be read.
        Ok(CarrierNews::Ask { message_id: Uuid::now_v7().to_string(), shipment_id })
    }

    fn tracks(&self) -> bool {
        true
    }

    fn follows(&self, carrier: &str) -> bool {
        carrier_id(carrier).is_some()
    }

    async fn follow(&self, parcel: &ParcelUnderWay, until: Timestamp) -> Following {
        let Some(carrier_id) = carrier_id(&parcel.carrier) else { return Following::NotHere };
        let register = Register {
            carrier_id,
            tracking_number: &parcel.tracking_number,
            callback_url: self.callback(parcel.shipment_id),
            expiration_time: time::rfc3339(until),
        };
        match self.ask::<Registered>(REGISTER, Input { input: register }).await {
            Ok(Some(Registered { register_track_webhook: Some(true) })) => Following::Until(until),
            Ok(_) => Following::NotHere,
            Err(error) => Following::Unknown { detail: error.to_string() },
        }
    }

    async fn scans(&self, parcel: &ParcelUnderWay) -> Result<Vec<CarrierNotice>, String> {
        let Some(carrier_id) = carrier_id(&parcel.carrier) else { return Ok(Vec::new()) };
        let track = Track { carrier_id, tracking_number: &parcel.tracking_number, last: NEWEST };
        let found = self.ask::<Tracked>(TRACK, track).await.map_err(|error| error.to_string())?;
        let events = found.and_then(|found| found.track).and_then(|track| track.events);
        let edges = events.and_then(|events| events.edges).unwrap_or_default().into_iter().flatten();
        let mut scans: Vec<CarrierNotice> =
            edges.filter_map(|edge| edge.node).filter_map(|event| Self::notice(parcel, event)).collect();
        scans.sort_by_key(|scan| scan.at);
        Ok(scans)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn a_carrier_is_known_however_it_is_written() {
        for named in ["kr.cjlogistics", "KR.CJLogistics", "CJ 대한통운", "cj대한통운", "ＣＪ"] {
            assert_eq!(carrier_id(named), Some("kr.cjlogistics"), "{named}");
        }
        for named in ["", "pigeon", "kr.", "택배"] {
            assert_eq!(carrier_id(named), None, "{named}");
        }
    }

    #[test]
    fn every_status_of_the_schema_is_read() {
        assert_eq!(Code::VARIANTS.len(), 9);
        for code in Code::VARIANTS {
            let name = <&str>::from(*code);
            assert_eq!(serde_json::from_str::<Code>(&format!("{name:?}")).unwrap(), *code);
        }
    }
}
