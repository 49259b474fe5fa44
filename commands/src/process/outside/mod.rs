//! Carries out the calls that processes ask for: to gateways and carriers.
//!
//! Each call has a file of its own and a line in [`call`]. All have the same shape: the intent is
//! in the log already; what is to be asked was told with it, or is read; the question is skipped
//! when its answer is on record, otherwise asked once, and the answer is recorded. A lost answer
//! is an answer, too. A call is never repeated here: the timers of its process do that, so that
//! each attempt is a fact.
//!
//! A plain command comes here only when an earlier version issued it and did not decide it in the
//! same append.

mod book_label;
mod call_off;
mod charge;
mod confirm_charge;
mod inquire;
mod net_cancel;
mod refund;
mod work;

use jangbu_aggregates::processes::{OutsideCall, Process, Task, Way};
use jangbu_kernel::{CommandId, OrderId, Position, Refusal, StreamId};

use super::Shared;
use super::submit::{Cause, Submitted, Unreadable};
use super::told::Told;
use work::Work;

/// The reason code of a charge or label whose sealed data can never be opened again.
const DATA_UNREADABLE: &str = "personal_data_unreadable";

/// A command that an instance of a process issued.
pub(super) struct Issued {
    /// Where in the log it was issued.
    pub position: Position,
    pub process: &'static dyn Process,
    pub instance: StreamId,
    pub order_id: OrderId,
    pub command_id: CommandId,
    pub task: Task,
    /// Whether the part of it that aggregates decide was decided where it was issued.
    pub is_decided: bool,
    /// What was told with it.
    pub told: Option<Told>,
    pub cause: Cause,
}

/// Why a command does not go on.
enum Halt {
    /// The shop says no.
    Refused(Refusal),
    /// Something that it needs cannot be read.
    Unreadable(Unreadable),
    /// The program is stopping.
    Stopped,
}

type Step<T> = Result<T, Halt>;

/// Makes a call.
async fn call(work: &Work<'_>, call: &OutsideCall) -> Step<()> {
    match call {
        OutsideCall::Charge(payment_id) => charge::make(work, *payment_id).await,
        OutsideCall::ConfirmCharge(payment_id) => confirm_charge::make(work, *payment_id).await,
        OutsideCall::Inquire(payment_id) => inquire::make(work, *payment_id).await,
        OutsideCall::NetCancel(payment_id) => net_cancel::make(work, *payment_id).await,
        OutsideCall::Refund(payment_id, refund_id) => refund::make(work, *payment_id, *refund_id).await,
        OutsideCall::BookLabel(shipment_id, attempt) => book_label::make(work, *shipment_id, *attempt).await,
        OutsideCall::CallOff(shipment_id, reason) => call_off::make(work, *shipment_id, reason).await,
    }
}

/// Carries a command out. False when the program is stopping before it is finished.
pub(super) async fn carry_out(shared: &Shared, issued: Issued) -> bool {
    let work = Work { shared, issued: &issued };
    let (outcome, finished) = match carried_out(&work).await {
        Ok(()) => ("done", true),
        Err(Halt::Stopped) => ("stopped", false),
        Err(Halt::Refused(refusal)) => ("refused", work.report(refusal.code).await),
        Err(Halt::Unreadable(found)) => ("unreadable", work.cannot_be_read(found).await),
    };
    let name = issued.task.name;
    metrics::counter!("jangbu_process_commands_total", "command" => name, "outcome" => outcome).increment(1);
    shared.known.waiters.wake(issued.order_id);
    finished
}

async fn carried_out(work: &Work<'_>) -> Step<()> {
    let Issued { task, is_decided, .. } = work.issued;
    if let Some(command) = task.way.decided_at_once().filter(|_| !is_decided) {
        work.submit(command.clone()).await?;
    }
    match &task.way {
        Way::Plain(_) => Ok(()),
        Way::Outside { call: asked, .. } => call(work, asked).await,
    }
}

fn ended(submitted: Submitted) -> Step<()> {
    match submitted {
        Submitted::Done => Ok(()),
        Submitted::Refused(refusal) => Err(Halt::Refused(refusal)),
        Submitted::Unreadable(found) => Err(Halt::Unreadable(found)),
        Submitted::Stopped => Err(Halt::Stopped),
    }
}
