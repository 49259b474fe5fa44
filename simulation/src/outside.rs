//! Calls to the external systems and their webhooks, with faults.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::life::Life;
use crate::names::Fault;
use crate::sim::{AtWork, Sim};

/// Timeout of a call to gateway or carrier.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A webhook.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// The gateway that sent it; none for the carrier.
    pub from_gateway: Option<&'static str>,
    pub body: String,
    /// Whether its content can be learned in another way: if not, it is never lost.
    pub may_be_lost: bool,
}

/// Where webhooks are queued for delivery.
pub(crate) type Post = mpsc::UnboundedSender<Letter>;

/// The fate of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Answered,
    Twice,
    Lost,
    AnswerLost,
    Late,
    Errs,
}

impl Route {
    /// Draws the fate of the next call.
    pub fn choose(sim: &Sim) -> Self {
        let routes = [
            (Fault::CallLost, Self::Lost),
            (Fault::AnswerLost, Self::AnswerLost),
            (Fault::CallLate, Self::Late),
            (Fault::CallErrs, Self::Errs),
            (Fault::CallTwice, Self::Twice),
        ];
        routes.into_iter().find(|(fault, _)| sim.strikes(*fault)).map_or(Self::Answered, |(_, route)| route)
    }
}

/// Makes a call: `act` is executed by the external system when the call arrives. None: there was no
/// answer, or an error.
pub(crate) async fn call<T: Send + 'static>(
    life: &Arc<Life>,
    route: Route,
    act: impl Fn() -> T + Send + 'static,
) -> Option<T> {
    life.moment().await;
    let sim = Arc::clone(&life.sim);
    let under_way = life.call_outside();
    let answer = match route {
        Route::Lost => {
            tokio::time::sleep(TIMEOUT).await;
            None
        }
        Route::Errs => {
            tokio::time::sleep(sim.short(200)).await;
            None
        }
        Route::Late => {
            let wait = TIMEOUT + sim.dice(|dice| dice.millis(500, 100_000));
            let on_its_way = AtWork::begin(&sim);
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                act();
                drop(on_its_way);
            });
            tokio::time::sleep(TIMEOUT).await;
            None
        }
        Route::Answered | Route::Twice | Route::AnswerLost => {
            let (there, back, again) =
                sim.dice(|dice| (dice.millis(1, 150), dice.millis(1, 150), dice.millis(1, 3_000)));
            let (send, answer) = oneshot::channel();
            let on_its_way = AtWork::begin(&sim);
            // A task of its own, because a call on its way also arrives when its sender is killed.
            tokio::spawn(async move {
                tokio::time::sleep(there).await;
                // The caller may be gone; the effect stays.
                let _gone = send.send(act());
                if route == Route::Twice {
                    tokio::time::sleep(again).await;
                    act();
                }
                drop(on_its_way);
            });
            let answer = answer.await.ok();
            tokio::time::sleep(if route == Route::AnswerLost { TIMEOUT } else { back }).await;
            answer.filter(|_| route != Route::AnswerLost)
        }
    };
    life.moment().await;
    drop(under_way);
    answer
}
