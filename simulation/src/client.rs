//! How clients send requests to the shop: repeatedly under the same key until there is an answer,
//! and with a check of every answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jangbu_commands::{Answer, AnyCommand, Caller, CommandError, Idempotency, Request};
use jangbu_kernel::log::{EventLog as _, ReadFilter};
use jangbu_kernel::ports::IdSource as _;
use jangbu_kernel::{CommandId, CorrelationId, Position, Refusal, StreamId, Version};

use crate::life::Life;
use crate::names::{Fault, Point};
use crate::shop::{Open, Town};
use crate::sim::lock;

/// Attempts before a client gives up.
const TRIES: u32 = 40;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first answer under each key.
#[derive(Default)]
pub(crate) struct Answers(Mutex<BTreeMap<String, (StreamId, Version)>>);

/// The result of a request.
#[derive(Debug)]
pub(crate) enum Told {
    Done(Answer),
    Refused(Refusal),
    /// There was no answer to any attempt.
    Nothing,
}

/// A request.
pub(crate) struct Errand<'a> {
    pub caller: Caller,
    /// The idempotency key, the same for every attempt.
    pub key: String,
    /// Makes the command, with new ids for each attempt, as the API does.
    pub make: &'a (dyn Fn() -> AnyCommand + Sync),
}

/// Sends it until there is an answer.
pub(crate) async fn send(town: &Arc<Town>, answers: &Answers, errand: Errand<'_>) -> Told {
    let sim = &town.sim;
    let mut in_doubt: Option<Arc<Life>> = None;
    for _ in 0..TRIES {
        let Some(node) = town.any_node() else {
            tokio::time::sleep(Duration::from_millis(700)).await;
            continue;
        };
        let first = ask(town, &node, &errand);
        let asked = if sim.strikes(Fault::ClientRepeats) {
            let (first, second) = tokio::join!(biased; first, repeat(town, &errand));
            if let Some(second) = second {
                check(town, answers, &errand, &second, None).await;
            }
            first
        } else {
            first.await
        };
        let Some((command_id, result)) = asked else {
            in_doubt = Some(node.life);
            tokio::time::sleep(sim.dice(|dice| dice.millis(100, 3_000))).await;
            continue;
        };
        match check(town, answers, &errand, &(command_id, result), in_doubt.as_deref()).await {
            Some(told) => return told,
            None => {
                in_doubt.get_or_insert(node.life);
                tokio::time::sleep(sim.dice(|dice| dice.millis(100, 3_000))).await;
            }
        }
    }
    Told::Nothing
}

/// The same request once more, to any node.
async fn repeat(town: &Arc<Town>, errand: &Errand<'_>) -> Option<Asked> {
    let node = town.any_node()?;
    tokio::time::sleep(town.sim.short(5)).await;
    ask(town, &node, errand).await
}

type Asked = (CommandId, Result<Answer, CommandError>);

/// One attempt; none if there was no answer in time.
async fn ask(town: &Town, node: &Open, errand: &Errand<'_>) -> Option<Asked> {
    let command_id = CommandId::new(town.ids.new_id());
    let correlation_id = CorrelationId::new(command_id.uuid());
    let mut request = Request::new((errand.make)(), errand.caller.clone(), command_id, correlation_id);
    request.idempotency = Some(Idempotency { key: errand.key.clone(), fingerprint: [7; 32] });
    let patience = if town.sim.strikes(Fault::ClientHangsUp) { town.sim.short(8) } else { PATIENCE };
    let result = tokio::time::timeout(patience, node.commands.execute(request)).await.ok()?;
    Some((command_id, result))
}

/// Checks the shop's answer; none if the request has to be sent again.
async fn check(
    town: &Town,
    answers: &Answers,
    errand: &Errand<'_>,
    (command_id, result): &Asked,
    in_doubt: Option<&Life>,
) -> Option<Told> {
    let sim = &town.sim;
    match result {
        Ok(answer) => {
            acknowledged(town, answers, errand, answer).await;
            if let Some(life) = in_doubt.filter(|_| answer.replayed) {
                sim.reach(if life.is_over() { Point::ReceiptAcrossCrash } else { Point::ReceiptAfterUnknown });
            }
            Some(Told::Done(answer.clone()))
        }
        Err(CommandError::OutcomeUnknown(_)) => None,
        Err(error) => {
            town.store.witness.was_refused(sim, command_id.uuid());
            match error {
                CommandError::Refused(refusal) => Some(Told::Refused(refusal.clone())),
                CommandError::KeyReused | CommandError::VersionConflict { .. } => {
                    sim.fail("L2", format!("the same request under the same key is answered with: {error}"));
                    Some(Told::Nothing)
                }
                // Nothing damages the simulated log, so the shop has written something that it
                // cannot read.
                CommandError::Unreadable { .. } => {
                    sim.fail("L1", error.to_string());
                    Some(Told::Nothing)
                }
                CommandError::Busy { .. } => {
                    sim.reach(Point::Busy);
                    None
                }
                CommandError::Unavailable(_)
                | CommandError::ReadOnly(_)
                | CommandError::OutcomeUnknown(_)
                | CommandError::ShuttingDown => None,
            }
        }
    }
}

/// L1: what was acknowledged is in the log. L2: one key, one answer.
async fn acknowledged(town: &Town, answers: &Answers, errand: &Errand<'_>, answer: &Answer) {
    let (sim, truth) = (&town.sim, &town.store.truth);
    for event in answer.events.iter() {
        let there = truth.read_all(event.position.previous(), 1, &ReadFilter::default()).await;
        if !there.is_ok_and(|(events, _)| events.first() == Some(&**event)) {
            sim.fail("L1", format!("position {} was acknowledged and is not in the log", event.position));
        }
    }
    let version = truth.versions(vec![answer.stream]).await.ok().and_then(|versions| versions.first().copied());
    let head = truth.head().await.unwrap_or(Position::ZERO);
    if version.unwrap_or(Version::ZERO) < answer.version || head < answer.position {
        sim.fail(
            "L1",
            format!("version {} of {} was acknowledged and is not in the log", answer.version, answer.stream),
        );
    }
    // An answer without events leaves no receipt, so a repeat may have another result.
    if answer.events.is_empty() && !answer.replayed {
        return;
    }
    let key = format!("{}/{}", errand.caller.actor, errand.key);
    let first = *lock(&answers.0).entry(key).or_insert((answer.stream, answer.version));
    if first != (answer.stream, answer.version) {
        sim.fail("L2", format!("key {} was answered with {first:?}, and now with {:?}", errand.key, answer.stream));
    }
}
