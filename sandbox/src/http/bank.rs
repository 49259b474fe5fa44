//! The page at which a buyer pays, as a person sees it in a browser. It requires no key: a person
//! with the address of a charge counts as its buyer.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;

use super::gateway::finish_later;
use super::{Refused, Shared};
use crate::books::charges::{self, AtPage, Charge, Status};

fn no_page() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "page_not_found", "nothing is to be paid here")
}

/// Shows the amount to be paid.
pub async fn show(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Html<String>, Refused> {
    let Path(id) = id.map_err(|_| no_page())?;
    let charge = shared.store.call(move |db| charges::by_id(db, &id)).await?;
    charge.filter(|charge| charge.page.is_some()).map(|charge| page(&charge)).ok_or_else(no_page)
}

/// The buyer pays.
pub async fn pay(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Html<String>, Refused> {
    act(&shared, id, AtPage::Pays).await
}

/// The buyer cancels.
pub async fn cancel(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Html<String>, Refused> {
    act(&shared, id, AtPage::Cancels).await
}

async fn act(shared: &Shared, id: Result<Path<String>, PathRejection>, act: AtPage) -> Result<Html<String>, Refused> {
    let Path(id) = id.map_err(|_| no_page())?;
    let charge = shared.store.call(move |db| charges::at_page(db, &id, act)).await?.ok_or_else(no_page)?;
    shared.courier.wake();
    if charge.status == Status::AwaitingDeposit {
        // The task is tracked and not awaited here.
        drop(finish_later(shared, charge.id.clone(), shared.slow));
    }
    Ok(page(&charge))
}

/// The page contains only numbers and words of this program, and no text from a client.
fn page(charge: &Charge) -> Html<String> {
    let (amount, currency) = (charge.amount.amount(), charge.amount.currency().code());
    let (id, status) = (&charge.id, charge.status.name());
    let buttons = if charge.status == Status::RequiresAction {
        format!(
            r#"<form method="post" action="/bank/{id}/pay"><button>Pay</button></form>
<form method="post" action="/bank/{id}/cancel"><button>Cancel</button></form>"#
        )
    } else {
        "<p>You can go back to the shop.</p>".to_owned()
    };
    Html(format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sandbox bank</title></head>
<body><h1>{amount} {currency}</h1>
<p>{status}</p>
{buttons}
</body></html>
"#
    ))
}
