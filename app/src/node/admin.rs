//! The first admin: created at the first start, only if there is none.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::user::{RoleGranted, UserEvent, UserRegistered};
use jangbu_commands::CommandError;
use jangbu_commands::identity::{AddressBlock, Identity, IdentityError, Registration, RequestContext};
use jangbu_kernel::log::ReadFilter;
use jangbu_kernel::ports::World;
use jangbu_kernel::{Actor, CorrelationId, Position, RefusalCode, Role};
use jangbu_store::Store;
use secrecy::ExposeSecret as _;

use super::keys;
use crate::config::Settings;

/// Events read at once while looking for an admin.
const PAGE: usize = 1_000;

/// An admin that has just been created.
pub struct FirstAdmin {
    /// The e-mail address, for the login.
    pub email: String,
    /// Only present if it was generated here.
    pub password: Option<String>,
}

/// Creates the first admin if there is none.
///
/// # Errors
/// When the configured address or password is not accepted, or the store fails.
pub async fn ensure(
    store: &dyn Store,
    identity: &Identity,
    world: &World,
    settings: &Settings,
) -> anyhow::Result<Option<FirstAdmin>> {
    if !keys::first_admin_is_due(store).await? {
        return Ok(None);
    }
    if has_admin(store).await? {
        keys::note_first_admin(store).await?;
        return Ok(None);
    }
    let made_up = settings.admin_password.is_none().then(crate::password::made_up_password);
    let password = match (&settings.admin_password, &made_up) {
        (Some(configured), _) => configured.expose_secret().to_owned(),
        (None, made_up) => made_up.clone().unwrap_or_default(),
    };
    let email = settings.admin_email.clone();
    let registration = Registration { email: email.clone(), password, name: "Admin".to_owned(), phone: None };
    let correlation_id = CorrelationId::new(world.ids.new_id());
    let context = RequestContext { correlation_id, trace: None, idempotency: None, from: AddressBlock::own() };
    match identity.create_user(registration, vec![Role::Admin], Actor::System("system"), context).await {
        Ok(_) => {
            keys::note_first_admin(store).await?;
            Ok(Some(FirstAdmin { email, password: made_up }))
        }
        // Another node was faster, or the address has an account already: then an operator has to
        // decide who is an admin.
        Err(IdentityError::Command(CommandError::Refused(refusal))) if refusal.code == RefusalCode::EmailTaken => {
            tracing::warn!(
                "there is no first admin: its address has an account, use `jangbu users grant --role admin`"
            );
            Ok(None)
        }
        Err(IdentityError::Invalid(fields)) => {
            let fields: Vec<_> = fields.iter().map(|field| format!("{} {}", field.pointer, field.detail)).collect();
            anyhow::bail!("JANGBU_ADMIN_EMAIL or JANGBU_ADMIN_PASSWORD is not accepted: {}", fields.join("; "))
        }
        Err(error) => Err(anyhow::Error::new(error).context("the first admin cannot be made")),
    }
}

/// Whether there has ever been an admin. Only asked while there is no note of one, which is the
/// case on a new log.
async fn has_admin(store: &dyn Store) -> anyhow::Result<bool> {
    let filter = ReadFilter {
        event_types: [UserRegistered::TYPE, RoleGranted::TYPE].map(str::to_owned).to_vec(),
        correlation_id: None,
    };
    let mut after = Position::ZERO;
    loop {
        let (page, read_to) = store.read_all(after, PAGE, &filter).await?;
        for event in &page {
            let event = DomainEvent::try_from(event)?;
            let registered =
                matches!(&event, DomainEvent::User(UserEvent::Registered(user)) if user.roles.contains(&Role::Admin));
            let granted =
                matches!(&event, DomainEvent::User(UserEvent::RoleGranted(granted)) if granted.role == Role::Admin);
            if registered || granted {
                return Ok(true);
            }
        }
        if read_to == after {
            return Ok(false);
        }
        after = read_to;
    }
}
