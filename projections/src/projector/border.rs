//! What the projector does at a border: between two pages, while every view shows the same
//! position.

use jangbu_kernel::log::EventLog;
use jangbu_kernel::{Position, StreamId, Timestamp, Version};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::ProjectorError;
use super::follow::Follower;
use super::page::{PAGE, Page};
use crate::engine::meta::Parked;
use crate::engine::{Engine, EngineError, Frozen, Step, TableWrite};
use crate::runtime::AnyView;
use crate::view::ViewSpec;

/// A view under construction keeps this many times the hot rows of a live one, because a rebuild
/// folds events faster than they were recorded.
const REBUILD_TIMES: usize = 4;

/// The result of a redrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redriven {
    /// How many events of the stream were read, whether or not they could be folded in.
    pub events: u64,
    /// Where the stream is parked again, and why; none if the view follows it again.
    pub parked_again: Option<(Position, String)>,
}

/// Views under construction, all at one position.
pub(super) struct ShadowSet {
    pub views: Vec<Box<dyn AnyView>>,
    pub position: Position,
    pub parked: Vec<Parked>,
    /// Whether the tables have their secondary indexes.
    pub indexed: bool,
    /// Rows that are being written to the tables while the next pages are folded.
    writing: Option<JoinHandle<Result<(), EngineError>>>,
}

impl ShadowSet {
    pub fn new(views: Vec<Box<dyn AnyView>>) -> Self {
        Self { views, position: Position::ZERO, parked: Vec::new(), indexed: false, writing: None }
    }

    /// Folds a page in, and starts a write when enough rows have changed.
    pub async fn take(
        &mut self,
        engine: &Engine,
        page: &Page,
        now: Timestamp,
        epoch: i64,
        at_least: usize,
    ) -> Result<(), EngineError> {
        for view in &mut self.views {
            let wanted = view.wanted(&page.facts);
            page.load_into(engine, view.as_mut(), wanted).await?;
            self.parked.extend(page.fold_into(view.as_mut(), now));
        }
        self.position = page.end;
        if self.views.iter().map(|view| view.changed()).sum::<usize>() >= at_least {
            self.begin_flush(engine, epoch).await
        } else {
            Ok(())
        }
    }

    /// Writes what has changed.
    pub async fn flush(&mut self, engine: &Engine, epoch: i64) -> Result<(), EngineError> {
        self.begin_flush(engine, epoch).await?;
        self.written().await
    }

    /// Starts to write what has changed. A failure is reported by the next flush; it loses nothing
    /// but the shadow, which fails as a whole. Rows that are being written stay in memory until
    /// they have arrived, so that no page waits for them.
    async fn begin_flush(&mut self, engine: &Engine, epoch: i64) -> Result<(), EngineError> {
        let changed = self.views.iter().filter(|view| view.changed() > 0);
        let writes: Vec<TableWrite> = changed.map(|view| view.writes(self.indexed)).collect::<Result<_, _>>()?;
        self.written().await?;
        for view in &mut self.views {
            view.trim(REBUILD_TIMES);
            view.written();
        }
        if !writes.is_empty() {
            let engine = engine.clone();
            self.writing = Some(tokio::spawn(async move {
                let at_once = engine.rows_at_once();
                for piece in writes.into_iter().flat_map(|write| write.pieces(at_once)) {
                    engine.transaction(Some(epoch), vec![Step::Write(piece)]).await?;
                }
                Ok(())
            }));
        }
        Ok(())
    }

    /// Waits until the rows are written.
    pub async fn written(&mut self) -> Result<(), EngineError> {
        match self.writing.take() {
            Some(writing) => writing.await.map_err(|error| EngineError::Unavailable(error.to_string()))?,
            None => Ok(()),
        }
    }

    pub fn specs(&self) -> Vec<&'static ViewSpec> {
        self.views.iter().map(|view| view.spec()).collect()
    }
}

/// What is done when a set under construction has reached the position of the live views.
pub(super) enum Purpose {
    Compare,
    Swap,
}

/// The result of it.
pub(super) enum Met {
    /// Both show the same position in this snapshot.
    Frozen(Frozen),
    Swapped,
}

/// A request to the loop. [`Control::BeginAnew`] is served at once, the others at a border.
pub(super) enum Control {
    Meet {
        set: ShadowSet,
        purpose: Purpose,
        reply: oneshot::Sender<Result<(ShadowSet, Met), ProjectorError>>,
    },
    Redrive {
        view: String,
        stream: StreamId,
        reply: oneshot::Sender<Result<Redriven, ProjectorError>>,
    },
    /// Throws everything away and builds it anew.
    BeginAnew {
        reply: oneshot::Sender<Result<(), ProjectorError>>,
    },
}

impl Control {
    /// The position that the views must have reached.
    pub fn needs(&self) -> Position {
        match self {
            Self::Meet { set, .. } => set.position,
            Self::Redrive { .. } | Self::BeginAnew { .. } => Position::ZERO,
        }
    }
}

impl Follower {
    /// Serves a request. An error means that the projector itself has lost the views.
    pub async fn serve(&mut self, control: Control, position: Position) -> Result<(), ProjectorError> {
        // A caller may be gone, so a reply that cannot be sent is ignored.
        match control {
            Control::Meet { set, purpose, reply } => {
                if reply.is_closed() {
                    return Ok(());
                }
                let met = self.meet(set, purpose, position).await;
                self.place_lost |= met.is_err();
                let lost = matches!(met, Err(ProjectorError::Stopped));
                let _ = reply.send(met);
                if lost { Err(ProjectorError::Stopped) } else { Ok(()) }
            }
            Control::Redrive { view, stream, reply } => {
                let redriven = self.redrive(&view, stream).await;
                let lost = matches!(redriven, Err(ProjectorError::Stopped));
                let _ = reply.send(redriven);
                if lost { Err(ProjectorError::Stopped) } else { Ok(()) }
            }
            Control::BeginAnew { reply } => self.begin_anew(reply).await,
        }
    }

    async fn meet(
        &mut self,
        mut set: ShadowSet,
        purpose: Purpose,
        position: Position,
    ) -> Result<(ShadowSet, Met), ProjectorError> {
        let engine = self.models.engine.clone();
        while set.position < position {
            let limit = usize::try_from(set.position.behind(position)).unwrap_or(PAGE).min(PAGE);
            let page = Page::read(self.log.as_ref(), set.position, limit).await?;
            if page.events == 0 {
                return Err(ProjectorError::Stopped);
            }
            set.take(&engine, &page, self.clock.now(), self.epoch, PAGE).await?;
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
                    live.anew = false;
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
        // The row that could not be read may have been repaired.
        live.view.forget();
        let outcome = redrive_into(&engine, log.as_ref(), live.view.as_mut(), &parked, live.position, now, epoch).await;
        self.place_lost |= outcome.is_err();
        outcome
    }
}

async fn redrive_into(
    engine: &Engine,
    log: &dyn EventLog,
    view: &mut dyn AnyView,
    parked: &Parked,
    position: Position,
    now: Timestamp,
    epoch: i64,
) -> Result<Redriven, ProjectorError> {
    let (mut version, mut count) = (parked.version, 0_u64);
    let mut again: Vec<Parked> = Vec::new();
    loop {
        let mut events =
            log.read_stream(parked.stream, version, Version::MAX, PAGE).await.map_err(ProjectorError::Log)?;
        // Events after the checkpoint come with the next pages.
        events.retain(|event| event.position <= position);
        let Some(last) = events.last() else { break };
        version = last.version.next();
        count = count.saturating_add(u64::try_from(events.len()).unwrap_or(0));
        let page = Page::decode(&events, position);
        let wanted = view.wanted(&page.facts);
        page.load_into(engine, view, wanted).await?;
        again.extend(page.fold_into(view, now));
    }
    let mut steps = Vec::new();
    if view.changed() > 0 {
        steps.push(Step::Write(view.writes(true)?));
    }
    steps.push(Step::Run(match again.first() {
        Some(parked) => engine.park(parked),
        None => engine.unpark(view.spec().name, parked.stream),
    }));
    engine.transaction(Some(epoch), steps).await?;
    view.written();
    view.trim(1);
    Ok(Redriven { events: count, parked_again: again.first().map(|parked| (parked.position, parked.reason.clone())) })
}
