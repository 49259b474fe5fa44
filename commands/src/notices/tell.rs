//! Sends one notice, and records what became of it.

use std::time::Duration;

use jangbu_aggregates::commands::RecordNotice;
use jangbu_aggregates::notice::{Locale, NoticeAbout, NoticeOutcome, NoticeState, Recipient};
use jangbu_aggregates::user::User;
use jangbu_kernel::channel::{Channel, Delivery, Message, Reaches};
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::VaultError;
use jangbu_kernel::{CommandId, NoticeId, RecordedEvent, Sealed, SealedAt, StreamId, UserId, Version};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::concern::Concern;
use super::table::{self, Notice};
use super::{Deps, words};
use crate::process::submit::{Submitted, submit_to};
use crate::reader::load_state;
use crate::request::{Caller, Request};
use crate::sealing::{user_email, user_name, user_phone};

/// The longest time that a channel may take for a message, whatever its own limit is.
const PATIENCE: Duration = Duration::from_secs(10);
/// The reason for a message that took longer. Storage format.
const TIMED_OUT: &str = "timed_out";
/// The reason for a notice whose recipient cannot be told any more. Storage format.
const NO_RECIPIENT: &str = "no_recipient";

/// Why telling stops before it is done.
pub(super) enum Halt {
    /// The program is stopping.
    Stopped,
    /// Something of the log or of the keys cannot be read.
    Unread(LogError),
}

impl From<LogError> for Halt {
    fn from(error: LogError) -> Self {
        Self::Unread(error)
    }
}

/// To whom a message goes.
struct Addressee {
    address: String,
    /// The name; none for the shop, and where it cannot be opened.
    name: Option<String>,
    locale: Locale,
}

/// The id of a notice: the same for the same fact, kind and channel.
pub(super) fn notice_id(fact: &RecordedEvent, notice: &Notice, channel: &str) -> NoticeId {
    NoticeId::new(Uuid::new_v5(&fact.event_id.uuid(), format!("{}/{channel}", notice.name).as_bytes()))
}

/// Tells a fact to everybody who is to be told and was not: a notice that has a stream was tried
/// before, and is tried again by its own time.
pub(super) async fn fact(deps: &Deps, stop: &CancellationToken, fact: &RecordedEvent) -> Result<(), Halt> {
    let log = deps.commands.log().as_ref();
    let mut wanted: Vec<(NoticeId, &Notice, &dyn Channel)> = Vec::new();
    for notice in table::of_fact(&fact.event_type) {
        let channels = deps.options.channels.iter().map(AsRef::as_ref);
        wanted.extend(channels.map(|channel| (notice_id(fact, notice, channel.name()), notice, channel)));
    }
    let versions = log.versions(wanted.iter().map(|(id, ..)| StreamId::notice(*id)).collect()).await?;
    let mut versions = versions.into_iter();
    wanted.retain(|_| versions.next().is_none_or(|version| version == Version::ZERO));
    if wanted.is_empty() {
        return Ok(());
    }
    let concern = Concern::of(log, fact).await?;
    for (id, notice, channel) in wanted {
        // Nobody is told where there is nobody to tell, or where the buyer does not want it.
        let Some(addressee) = addressee(deps, notice, channel, &concern).await? else { continue };
        let outcome = send(deps, id, notice, channel, &concern, addressee).await;
        record(
            deps,
            stop,
            fact,
            RecordNotice { notice_id: id, about: about(notice, channel, &concern), attempt: 1, outcome },
        )
        .await?;
    }
    Ok(())
}

/// Tries a notice again that was not delivered, if it still waits for that.
pub(super) async fn again(deps: &Deps, stop: &CancellationToken, id: NoticeId) -> Result<(), Halt> {
    let log = deps.commands.log().as_ref();
    let (told, _) = load_state::<jangbu_aggregates::notice::Notice>(log, id).await?;
    let is_due = told.retry_at().is_some_and(|at| at <= deps.world.clock.now());
    let (Some(about), true) = (told.about(), is_due && told.state() == Some(NoticeState::Waiting)) else {
        return Ok(());
    };
    let facts = log.read_stream(about.stream, about.version, about.version, 1).await?;
    let fact = facts.first().ok_or_else(|| LogError::Damaged(format!("{} has no {}", about.stream, about.version)))?;
    let channel = deps.options.channels.iter().find(|channel| channel.name() == about.channel);
    let outcome = match (table::named(&about.name), channel) {
        (Some(notice), Some(channel)) => {
            let concern = Concern::of(log, fact).await?;
            match addressee(deps, notice, channel.as_ref(), &concern).await? {
                Some(addressee) => send(deps, id, notice, channel.as_ref(), &concern, addressee).await,
                None => lost(NO_RECIPIENT),
            }
        }
        // The channel is not configured any more, or another version of the program had the notice.
        (Some(_) | None, _) => lost("no_channel"),
    };
    let attempt = told.attempts().saturating_add(1);
    record(deps, stop, fact, RecordNotice { notice_id: id, about: about.clone(), attempt, outcome }).await
}

fn lost(reason: &str) -> NoticeOutcome {
    NoticeOutcome::Failed { reason: reason.to_owned(), for_good: true }
}

fn about(notice: &Notice, channel: &dyn Channel, concern: &Concern) -> NoticeAbout {
    NoticeAbout {
        name: notice.name.to_owned(),
        to: notice.to,
        channel: channel.name().to_owned(),
        stream: concern.stream,
        version: concern.version,
        user_id: concern.user_id,
        order_id: concern.order_id,
    }
}

/// To whom a notice goes by a channel; none if there is nobody who can be told, or wants to be.
async fn addressee(
    deps: &Deps,
    notice: &Notice,
    channel: &dyn Channel,
    concern: &Concern,
) -> Result<Option<Addressee>, LogError> {
    let locale = deps.options.locale;
    let user_id = match notice.to {
        Recipient::Shop => {
            let address = deps.options.shop_email.clone().filter(|_| channel.reaches() == Reaches::Email);
            return Ok(address.map(|address| Addressee { address, name: None, locale }));
        }
        Recipient::Buyer => concern.user_id,
    };
    let Some(user_id) = user_id else { return Ok(None) };
    let (user, _) = load_state::<User>(deps.commands.log().as_ref(), user_id).await?;
    let is_muted = notice.topic.is_some_and(|topic| user.muted().any(|muted| muted == topic));
    let Some(contact) = user.contact_details().filter(|_| !is_muted) else { return Ok(None) };
    let address = match channel.reaches() {
        Reaches::Email => open(deps, user_id, user_email(user_id), Some(&contact.email)).await?,
        Reaches::Phone => open(deps, user_id, user_phone(user_id), contact.phone.as_ref()).await?,
    };
    let Some(address) = address else { return Ok(None) };
    let name = open(deps, user_id, user_name(user_id), Some(&contact.name)).await?;
    Ok(Some(Addressee { address, name, locale: user.locale().unwrap_or(locale) }))
}

/// Opens a field of a user; none if there is none, or if it can never be opened again.
async fn open(
    deps: &Deps,
    user_id: UserId,
    at: SealedAt<'_>,
    sealed: Option<&Sealed>,
) -> Result<Option<String>, LogError> {
    let Some(sealed) = sealed else { return Ok(None) };
    match deps.world.vault.open(at, sealed).await {
        Ok(plain) => Ok(Some(plain)),
        Err(VaultError::KeyDestroyed) => Ok(None),
        Err(error @ (VaultError::NoKey | VaultError::DoesNotOpen)) => {
            tracing::warn!(%user_id, place = at.field, %error, "an address cannot be opened, its owner is not told");
            Ok(None)
        }
        Err(VaultError::Store(error)) => Err(error),
    }
}

async fn send(
    deps: &Deps,
    key: NoticeId,
    notice: &Notice,
    channel: &dyn Channel,
    concern: &Concern,
    addressee: Addressee,
) -> NoticeOutcome {
    let Addressee { address, name, locale } = addressee;
    let mut values = concern.values.clone();
    let nameless = match locale {
        Locale::Ko => "고객",
        Locale::En => "customer",
    };
    values.insert("buyer".to_owned(), name.unwrap_or_else(|| nameless.to_owned()).into());
    values.insert("shop".to_owned(), deps.options.shop_name.clone().into());
    let words::Written { subject, text } = words::write(notice.template(locale), &values, locale);
    let message = Message { key, template: notice.name, to: address, subject, text };
    let delivery = tokio::time::timeout(PATIENCE, channel.send(message)).await;
    let failed = |reason: String, for_good| NoticeOutcome::Failed { reason, for_good };
    let (outcome, word) = match delivery {
        Ok(Delivery::Accepted) => (NoticeOutcome::Sent, "sent"),
        Ok(Delivery::Rejected(reason)) => (failed(reason, true), "rejected"),
        Ok(Delivery::Failed(reason)) => (failed(reason, false), "failed"),
        Err(_) => (failed(TIMED_OUT.to_owned(), false), "failed"),
    };
    metrics::counter!("jangbu_notices_total", "channel" => channel.name(), "outcome" => word).increment(1);
    outcome
}

async fn record(
    deps: &Deps,
    stop: &CancellationToken,
    fact: &RecordedEvent,
    command: RecordNotice,
) -> Result<(), Halt> {
    let id = command.notice_id;
    if let NoticeOutcome::Failed { reason, .. } = &command.outcome {
        let (notice, attempt) = (command.about.name.as_str(), command.attempt);
        tracing::warn!(notice_id = %id, notice, attempt, reason, "notice {notice} was not delivered: {reason}");
    }
    // The attempt identifies the command, so a repeat after a commit of unknown outcome changes nothing.
    let command_id = CommandId::new(Uuid::new_v5(&id.uuid(), &command.attempt.to_be_bytes()));
    let mut request = Request::new(command, Caller::notices(), command_id, fact.meta.correlation_id);
    request.causation_id = Some(fact.event_id.uuid());
    match submit_to(&deps.commands, &deps.reading, stop, request).await {
        Submitted::Done => Ok(()),
        Submitted::Stopped => Err(Halt::Stopped),
        Submitted::Unreadable(unreadable) => Err(LogError::Damaged(unreadable.reason).into()),
        Submitted::Refused(refusal) => {
            tracing::error!(notice_id = %id, code = refusal.code.code(), "what became of a notice was not recorded");
            Ok(())
        }
    }
}
