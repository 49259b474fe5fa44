//! The adapters to the outside world, by name.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jangbu_kernel::gateway::{Carrier, PaymentGateway};

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

    /// The adapter with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<T>> {
        self.by_name.get(name)
    }
}

impl Gateways {
    /// A registry with the gateway that new payments go to.
    #[must_use]
    pub fn new(chosen: Arc<dyn PaymentGateway>) -> Self {
        Self::named(chosen.name().to_owned(), chosen)
    }

    /// Adds a gateway whose webhooks are taken as well.
    #[must_use]
    pub fn with(mut self, gateway: Arc<dyn PaymentGateway>) -> Self {
        self.by_name.insert(gateway.name().to_owned(), gateway);
        self
    }
}

impl Carriers {
    /// A registry with the carrier that new parcels go to.
    #[must_use]
    pub fn new(chosen: Arc<dyn Carrier>) -> Self {
        Self::named(chosen.name().to_owned(), chosen)
    }

    /// Adds a carrier whose webhooks are taken as well.
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
