//! What an operator can ask of the process that writes the store, in process or over HTTP.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jangbu_aggregates::processes::Fulfilment;
use jangbu_api::imports::Importer;
use jangbu_commands::commands::{
    AcceptOrder, RefundOrder, ResolveFulfilment, RoleChange as Change, SendOrderAgain, SetRoles, UnlockUser,
};
use jangbu_commands::identity::{AddressBlock, Identity, IdentityError, Registration, RequestContext};
use jangbu_commands::{
    AnyCommand, Caller, CommandError, Commands, OperatorAction, Request as CommandRequest, Scope, WantedLine,
    load_state, sealed_remark,
};
use jangbu_kernel::ports::{IdSource, Vault};
use jangbu_kernel::{
    Actor, CommandId, CorrelationId, OrderId, Position, ProductId, RefundId, Refusal, Remark, Role, ShipmentId,
    StreamId, UserId,
};
use jangbu_projections::ProjectorHandle;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::file::Token;
use super::rebuild::{RebuildEvent, RebuildRequest};

/// The prefix of the routes.
pub(super) const PREFIX: &str = "/internal/operator";

/// Does what only the writer of the store can do.
#[derive(Clone)]
pub struct Operator {
    /// Creates users.
    pub identity: Identity,
    /// The write side.
    pub commands: Commands,
    /// The projector; none on a node without the role.
    pub projector: Option<ProjectorHandle>,
    /// Mints ids.
    pub ids: Arc<dyn IdSource>,
    /// Seals the reasons that an operator gives.
    pub vault: Arc<dyn Vault>,
    /// Imports files.
    pub importer: Importer,
    /// Folder for files that are being taken in.
    pub spool: PathBuf,
}

/// A new user.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewUser {
    /// The address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The name.
    pub name: String,
    /// The roles.
    pub roles: Vec<Role>,
    /// The operator.
    pub operator: String,
}

/// A role to be granted or revoked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleChange {
    /// The user: an address or a user id.
    pub user: String,
    /// The role.
    pub role: Role,
    /// Granted if true, else revoked.
    pub grant: bool,
    /// The operator.
    pub operator: String,
}

/// An operator's decision about an order whose process waits for a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// An action on the process itself.
    Process(OperatorAction),
    /// Refunds all the money and ends the order.
    Refund {
        /// Whether what came back can be sold again.
        restock: bool,
    },
    /// Sends a further parcel.
    SendAgain {
        /// Whether what came back can be sold again.
        restock: bool,
        /// Its content; everything if no line is named.
        lines: Vec<(ProductId, u32)>,
    },
    /// Continues the order as it is.
    Accept,
}

impl Verb {
    /// Its name on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Process(action) => action.name(),
            Self::Refund { .. } => "refund",
            Self::SendAgain { .. } => "send-again",
            Self::Accept => "accept",
        }
    }
}

/// A decision about a process that waits for a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resolution {
    /// The order whose process waits.
    pub order_id: OrderId,
    /// The decision.
    pub action: Verb,
    /// The reason, for the audit trail.
    pub reason: String,
    /// The operator.
    pub operator: String,
}

/// The result of a decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resolved {
    /// The order.
    pub order_id: OrderId,
    /// The step that its process is at now.
    pub step: String,
    /// The position of what was recorded.
    pub position: Position,
}

/// Removes the delays after wrong passwords.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unlock {
    /// The user: an address or a user id.
    pub user: String,
    /// The operator.
    pub operator: String,
}

/// The result of a change to a user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Created {
    /// The user.
    pub user_id: UserId,
    /// Whether anything was changed.
    pub changed: bool,
    /// The position of what was recorded.
    pub position: Position,
}

/// Why an operator's request was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no such user.
    #[error("there is no user {0}")]
    NoSuchUser(String),
    /// Refused; the text says why.
    #[error("{0}")]
    Refused(String),
    /// A failure.
    #[error("{0}")]
    Failed(String),
}

impl From<IdentityError> for OperatorError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Invalid(fields) => {
                let fields = fields.iter().map(|field| format!("{}: {}", field.pointer, field.detail));
                Self::Refused(fields.collect::<Vec<_>>().join("; "))
            }
            IdentityError::Command(error) => error.into(),
            IdentityError::BadCredentials
            | IdentityError::Delayed { .. }
            | IdentityError::Busy { .. }
            | IdentityError::Unavailable(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<CommandError> for OperatorError {
    fn from(error: CommandError) -> Self {
        if let CommandError::Refused(Refusal { detail, current_state, allowed_commands, .. }) = error {
            Self::Refused(match (current_state, allowed_commands.as_slice()) {
                (None, _) => detail,
                (Some(state), []) => format!("{detail} (it is in {state})"),
                (Some(state), allowed) => format!("{detail} (it is in {state}; possible: {})", allowed.join(", ")),
            })
        } else {
            Self::Failed(error.to_string())
        }
    }
}

impl Operator {
    /// Creates a user.
    ///
    /// # Errors
    /// When a field is not valid, the address is taken, or the store fails.
    pub async fn create_user(&self, user: NewUser) -> Result<Created, OperatorError> {
        let registration = Registration { email: user.email, password: user.password, name: user.name, phone: None };
        let actor = Actor::Operator(user.operator);
        let answer = self.identity.create_user(registration, user.roles, actor, self.context()).await?;
        Ok(Created { user_id: UserId::new(answer.stream.id), changed: true, position: answer.position })
    }

    /// Grants or revokes a role.
    ///
    /// # Errors
    /// When there is no such user, the shop refuses it, or the store fails.
    pub async fn change_role(&self, change: RoleChange) -> Result<Created, OperatorError> {
        let user_id = self.user(change.user).await?;
        let role = change.role;
        let command =
            SetRoles { user_id, change: if change.grant { Change::Grant(role) } else { Change::Revoke(role) } };
        self.identity.list_administrators().await?;
        self.execute(user_id, command, change.operator).await
    }

    /// Removes the delays after wrong passwords.
    ///
    /// # Errors
    /// When there is no such user, or the store fails.
    pub async fn unlock(&self, unlock: Unlock) -> Result<Created, OperatorError> {
        let user_id = self.user(unlock.user).await?;
        self.execute(user_id, UnlockUser { user_id }, unlock.operator).await
    }

    /// The user with this address or id.
    async fn user(&self, named: String) -> Result<UserId, OperatorError> {
        match named.parse() {
            Ok(user_id) => Ok(user_id),
            Err(_) => self.identity.user_by_email(&named).await?.ok_or(OperatorError::NoSuchUser(named)),
        }
    }

    async fn execute(
        &self,
        user_id: UserId,
        command: impl Into<AnyCommand>,
        operator: String,
    ) -> Result<Created, OperatorError> {
        let caller = Caller { actor: Actor::Operator(operator), scope: Scope::Any };
        let command_id = CommandId::new(self.ids.new_id());
        let request = CommandRequest::new(command, caller, command_id, CorrelationId::new(self.ids.new_id()));
        let answer = self.commands.execute(request).await?;
        self.identity.forget(user_id);
        Ok(Created { user_id, changed: !answer.events.is_empty(), position: answer.position })
    }

    /// Decides about a process that waits for a person.
    ///
    /// # Errors
    /// When the process does not wait for this, or the store fails.
    pub async fn resolve(&self, resolution: Resolution) -> Result<Resolved, OperatorError> {
        let Resolution { order_id, action, reason, operator } = resolution;
        let (log, vault) = (self.commands.log().as_ref(), self.vault.as_ref());
        let sealed = sealed_remark(log, vault, StreamId::fulfilment(order_id), &reason).await;
        let reason = sealed.map_err(|error| OperatorError::Failed(error.to_string()))?;
        let command = self.decided(order_id, action, reason);
        let caller = Caller { actor: Actor::Operator(operator), scope: Scope::Any };
        let command_id = CommandId::new(self.ids.new_id());
        let request = CommandRequest::new(command, caller, command_id, CorrelationId::new(self.ids.new_id()));
        let answer = self.commands.execute(request).await?;
        let read = load_state::<Fulfilment>(self.commands.log().as_ref(), order_id).await;
        let (fulfilment, _) = read.map_err(|error| OperatorError::Failed(error.to_string()))?;
        Ok(Resolved { order_id, step: fulfilment.step().name().to_owned(), position: answer.position })
    }

    fn decided(&self, order_id: OrderId, action: Verb, reason: Remark) -> AnyCommand {
        match action {
            Verb::Process(action) => ResolveFulfilment { order_id, action, reason }.into(),
            Verb::Refund { restock } => {
                RefundOrder { order_id, refund_id: RefundId::new(self.ids.new_id()), reason, restock }.into()
            }
            Verb::SendAgain { restock, lines } => {
                let shipment_id = ShipmentId::new(self.ids.new_id());
                let wanted = |(product_id, quantity)| WantedLine { product_id, quantity };
                let lines = lines.into_iter().map(wanted).collect();
                SendOrderAgain { order_id, shipment_id, lines, reason, restock }.into()
            }
            Verb::Accept => AcceptOrder { order_id, reason }.into(),
        }
    }

    fn context(&self) -> RequestContext {
        let correlation_id = CorrelationId::new(self.ids.new_id());
        RequestContext { correlation_id, trace: None, idempotency: None, from: AddressBlock::own() }
    }
}

/// The routes, behind the token.
pub fn router(operator: Operator, token: Token) -> Router {
    let routes = Router::new()
        .route("/ping", get(async || StatusCode::NO_CONTENT))
        .route("/users", post(create_user))
        .route("/roles", post(change_role))
        .route("/sagas", post(resolve))
        .route("/unlock", post(unlock))
        .route("/rebuild", post(rebuild))
        .route("/imports", post(super::imports::import))
        .with_state(operator)
        .layer(middleware::from_fn_with_state(token, guard));
    Router::new().nest(PREFIX, routes)
}

/// A request without the token gets the answer of an unknown path.
async fn guard(State(token): State<Token>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if header.is_some_and(|header| token.matches(header)) {
        next.run(request).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

impl IntoResponse for OperatorError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoSuchUser(_) | Self::Refused(_) => StatusCode::CONFLICT,
            Self::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, self.to_string()).into_response()
    }
}

async fn create_user(
    State(operator): State<Operator>,
    Json(user): Json<NewUser>,
) -> Result<Json<Created>, OperatorError> {
    operator.create_user(user).await.map(Json)
}

async fn change_role(
    State(operator): State<Operator>,
    Json(change): Json<RoleChange>,
) -> Result<Json<Created>, OperatorError> {
    operator.change_role(change).await.map(Json)
}

async fn resolve(
    State(operator): State<Operator>,
    Json(resolution): Json<Resolution>,
) -> Result<Json<Resolved>, OperatorError> {
    operator.resolve(resolution).await.map(Json)
}

async fn unlock(State(operator): State<Operator>, Json(wanted): Json<Unlock>) -> Result<Json<Created>, OperatorError> {
    operator.unlock(wanted).await.map(Json)
}

/// Reports the rebuild's progress, one JSON object a line. The work ends with the connection, so
/// interrupting the command interrupts the rebuild.
async fn rebuild(State(operator): State<Operator>, Json(request): Json<RebuildRequest>) -> Response {
    let (events, told) = mpsc::channel::<RebuildEvent>(16);
    tokio::spawn(async move { super::rebuild::run(&operator, request, events).await });
    let lines = futures::stream::unfold(told, async |mut told| {
        let event = told.recv().await?;
        let mut line = serde_json::to_vec(&event).unwrap_or_default();
        line.push(b'\n');
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(line)), told))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
