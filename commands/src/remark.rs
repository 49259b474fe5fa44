//! Seals texts that a person typed: remarks on an order, its payment, parcel or process, and the
//! reasons for which points are granted.

use jangbu_aggregates::order::Order;
use jangbu_aggregates::payment::Payment;
use jangbu_aggregates::points::GrantReference;
use jangbu_aggregates::returns::Return;
use jangbu_aggregates::shipment::Shipment;
use jangbu_kernel::log::{EventLog, LogError};
use jangbu_kernel::ports::{Vault, VaultError};
use jangbu_kernel::{AggregateKind, OrderId, Remark, SealedAt, StreamId, UserId};

use crate::reader::load_state;
use crate::sealing::{order_remark, points_reference};

/// Replaces a text about a person whose key is destroyed, because nothing about them may be stored.
const NOT_KEPT: &str = "not_kept";
/// Replaces a text about something that does not exist; the decision refuses that.
const ABOUT_NOTHING: &str = "about_nothing";

/// Seals a text about an order under its buyer's key. `about` is the order, its payment, its
/// shipment, its return or its process. The text is opened as the order's, wherever it is copied to.
///
/// # Errors
/// When the log or the keys cannot be read.
pub async fn sealed_remark(
    log: &dyn EventLog,
    vault: &dyn Vault,
    about: StreamId,
    words: &str,
) -> Result<Remark, VaultError> {
    let Some((order_id, buyer)) = order_of(log, about).await.map_err(VaultError::Store)? else {
        return Ok(ABOUT_NOTHING.into());
    };
    seal(vault, buyer, order_remark(order_id), words).await
}

/// Seals the reason for which points are granted under the recipient's key.
///
/// # Errors
/// When the keys cannot be read.
pub async fn grant_reference(vault: &dyn Vault, user_id: UserId, text: String) -> Result<GrantReference, VaultError> {
    let words = match seal(vault, user_id, points_reference(user_id), &text).await {
        // There is no user with this id, which the decision refuses.
        Err(VaultError::NoKey) => ABOUT_NOTHING.into(),
        sealed => sealed?,
    };
    let hash = vault.keyed_hash("points.reference", &format!("{user_id}/{text}"));
    Ok(GrantReference { text, words, hash: Some(hash) })
}

async fn seal(vault: &dyn Vault, owner: UserId, at: SealedAt<'_>, words: &str) -> Result<Remark, VaultError> {
    match vault.seal(owner, at, words).await {
        Ok(sealed) => Ok(sealed.into()),
        Err(VaultError::KeyDestroyed) => Ok(NOT_KEPT.into()),
        Err(error @ (VaultError::NoKey | VaultError::DoesNotOpen | VaultError::Store(_))) => Err(error),
    }
}

/// The order that a stream belongs to, and its buyer.
async fn order_of(log: &dyn EventLog, stream: StreamId) -> Result<Option<(OrderId, UserId)>, LogError> {
    let (order_id, buyer) = match stream.kind {
        // A process has the id of its order.
        AggregateKind::Order | AggregateKind::Fulfilment => {
            let (order, _) = load_state::<Order>(log, stream.id).await?;
            (Some(OrderId::new(stream.id)), order.user_id())
        }
        AggregateKind::Payment => {
            let (payment, _) = load_state::<Payment>(log, stream.id).await?;
            (payment.order_id(), payment.user_id())
        }
        AggregateKind::Shipment => {
            let (shipment, _) = load_state::<Shipment>(log, stream.id).await?;
            (shipment.order_id(), shipment.user_id())
        }
        AggregateKind::Return => {
            let (asked, _) = load_state::<Return>(log, stream.id).await?;
            (asked.order_id(), asked.user_id())
        }
        AggregateKind::User
        | AggregateKind::Administrators
        | AggregateKind::Email
        | AggregateKind::Session
        | AggregateKind::Product
        | AggregateKind::Category
        | AggregateKind::Slug
        | AggregateKind::Stock
        | AggregateKind::Locations
        | AggregateKind::Points
        | AggregateKind::Buyer
        | AggregateKind::Import
        | AggregateKind::Notice => (None, None),
    };
    Ok(order_id.zip(buyer))
}
