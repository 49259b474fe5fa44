//! Takes the views over: determines where each of them is, and whether it fits the log.

use jangbu_kernel::Position;
use jangbu_kernel::log::EventLog;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::ProjectorError;
use super::follow::{Follower, Live};
use crate::engine::Step;
use crate::engine::meta::{Building, Proof, Record};
use crate::registry::VIEWS;
use crate::view::ViewSpec;

/// Why a view is thrown away and built anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Misfit {
    #[error("another version of the program folded it")]
    Version,
    #[error("nothing says which log it was folded from")]
    Unproven,
    #[error("it was folded from another log")]
    OtherLog,
    #[error("it is ahead of the log, which ends at position {0}")]
    Ahead(Position),
    #[error("the log holds another event where it ends")]
    OtherHistory,
}

impl Follower {
    /// Takes the views over. If stored data cannot be read, everything is thrown away.
    pub async fn own_whatever_is_there(&mut self) -> Result<(), ProjectorError> {
        match self.own().await {
            Err(error) if error.is_damage() => {
                tracing::warn!(%error, "the read models cannot be read: they are thrown away and built anew from the log");
                self.engine().begin_anew(self.epoch).await?;
                self.own().await
            }
            other => other,
        }
    }

    async fn own(&mut self) -> Result<(), ProjectorError> {
        self.epoch = self.engine().acquire().await?;
        self.take_stock().await
    }

    /// A transaction that failed may have been committed all the same, or may still be committed.
    /// Taking a new epoch waits for it and fences it; after that the checkpoints say how far the
    /// rows are. No page may be folded in twice.
    pub async fn settle_doubt(&mut self) -> Result<(), ProjectorError> {
        self.epoch = self.engine().acquire_after(self.epoch).await?;
        self.take_stock().await
    }

    /// Throws everything away and starts at the log's beginning.
    pub async fn begin_anew(
        &mut self,
        reply: oneshot::Sender<Result<(), ProjectorError>>,
    ) -> Result<(), ProjectorError> {
        tracing::warn!("the read models are thrown away and built anew from the log, as somebody asked");
        self.place_lost = true;
        let begun = match self.engine().begin_anew(self.epoch).await {
            Ok(()) => self.own().await,
            Err(error) => Err(error.into()),
        };
        let lost = matches!(begun, Err(ProjectorError::Stopped));
        // The caller may be gone.
        let _ = reply.send(begun);
        if lost { Err(ProjectorError::Stopped) } else { Ok(()) }
    }

    /// Determines where every view is, with none of its rows in memory.
    async fn take_stock(&mut self) -> Result<(), ProjectorError> {
        let engine = self.engine().clone();
        self.ahead = None;
        self.log_id = self.log.identity().await.map_err(ProjectorError::Log)?;
        let head = self.log.head().await.map_err(ProjectorError::Log)?;
        for record in engine.records().await? {
            let Some(entry) = VIEWS.iter().find(|view| view.spec.name == record.name) else { continue };
            if let Some(misfit) = misfit(self.log.as_ref(), self.log_id, &record, entry.spec, head).await? {
                tracing::warn!(
                    view = record.name, position = record.position.get(), head = head.get(), reason = %misfit,
                    "the read model {} does not fit the log ({misfit}): it is thrown away and built anew", record.name
                );
                engine.reset(self.epoch, entry.spec, record.generation.saturating_add(1)).await?;
            }
        }
        let mut notes = Vec::new();
        for record in engine.records().await? {
            let building = if record.position == Position::ZERO && head > Position::ZERO {
                Building::Anew
            } else {
                record.building
            };
            let now = match building {
                Building::Anew if record.position < head => Building::Anew,
                // A shadow that nobody builds any more, or a view that is complete.
                Building::Anew | Building::Beside | Building::Nothing => Building::Nothing,
            };
            if now != record.building {
                notes.push(Step::Run(engine.mark_building(&record.name, record.building, now)));
            }
        }
        engine.transaction(Some(self.epoch), notes).await?;
        self.whole_from = head;
        self.find_place().await?;
        self.renewed = tokio::time::Instant::now();
        self.epoch_seen.send_replace(self.epoch);
        self.publish();
        engine.health().set_unchecked(false);
        Ok(())
    }

    /// Starts anew from where the tables are. After a failure only they are certain: a commit whose
    /// answer was lost has moved rows and checkpoints. Folding its page again would find every row
    /// ahead of its events and park their streams.
    async fn find_place(&mut self) -> Result<(), ProjectorError> {
        let engine = self.engine();
        let (records, parked) = (engine.records().await?, engine.parked().await?);
        self.views = VIEWS
            .iter()
            .map(|entry| {
                let name = entry.spec.name;
                let record = records.iter().find(|record| record.name == name);
                let position = record.map_or(Position::ZERO, |record| record.position);
                let anew = record.is_some_and(|record| record.building == Building::Anew);
                let mut view = (entry.open)(name.to_owned());
                view.parked().extend(parked.iter().filter(|parked| parked.view == name).map(|parked| parked.stream));
                Live { view, position, anew }
            })
            .collect();
        self.place_lost = false;
        Ok(())
    }
}

/// Why a view does not fit the log, if it does not.
async fn misfit(
    log: &dyn EventLog,
    log_id: Uuid,
    record: &Record,
    spec: &ViewSpec,
    head: Position,
) -> Result<Option<Misfit>, ProjectorError> {
    if record.version != i64::from(spec.version) {
        return Ok(Some(Misfit::Version));
    }
    if record.position == Position::ZERO {
        return Ok(None);
    }
    if record.log.is_empty() {
        return Ok(Some(Misfit::Unproven));
    }
    let hash = log.hash_at(record.position).await.map_err(ProjectorError::Log)?;
    let there = Proof { log: log_id, hash };
    Ok(if record.log != there.log_text() {
        Some(Misfit::OtherLog)
    } else if record.position > head {
        Some(Misfit::Ahead(head))
    } else if record.hash != there.hash_text() {
        Some(Misfit::OtherHistory)
    } else {
        None
    })
}
