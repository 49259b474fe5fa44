//! Parcels: read, follow, hand over, scan.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{CorrectTrackingNumber, DispatchShipment, RecordScan};
use jangbu_commands::sealing::order_remark;
use jangbu_commands::{AnyCommand, Command as _, Permission, Reach, STAFF, Scan, ScanStatus, Scope};
use jangbu_kernel::{OrderId, RecordedEvent, ShipmentId, StreamId, UserId, Version};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{Queries, QueryError, ScanRow, ShipmentFilter, ShipmentRow, ShipmentStatus};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::{AsOfQuery, LineView, listed_user, page_request};
use crate::http::body::{JsonBody, MaybeJson};
use crate::http::call::Call;
use crate::http::fields::{Line, ReadText, Text, Whole, read_words, request_body};
use crate::http::params::{PathId, PathText, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::{Resource, await_min_position, is_visible};
use crate::http::view::{Address, Listing, Moment, Opener, sealed_remark};
use crate::http::words;
use crate::state::App;

/// Reading parcels.
const READ: Reach = Reach::OwnOrAny { own: Permission::ShipmentsReadOwn, any: Permission::ShipmentsReadAny };

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new(READ, Kind::Query, &[], routes!(list)),
        Entry::new(READ, Kind::One, &[], routes!(one)),
        Entry::new(READ, Kind::One, &[], routes!(by_tracking_number)),
        Entry::command(&[DispatchShipment::RULES, RecordScan::RULES], routes!(set_status)),
        Entry::command(&[DispatchShipment::RULES], routes!(dispatch)),
        Entry::command(&[CorrectTrackingNumber::RULES], routes!(correct_tracking_number)),
    ]
}

read_words!(ShipmentStatus, "a shipment status such as in_transit");

/// What staff can report of a parcel: that it was handed over, or what a scan says.
pub(crate) struct Reported(ShipmentStatus);

impl Reported {
    fn can_be(status: ShipmentStatus) -> bool {
        status == ShipmentStatus::Dispatched || scan_status(status).is_some()
    }
}

impl ReadText for Reported {
    const WANTED: &'static str =
        "dispatched, in_transit, out_for_delivery, attempt_failed, exception, delivered, returned or lost";
    const CODE: &'static str = "unknown_value";
    fn parse_text(text: &str) -> Option<Self> {
        ShipmentStatus::from_name(text).filter(|status| Self::can_be(*status)).map(Self)
    }
    fn text_schema() -> ObjectBuilder {
        let words = ShipmentStatus::ALL.iter().copied().filter(|status| Self::can_be(*status));
        ObjectBuilder::new().enum_values(Some(words.map(ShipmentStatus::name)))
    }
}

request_body! {
    /// Which parcels.
    pub(crate) struct ShipmentListQuery {
        /// Only those in this state.
        status: Option<ShipmentStatus>,
        /// Only this buyer's; staff only, all others see their own.
        user_id: Option<UserId>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

request_body! {
    /// What became of a parcel, by somebody of the shop.
    pub(crate) struct ShipmentStatusBody {
        /// dispatched, in_transit, out_for_delivery, attempt_failed, exception, delivered,
        /// returned or lost.
        status: Reported,
        /// Its number, when it is handed over with another than the label's.
        tracking_number: Option<Line<1, 100>>,
        /// A remark.
        note: Option<Text<1, 300>>,
    }
}

request_body! {
    /// Puts a parcel's number right.
    pub(crate) struct TrackingNumberBody {
        /// The parcel's number.
        tracking_number: Line<1, 100>,
        /// Why it is changed.
        reason: Text<1, 500>,
    }
}

request_body! {
    /// Hands a parcel over.
    pub(crate) struct DispatchBody {
        /// The carrier, the label's when it is left out.
        carrier: Option<Line<1, 50>>,
        /// The parcel's number, the label's when it is left out.
        tracking_number: Option<Line<1, 100>>,
    }
}

/// A scan of a parcel, as it was told.
#[derive(Serialize, ToSchema)]
#[schema(as = Scan)]
pub(crate) struct ScanView {
    #[schema(value_type = words::ShipmentStatus)]
    status: &'static str,
    /// The carrier's own code.
    code: String,
    place: String,
    at: Moment,
    /// Our time, where the carrier's is too far ahead of it to be true; else null.
    received_at: Option<Moment>,
    note: Option<String>,
    carrier: String,
    /// Why it changed nothing; null when it did.
    ignored_because: Option<String>,
}

impl ScanView {
    async fn of(opener: &mut Opener<'_>, order_id: OrderId, row: ScanRow) -> Result<Self, Problem> {
        Ok(Self {
            status: row.status.name(),
            code: row.code,
            place: row.place,
            at: row.at.into(),
            received_at: row.received_at.map(Moment::from),
            note: opener.some_remark(order_remark(order_id), row.note).await?,
            carrier: row.carrier,
            ignored_because: row.ignored_because,
        })
    }
}

/// A parcel.
#[derive(Serialize, ToSchema)]
#[schema(as = Shipment)]
pub(crate) struct ShipmentView {
    id: Uuid,
    order_id: Uuid,
    user_id: Uuid,
    #[schema(value_type = words::ShipmentStatus)]
    status: &'static str,
    carrier: Option<String>,
    tracking_number: Option<String>,
    lines: Vec<LineView>,
    /// Null when the buyer's data was erased, and when it cannot be read.
    shipping_address: Option<Address>,
    /// Whether personal data of this parcel is there and cannot be read: staff have to look.
    unreadable: bool,
    /// What was told of it on its way, in the order in which it came.
    scans: Vec<ScanView>,
    created_at: Moment,
    /// When it was handed to the carrier; null before.
    dispatched_at: Option<Moment>,
    /// When it arrived; null before.
    delivered_at: Option<Moment>,
    #[schema(value_type = u64)]
    version: Version,
    updated_at: Moment,
}

impl Resource for ShipmentRow {
    const WHAT: &'static str = "shipment";
    type View = ShipmentView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::shipment(ShipmentId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::shipment(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        queries.shipment(ShipmentId::new(id)).await
    }
    fn version(&self) -> Version {
        self.version
    }
    fn owner(&self) -> Option<UserId> {
        Some(self.user_id)
    }
    fn order_id(&self) -> Option<OrderId> {
        Some(self.order_id)
    }
    /// The view changes without a new version when the key is destroyed, and when it cannot decrypt
    /// the address.
    fn beside(view: &ShipmentView) -> Option<String> {
        view.shipping_address.is_none().then(|| if view.unreadable { "unreadable" } else { "erased" }.to_owned())
    }
    async fn view(self, app: &App) -> Result<ShipmentView, Problem> {
        let mut opener = Opener::new(app);
        let mut scans = Vec::with_capacity(self.scans.len());
        for scan in self.scans {
            scans.push(ScanView::of(&mut opener, self.order_id, scan).await?);
        }
        Ok(ShipmentView {
            shipping_address: opener.address(self.order_id, &self.shipping_address).await?,
            unreadable: opener.met_unreadable(),
            id: self.id.uuid(),
            order_id: self.order_id.uuid(),
            user_id: self.user_id.uuid(),
            status: self.status.name(),
            carrier: self.carrier,
            tracking_number: self.tracking_number,
            lines: self.lines.into_iter().map(LineView::from).collect(),
            scans,
            created_at: self.created_at.into(),
            dispatched_at: self.dispatched_at.map(Moment::from),
            delivered_at: self.delivered_at.map(Moment::from),
            version: self.version,
            updated_at: self.updated_at.into(),
        })
    }
}

/// Parcels, newest first.
#[utoipa::path(
    get, path = "/v1/shipments", operation_id = "listShipments", tag = "shipments",
    params(ShipmentListQuery),
    responses((status = 200, description = "a page of parcels", body = Listing<ShipmentView>)),
)]
async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<ShipmentListQuery>,
) -> Result<Json<Listing<ShipmentView>>, Problem> {
    await_min_position(&app, &call).await?;
    let filter = ShipmentFilter { user_id: listed_user(&call, query.user_id)?, status: query.status };
    let page = app.state.queries.shipments(&filter, &page_request(query.cursor, query.limit)).await?;
    reply::page(&app, page).await
}

/// One parcel.
#[utoipa::path(
    get, path = "/v1/shipments/{id}", operation_id = "getShipment", tag = "shipments",
    params(("id" = Uuid, Path, description = "the parcel"), AsOfQuery),
    responses((status = 200, description = "the parcel", body = ShipmentView)),
)]
async fn one(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<AsOfQuery>,
) -> Result<Response, Problem> {
    reply::read::<ShipmentRow>(&app, &call, id, query.as_of).await
}

/// One parcel by the number that follows it, with blanks and hyphens or without. Where a
/// number was used again, the newest parcel.
#[utoipa::path(
    get, path = "/v1/shipments/tracking/{tracking_number}", operation_id = "getShipmentByTrackingNumber", tag = "shipments",
    params(("tracking_number" = String, Path, description = "the number that follows it")),
    responses((status = 200, description = "the parcel", body = ShipmentView)),
)]
async fn by_tracking_number(
    State(app): State<App>,
    PathText(number): PathText,
    call: Call,
) -> Result<Response, Problem> {
    await_min_position(&app, &call).await?;
    // Carriers reuse their numbers, so each caller gets the newest of the parcels that they may
    // see.
    let of = match call.principal()?.scope {
        Scope::Own(user_id) => Some(user_id),
        Scope::Any => None,
    };
    let row = app.state.queries.shipment_by_tracking(&number, of).await?;
    let row = row.filter(|row| is_visible(Some(row.user_id), &call)).ok_or_else(|| Problem::not_found("shipment"))?;
    reply::show(&app, &call, row).await
}

/// Records what became of a parcel, by somebody of the shop.
#[utoipa::path(
    method(post, put), path = "/v1/shipments/{id}/status", operation_id = "setShipmentStatus", tag = "shipments",
    params(("id" = Uuid, Path, description = "the parcel")),
    request_body(content = ShipmentStatusBody, example = json!({"status": "in_transit", "note": "left the depot"})),
    responses((status = 200, description = "the parcel", body = ShipmentView)),
)]
async fn set_status(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<ShipmentStatusBody>,
) -> Result<Response, Problem> {
    let ShipmentStatusBody { status, tracking_number, note } = body.value;
    let shipment_id = ShipmentId::new(id);
    let tracking_number = tracking_number.map(|number| number.0);
    let Reported(status) = status;
    let note = match note {
        Some(words) => Some(sealed_remark(&app, StreamId::shipment(shipment_id), &words.0).await?),
        None => None,
    };
    let command: AnyCommand = if let Some(scanned) = scan_status(status) {
        let scan = Scan {
            carrier: STAFF.to_owned(),
            tracking_number: tracking_number.unwrap_or_default(),
            status: scanned,
            code: status.name().to_owned(),
            place: String::new(),
            at: app.state.world.clock.now(),
            note,
        };
        RecordScan { shipment_id, scan }.into()
    } else {
        DispatchShipment { shipment_id, carrier: None, tracking_number }.into()
    };
    let answer = call.execute(&app, command, &body.bytes).await?;
    reply::command::<ShipmentRow>(&app, &call, answer, Made::Changed).await
}

/// The scan that reports a state; none if no scan does.
const fn scan_status(status: ShipmentStatus) -> Option<ScanStatus> {
    Some(match status {
        ShipmentStatus::InTransit => ScanStatus::InTransit,
        ShipmentStatus::OutForDelivery => ScanStatus::OutForDelivery,
        ShipmentStatus::AttemptFailed => ScanStatus::AttemptFailed,
        ShipmentStatus::Exception => ScanStatus::Exception,
        ShipmentStatus::Delivered => ScanStatus::Delivered,
        ShipmentStatus::Returned => ScanStatus::Returned,
        ShipmentStatus::Lost => ScanStatus::Lost,
        ShipmentStatus::Requested | ShipmentStatus::Ready | ShipmentStatus::Dispatched | ShipmentStatus::Cancelled => {
            return None;
        }
    })
}

/// Hands a parcel over to the carrier: its goods leave the stock and the order is shipped.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/dispatch", operation_id = "dispatchShipment", tag = "shipments",
    params(("id" = Uuid, Path, description = "the parcel")),
    request_body(content = Option<DispatchBody>, example = json!({"carrier": "sandbox", "tracking_number": "SB-1042"})),
    responses((status = 200, description = "the parcel", body = ShipmentView)),
)]
async fn dispatch(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: MaybeJson<DispatchBody>,
) -> Result<Response, Problem> {
    let (carrier, tracking_number) = body.value.map_or((None, None), |body| (body.carrier, body.tracking_number));
    let command = DispatchShipment {
        shipment_id: ShipmentId::new(id),
        carrier: carrier.map(|carrier| carrier.0),
        tracking_number: tracking_number.map(|number| number.0),
    };
    let answer = call.execute(&app, command, &body.bytes).await?;
    reply::command::<ShipmentRow>(&app, &call, answer, Made::Changed).await
}

/// Puts right a number that was written down wrongly. What was scanned under the old one stays.
#[utoipa::path(
    put, path = "/v1/shipments/{id}/tracking-number", operation_id = "correctTrackingNumber", tag = "shipments",
    params(("id" = Uuid, Path, description = "the parcel")),
    request_body(content = TrackingNumberBody, example = json!({"tracking_number": "600000000015", "reason": "two digits were swapped"})),
    responses((status = 200, description = "the parcel", body = ShipmentView)),
)]
async fn correct_tracking_number(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<TrackingNumberBody>,
) -> Result<Response, Problem> {
    let TrackingNumberBody { tracking_number, reason } = body.value;
    let shipment_id = ShipmentId::new(id);
    let reason = sealed_remark(&app, StreamId::shipment(shipment_id), &reason.0).await?;
    let command = CorrectTrackingNumber { shipment_id, tracking_number: tracking_number.0, reason };
    let answer = call.execute(&app, command, &body.bytes).await?;
    reply::command::<ShipmentRow>(&app, &call, answer, Made::Changed).await
}
