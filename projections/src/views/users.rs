//! People with an account. Personal fields stay sealed.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::notice::{Locale, NoticeTopic};
use jangbu_aggregates::user::UserEvent;
use jangbu_kernel::{AggregateKind, Role, Sealed, Timestamp, UserId, Version};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, fixed, index, next};

/// The status of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum UserStatus {
    /// In use.
    Active,
}

jangbu_kernel::named!(UserStatus);

/// A person with an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserRow {
    /// Their id.
    pub id: UserId,
    /// The address, sealed.
    pub email: Sealed,
    /// The name, sealed.
    pub name: Sealed,
    /// The telephone number, sealed.
    pub phone: Option<Sealed>,
    /// Their roles in this shop, sorted.
    pub roles: Vec<Role>,
    /// The status of the account.
    pub status: UserStatus,
    /// The language in which they want to be told of things, if they have chosen one.
    pub locale: Option<Locale>,
    /// The topics that they do not want to be told of, sorted.
    pub muted: Vec<NoticeTopic>,
    /// When they signed up.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub registered_at: Timestamp,
    /// The version of their stream that is folded in.
    pub version: Version,
}

/// The view "users".
pub struct UsersView;

impl View for UsersView {
    type Row = UserRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "users",
        version: 4,
        key: &[column("id", Kind::Uuid)],
        columns: &[
            column("status", Kind::Text),
            column("is_staff", Kind::Bool),
            fixed("registered_at", Kind::Time),
            column("version", Kind::Int),
        ],
        indexes: &[
            index("registered", "registered_at, id"),
            index("status_registered", "status, registered_at, id"),
            index("staff_registered", "is_staff, registered_at, id"),
        ],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::User);

    fn fold(row: &mut Option<UserRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::User(event) = &fact.event else { return Err(NOT_SHOWN) };
        if let UserEvent::Registered(registered) = event {
            first(row, fact)?;
            let mut roles = registered.roles.clone();
            roles.sort_unstable();
            roles.dedup();
            *row = Some(UserRow {
                id: UserId::new(fact.stream.id),
                email: registered.email.clone(),
                name: registered.name.clone(),
                phone: registered.phone.clone(),
                roles,
                status: UserStatus::Active,
                locale: None,
                muted: Vec::new(),
                registered_at: fact.at,
                version: fact.version,
            });
            return Ok(());
        }
        let row = next(row, |row| row.version, fact)?;
        change(row, event);
        row.version = fact.version;
        Ok(())
    }

    fn columns(row: &UserRow) -> Vec<Value> {
        vec![
            Value::name(row.status.name()),
            Value::bool(row.roles.iter().any(|role| *role != Role::Customer)),
            Value::time(row.registered_at),
            Value::count(row.version),
        ]
    }
}

fn change(row: &mut UserRow, event: &UserEvent) {
    match event {
        UserEvent::ContactDetailsChanged(changed) => {
            if let Some(name) = &changed.name {
                row.name = name.clone();
            }
            if changed.phone.is_some() || changed.phone_cleared {
                row.phone.clone_from(&changed.phone);
            }
        }
        UserEvent::RoleGranted(granted) => {
            if let Err(place) = row.roles.binary_search(&granted.role) {
                row.roles.insert(place, granted.role);
            }
        }
        UserEvent::RoleRevoked(revoked) => row.roles.retain(|role| *role != revoked.role),
        UserEvent::NoticesChosen(chosen) => {
            row.locale = chosen.locale.or(row.locale);
            if let Some(muted) = &chosen.muted {
                row.muted.clone_from(muted);
            }
        }
        // The creation is folded before; logins and locks do not change what is shown of an
        // account.
        UserEvent::Registered(_)
        | UserEvent::LoginFailed(_)
        | UserEvent::LoginSucceeded(_)
        | UserEvent::Locked(_)
        | UserEvent::Unlocked(_) => {}
    }
}
