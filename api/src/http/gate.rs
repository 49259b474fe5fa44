//! The gate in front of every route: token, account, rate limit, permission.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jangbu_commands::identity::AddressBlock;
use jangbu_commands::{Caller, Permission, Reach, Scope, allows};
use jangbu_kernel::{Actor, Role, SessionId, UserId};

use super::caller;
use super::limiter::{Allowance, CallerKey, Limiter};
use super::problem::{Code, Problem};
use crate::state::App;
use crate::tokens::{Bearer, TokenError};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Probes and documents: no login, no rate limit.
    Open,
    /// No login.
    Public,
    /// Sign-up and log-in: no login, with a rate limit of their own by block of addresses.
    Auth,
    /// A user who is logged in and has the permission.
    Holder(Reach),
}

impl From<Reach> for Access {
    fn from(reach: Reach) -> Self {
        Self::Holder(reach)
    }
}

impl Access {
    /// How far a user with these roles reaches; none: not at all.
    fn scope(self, user_id: UserId, roles: &[Role]) -> Option<Scope> {
        match self {
            Self::Open | Self::Public | Self::Auth => Some(Scope::Own(user_id)),
            Self::Holder(reach) => reach.scope(user_id, roles),
        }
    }
}

/// A logged-in user who may use the route.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) user_id: UserId,
    /// The login that the token came from.
    pub(crate) session_id: SessionId,
    pub(crate) roles: Vec<Role>,
    pub(crate) scope: Scope,
}

impl Principal {
    /// The caller as the write side expects it.
    pub(crate) fn caller(&self) -> Caller {
        Caller { actor: Actor::User(self.user_id), scope: self.scope }
    }
    /// Whether the caller holds a permission.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        allows(&self.roles, permission)
    }
}

/// The layer in front of a route.
pub(crate) async fn gate(State((app, access)): State<(App, Access)>, mut request: Request, next: Next) -> Response {
    if access == Access::Open {
        return next.run(request).await;
    }
    let login = login(&app, request.headers());
    let address = caller::address(request.extensions());
    let (limiter, counted) = match (access, &login) {
        (Access::Auth, _) => (&app.auth_limiter, CallerKey::Block(AddressBlock::of(address))),
        (_, Ok(Some(bearer))) => (&app.limiter, CallerKey::User(bearer.user_id)),
        (_, Ok(None) | Err(_)) => (&app.limiter, CallerKey::Address(AddressBlock::of_caller(address))),
    };
    let limiter = limiter.as_ref();
    let allowance = match limiter.map(|limiter| limiter.check(counted)).transpose() {
        Ok(allowance) => allowance,
        Err((problem, allowance)) => return with_allowance(limiter, Some(allowance), problem.into_response()),
    };
    let response = match admit(&app, access, login).await {
        Ok(principal) => {
            if let Some(principal) = principal {
                request.extensions_mut().insert(principal);
            }
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    with_allowance(limiter, allowance, response)
}

fn with_allowance(limiter: Option<&Limiter>, allowance: Option<Allowance>, mut response: Response) -> Response {
    if let (Some(limiter), Some(allowance)) = (limiter, allowance) {
        limiter.write(allowance, response.headers_mut());
    }
    response
}

/// The token of a request, verified; none if the request has no token.
fn login(app: &App, headers: &HeaderMap) -> Result<Option<Bearer>, TokenError> {
    let Some(header) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let (scheme, token) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(TokenError::Invalid)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenError::Invalid);
    }
    app.tokens.verify(token.trim()).map(Some)
}

async fn admit(
    app: &App,
    access: Access,
    login: Result<Option<Bearer>, TokenError>,
) -> Result<Option<Principal>, Problem> {
    let public = matches!(access, Access::Public | Access::Auth);
    let bearer = match login {
        Ok(Some(bearer)) => bearer,
        // On a public route an invalid token is treated as none.
        _ if public => return Ok(None),
        Ok(None) => return Err(Problem::new(Code::Unauthenticated, "send an access token: Authorization: Bearer ...")),
        Err(TokenError::Expired) => {
            return Err(Problem::new(Code::TokenExpired, "the access token has expired, refresh it"));
        }
        Err(TokenError::Invalid) => return Err(Problem::new(Code::Unauthenticated, "the access token does not count")),
    };
    if !app.state.identity.is_live(bearer.user_id, bearer.session_id).await? {
        if public {
            return Ok(None);
        }
        return Err(Problem::new(Code::Unauthenticated, "the login has ended, log in again"));
    }
    let account = app.state.identity.account(bearer.user_id).await?;
    let Some(account) = account.filter(|account| account.active) else {
        if public {
            return Ok(None);
        }
        return Err(Problem::new(Code::UserNotActive, "the account may not act"));
    };
    let scope = access.scope(bearer.user_id, &account.roles).ok_or_else(|| forbidden(access))?;
    let (user_id, session_id) = (bearer.user_id, bearer.session_id);
    Ok(Some(Principal { user_id, session_id, roles: account.roles, scope }))
}

fn forbidden(access: Access) -> Problem {
    let needed = match access {
        Access::Open | Access::Public | Access::Auth | Access::Holder(Reach::LoggedIn) => "a login",
        Access::Holder(Reach::Any(permission) | Reach::Own(permission)) => permission.name(),
        Access::Holder(Reach::OwnOrAny { own, .. }) => own.name(),
    };
    Problem::new(Code::Forbidden, format!("this needs {needed}"))
}
