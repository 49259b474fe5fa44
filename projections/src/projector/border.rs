//! What is done between two pages, while every view shows the same position.

use jangbu_kernel::log::{EventLog, ReadFilter};
use jangbu_kernel::{StreamId, Timestamp};
use tokio::sync::oneshot;

use super::ProjectorError;
use super::follow::Follower;
use super::page::{PAGE, Page};
use crate::engine::meta::Parked;
use crate::engine::{Engine, EngineError, Frozen, Step};
use crate::runtime::AnyView;
use crate::view::ViewSpec;

/// What became of a redrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redriven {
    /// How many events were folded in, or read again.
    pub events: u64,
    /// Where it is parked again, and why; none when the view follows the stream again.
    pub parked_again: Option<(u64, String)>,
}

/// Views under construction, all at one position.
pub(super) struct ShadowSet {
    pub views: Vec<Box<dyn AnyView>>,
    pub position: u64,
    pub parked: Vec<Parked>,
}

impl ShadowSet {
    /// Folds a page in and writes when enough rows have changed.
    pub async fn take(
        &mut self,
        engine: &Engine,
        page: &Page,
        now: Timestamp,
        epoch: i64,
        at_least: usize,
    ) -> Result<(), EngineError> {
        for view in &mut self.views {
            let parked = page.fold_into(engine, view.as_mut(), now).await?;
            self.parked.extend(parked);
        }
        self.position = page.end;
        if self.views.iter().map(|view| view.changed()).sum::<usize>() >= at_least {
            self.flush(engine, epoch).await
        } else {
            Ok(())
        }
    }

    /// Writes what has changed.
    pub async fn flush(&mut self, engine: &Engine, epoch: i64) -> Result<(), EngineError> {
        let changed = self.views.iter().filter(|view| view.changed() > 0);
        let steps: Vec<Step> = changed.map(|view| view.writes().map(Step::Write)).collect::<Result<_, _>>()?;
        if steps.is_empty() {
            return Ok(());
        }
        engine.transaction(Some(epoch), steps).await?;
        for view in &mut self.views {
            view.written();
        }
        Ok(())
    }

    pub fn specs(&self) -> Vec<&'static ViewSpec> {
        self.views.iter().map(|view| view.spec()).collect()
    }
}

/// Why a set under construction meets the live views.
pub(super) enum Purpose {
    Compare,
    Swap,
}

/// What came of it.
pub(super) enum Met {
    /// Both show the same position in this frozen moment.
    Frozen(Frozen),
    Swapped,
}

/// What the loop is asked to do at a border.
pub(super) enum Control {
    Meet { set: ShadowSet, purpose: Purpose, reply: oneshot::Sender<Result<(ShadowSet, Met), ProjectorError>> },
    Redrive { view: String, stream: StreamId, reply: oneshot::Sender<Result<Redriven, ProjectorError>> },
}

impl Control {
    /// The views must have come this far.
    pub fn needs(&self) -> u64 {
        match self {
            Self::Meet { set, .. } => set.position,
            Self::Redrive { .. } => 0,
        }
    }
}

impl Follower {
    /// Answers a request; an error is that of the projector itself having lost the views.
    pub async fn serve(&mut self, control: Control, position: u64) -> Result<(), ProjectorError> {
        // A caller that left does not want to know.
        match control {
            Control::Meet { set, purpose, reply } => {
                if reply.is_closed() {
                    return Ok(());
                }
                let met = self.meet(set, purpose, position).await;
                let lost = matches!(met, Err(ProjectorError::Stopped));
                self.in_doubt |= matches!(met, Err(ProjectorError::Models(_)));
                let _ = reply.send(met);
                if lost { Err(ProjectorError::Stopped) } else { Ok(()) }
            }
            Control::Redrive { view, stream, reply } => {
                let redriven = self.redrive(&view, stream).await;
                let lost = matches!(redriven, Err(ProjectorError::Stopped));
                self.in_doubt |= matches!(redriven, Err(ProjectorError::Models(_)));
                let _ = reply.send(redriven);
                if lost { Err(ProjectorError::Stopped) } else { Ok(()) }
            }
        }
    }

    async fn meet(
        &mut self,
        mut set: ShadowSet,
        purpose: Purpose,
        position: u64,
    ) -> Result<(ShadowSet, Met), ProjectorError> {
        let engine = self.models.engine.clone();
        while set.position < position {
            let limit = usize::try_from(position - set.position).unwrap_or(PAGE).min(PAGE);
            let (events, end) = read(self.log.as_ref(), set.position, limit).await?;
            if events.is_empty() {
                return Err(ProjectorError::Stopped);
            }
            set.take(&engine, &Page::decode(&events, end), self.clock.now(), self.epoch, PAGE).await?;
        }
        set.flush(&engine, self.epoch).await?;
        match purpose {
            Purpose::Compare => {
                let frozen = engine.freeze().await?;
                Ok((set, Met::Frozen(frozen)))
            }
            Purpose::Swap => {
                engine.swap(self.epoch, &set.specs(), &set.parked).await?;
                for live in &mut self.views {
                    let name = live.view.spec().name;
                    if !set.views.iter().any(|view| view.spec().name == name) {
                        continue;
                    }
                    live.view.forget();
                    live.view.parked().clear();
                    let parked = set.parked.iter().filter(|parked| parked.view == name);
                    live.view.parked().extend(parked.map(|parked| parked.stream));
                }
                Ok((set, Met::Swapped))
            }
        }
    }

    async fn redrive(&mut self, name: &str, stream: StreamId) -> Result<Redriven, ProjectorError> {
        let engine = self.models.engine.clone();
        let parked = engine.parked().await?.into_iter().find(|parked| parked.view == name && parked.stream == stream);
        let (log, now, epoch) = (std::sync::Arc::clone(&self.log), self.clock.now(), self.epoch);
        let live = self
            .views
            .iter_mut()
            .find(|live| live.view.spec().name == name)
            .ok_or_else(|| ProjectorError::UnknownView(name.to_owned()))?;
        let Some(parked) = parked else { return Err(ProjectorError::NotParked(name.to_owned(), stream)) };
        live.view.parked().remove(&stream);
        // Somebody may have mended the row that could not be read.
        live.view.forget();
        let outcome = redrive_into(&engine, log.as_ref(), live.view.as_mut(), &parked, live.position, now, epoch).await;
        if outcome.is_err() {
            live.view.forget();
            live.view.parked().insert(stream);
        }
        outcome
    }
}

async fn read(
    log: &dyn EventLog,
    after: u64,
    limit: usize,
) -> Result<(Vec<jangbu_kernel::RecordedEvent>, u64), ProjectorError> {
    log.read_all(after, limit, &ReadFilter::default()).await.map_err(ProjectorError::Log)
}

async fn redrive_into(
    engine: &Engine,
    log: &dyn EventLog,
    view: &mut dyn AnyView,
    parked: &Parked,
    position: u64,
    now: Timestamp,
    epoch: i64,
) -> Result<Redriven, ProjectorError> {
    let (mut version, mut count) = (parked.version, 0_u64);
    let mut again: Vec<Parked> = Vec::new();
    loop {
        let mut events = log.read_stream(parked.stream, version, u64::MAX, PAGE).await.map_err(ProjectorError::Log)?;
        // What lies behind the checkpoint comes with the next pages.
        events.retain(|event| event.position <= position);
        let Some(last) = events.last() else { break };
        version = last.version.saturating_add(1);
        count = count.saturating_add(u64::try_from(events.len()).unwrap_or(0));
        again.extend(Page::decode(&events, position).fold_into(engine, view, now).await?);
    }
    let mut steps = Vec::new();
    if view.changed() > 0 {
        steps.push(Step::Write(view.writes()?));
    }
    steps.push(Step::Run(match again.first() {
        Some(parked) => engine.park(parked),
        None => engine.unpark(view.spec().name, parked.stream),
    }));
    engine.transaction(Some(epoch), steps).await?;
    view.written();
    Ok(Redriven { events: count, parked_again: again.first().map(|parked| (parked.position, parked.reason.clone())) })
}
