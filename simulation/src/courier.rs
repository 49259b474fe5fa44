//! Delivers webhooks to the shop, repeatedly until they are acknowledged, and sometimes with
//! faults.

use std::sync::Arc;
use std::time::Duration;

use jangbu_commands::inbox::HookError;

use crate::carrier::NAME;
use crate::gateway::SIGNATURE;
use crate::names::{Fault, Point};
use crate::outside::Letter;
use crate::shop::Town;
use crate::sim::AtWork;

/// How long the sender waits for the acknowledgement.
const PATIENCE: Duration = Duration::from_secs(10);

/// Delivers a webhook.
pub(crate) fn carry(town: &Arc<Town>, letter: &Letter) {
    let sim = &town.sim;
    if letter.may_be_lost && sim.strikes(Fault::HookLost) {
        return;
    }
    let copies = if sim.strikes(Fault::HookRepeated) { sim.dice(|dice| dice.between(2, 4)) } else { 1 };
    for copy in 0..copies {
        let wait = if copy == 0 && !sim.strikes(Fault::HookDelayed) {
            sim.short(400)
        } else {
            sim.dice(|dice| dice.millis(300, 240_000))
        };
        let (at_work, letter, town) = (AtWork::begin(sim), letter.clone(), Arc::clone(town));
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            hand_in(&town, &letter).await;
            drop(at_work);
        });
    }
}

/// Sends a webhook until it is acknowledged.
async fn hand_in(town: &Town, letter: &Letter) {
    let sim = &town.sim;
    loop {
        if let Some(node) = town.any_node() {
            let headers = vec![(SIGNATURE.0.to_owned(), SIGNATURE.1.to_owned())];
            let body = letter.body.clone().into_bytes();
            let taken = async {
                match letter.from_gateway {
                    Some(name) => node.hooks.receive_payment(name, headers, body).await,
                    None => node.hooks.receive_carrier(NAME, headers, "", body).await,
                }
            };
            match tokio::time::timeout(PATIENCE, taken).await {
                Ok(Ok(accepted)) => {
                    if accepted.duplicate {
                        sim.reach(Point::DuplicateHook);
                    }
                    return;
                }
                // No answer, or one that asks for a retry.
                Err(_) | Ok(Err(HookError::Unavailable)) => {}
                Ok(Err(error)) => {
                    return sim.fail("inbox", format!("a message in good order was turned away: {error}"));
                }
            }
        }
        tokio::time::sleep(sim.dice(|dice| dice.millis(500, 6_000))).await;
    }
}
