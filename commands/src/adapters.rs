//! The adapters to the outside world, by name.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jangbu_kernel::ShipmentId;
use jangbu_kernel::gateway::{
    Carrier, CarrierNotice, ChargeOutcome, ChargeRequest, GatewayNotice, LabelCancelOutcome, LabelOutcome,
    LabelRequest, PaymentGateway, RefundOutcome, RefundRequest, WebhookError,
};
use uuid::Uuid;

/// Adapters of one kind by name, one of which is the shop's own choice.
pub struct Registry<T: ?Sized> {
    chosen: Arc<T>,
    by_name: HashMap<String, Arc<T>>,
}

/// The payment gateways.
pub type Gateways = Registry<dyn PaymentGateway>;
/// The carriers.
pub type Carriers = Registry<dyn Carrier>;

impl<T: ?Sized> Registry<T> {
    fn named(name: String, chosen: Arc<T>) -> Self {
        Self { by_name: HashMap::from([(name, Arc::clone(&chosen))]), chosen }
    }

    /// The adapter that new work goes to.
    #[must_use]
    pub const fn chosen(&self) -> &Arc<T> {
        &self.chosen
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<&Arc<T>> {
        let mut all: Vec<_> = self.by_name.iter().collect();
        all.sort_by_key(|(name, _)| name.as_str());
        all.into_iter().map(|(_, adapter)| adapter).collect()
    }

    /// The adapter with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<T>> {
        self.by_name.get(name)
    }
}

/// Stands in for an adapter that this program is not connected to. It answers every request with an
/// unknown outcome, so that what the adapter has stays open until the program is connected again.
struct NotConnected(String);

/// Why the outcome is unknown.
const NOT_CONNECTED: &str = "not_connected";

impl NotConnected {
    fn detail(&self, what: &str) -> String {
        tracing::error!(
            adapter = self.0,
            "{what} is at {:?}, which this program is not connected to: configure it again",
            self.0
        );
        NOT_CONNECTED.to_owned()
    }
}

#[async_trait]
impl PaymentGateway for NotConnected {
    fn name(&self) -> &str {
        &self.0
    }
    fn takes(&self, _: &str) -> bool {
        false
    }
    async fn charge(&self, _: ChargeRequest) -> ChargeOutcome {
        ChargeOutcome::Unknown { detail: self.detail("a charge") }
    }
    async fn confirm(&self, _: &str) -> ChargeOutcome {
        ChargeOutcome::Unknown { detail: self.detail("a charge") }
    }
    async fn inquire(&self, _: Uuid) -> ChargeOutcome {
        ChargeOutcome::Unknown { detail: self.detail("a charge") }
    }
    async fn net_cancel(&self, _: Uuid) -> ChargeOutcome {
        ChargeOutcome::Unknown { detail: self.detail("a charge") }
    }
    async fn refund(&self, _: RefundRequest) -> RefundOutcome {
        RefundOutcome::Unknown { detail: self.detail("a refund") }
    }
    fn read_webhook(&self, _: &[(String, String)], _: &[u8]) -> Result<Vec<GatewayNotice>, WebhookError> {
        Err(WebhookError::BadSignature)
    }
}

#[async_trait]
impl Carrier for NotConnected {
    fn name(&self) -> &str {
        &self.0
    }
    async fn request_label(&self, _: LabelRequest) -> LabelOutcome {
        LabelOutcome::Unknown { detail: self.detail("a label") }
    }
    async fn cancel_label(&self, _: ShipmentId) -> LabelCancelOutcome {
        LabelCancelOutcome::Unknown { detail: self.detail("a label") }
    }
    fn read_webhook(&self, _: &[(String, String)], _: &[u8]) -> Result<CarrierNotice, WebhookError> {
        Err(WebhookError::BadSignature)
    }
}

impl Gateways {
    /// The gateway with this name; if there is none, a stand-in whose outcomes are unknown.
    pub(crate) fn holding(&self, name: &str) -> Arc<dyn PaymentGateway> {
        self.get(name).cloned().unwrap_or_else(|| Arc::new(NotConnected(name.to_owned())))
    }

    /// A registry with the gateway that new payments go to.
    #[must_use]
    pub fn new(chosen: Arc<dyn PaymentGateway>) -> Self {
        Self::named(chosen.name().to_owned(), chosen)
    }

    /// Adds a gateway whose webhooks are accepted as well.
    #[must_use]
    pub fn with(mut self, gateway: Arc<dyn PaymentGateway>) -> Self {
        self.by_name.insert(gateway.name().to_owned(), gateway);
        self
    }
}

impl Carriers {
    /// Those that follow parcels of other carriers.
    pub(crate) fn trackers(&self) -> Vec<Arc<dyn Carrier>> {
        self.all().into_iter().filter(|carrier| carrier.tracks()).cloned().collect()
    }

    /// The carrier with this name; if there is none, a stand-in whose outcomes are unknown.
    pub(crate) fn holding(&self, name: &str) -> Arc<dyn Carrier> {
        self.get(name).cloned().unwrap_or_else(|| Arc::new(NotConnected(name.to_owned())))
    }

    /// A registry with the carrier that new parcels go to.
    #[must_use]
    pub fn new(chosen: Arc<dyn Carrier>) -> Self {
        Self::named(chosen.name().to_owned(), chosen)
    }

    /// Adds a carrier whose webhooks are accepted as well.
    #[must_use]
    pub fn with(mut self, carrier: Arc<dyn Carrier>) -> Self {
        self.by_name.insert(carrier.name().to_owned(), carrier);
        self
    }
}

impl<T: ?Sized> fmt::Debug for Registry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}
