//! Carries one issued command out by talking to gateway or carrier. One that was issued before
//! the decider took processes along is decided first.
//!
//! Every outside call has the same shape: the intent is in the log; what is to be asked is told
//! with it, or read back; skip the question when its answer is on record already, ask once,
//! record the answer. A lost answer is an answer. Asking again is not done here: the fulfilment's
//! timers do it, so that each try is a fact.

use std::sync::Arc;

use jangbu_aggregates::AnyCommand;
use jangbu_aggregates::commands::{AdvanceFulfilment, CancelShipment, ObserveLabel, ObservePayment, ObserveRefund};
use jangbu_aggregates::payment::{Instrument, Leg, Payment, RefundState, Source};
use jangbu_aggregates::processes::{FulfilmentInput, ProcessCommand, Task, Way, task};
use jangbu_aggregates::shipment::{Shipment, ShipmentState};
use jangbu_kernel::gateway::{
    Carrier, ChargeOutcome, ChargeRequest, Details, LabelCancelOutcome, LabelOutcome, LabelRequest, PaymentGateway,
    RefundOutcome, RefundRequest,
};
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::{PostalAddress, VaultError};
use jangbu_kernel::{
    CommandId, OrderId, PaymentId, RefundId, Refusal, RefusalCode, Sealed, SealedAt, ShipmentId, StreamId, UserId,
    never,
};

use super::payment::PaymentHistory;
use super::submit::{Backoff, Cause, Submitted, Unreadable, keyed, submit};
use super::told::{Charge, Parcel, Told};
use super::{Shared, parked};
use crate::reader::load_state;
use crate::sealing;

/// The reason code of a charge or label whose sealed data can never be opened again.
const DATA_UNREADABLE: &str = "personal_data_unreadable";

/// A command that a fulfilment issued.
#[derive(Debug)]
pub(super) struct Issued {
    /// Where in the log it was issued.
    pub position: u64,
    pub order_id: OrderId,
    pub command_id: CommandId,
    pub command: ProcessCommand,
    /// What of it can be decided was decided where it was issued.
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

/// Carries a command out. False when the program is stopping before it is finished.
pub(super) async fn carry_out(shared: &Shared, issued: Issued) -> bool {
    let work = Work { shared, issued };
    let Task { name, way, .. } = task(work.issued.order_id, &work.issued.command);
    let result = work.do_it(way).await;
    let (outcome, finished) = match result {
        Ok(()) => ("done", true),
        Err(Halt::Stopped) => ("stopped", false),
        Err(Halt::Refused(refusal)) => ("refused", work.report(refusal.code).await),
        Err(Halt::Unreadable(found)) => ("unreadable", work.cannot_be_read(found).await),
    };
    metrics::counter!("jangbu_process_commands_total", "command" => name, "outcome" => outcome).increment(1);
    shared.known.waiters.wake(work.issued.order_id);
    finished
}

struct Work<'a> {
    shared: &'a Shared,
    issued: Issued,
}

impl Work<'_> {
    async fn do_it(&self, way: Way) -> Step<()> {
        if let Some(command) = way.decided_at_once().filter(|_| !self.issued.is_decided) {
            self.submit(command.clone()).await?;
        }
        match way {
            Way::Plain(_) => Ok(()),
            Way::Outside { .. } => self.talk().await,
        }
    }

    async fn talk(&self) -> Step<()> {
        match &self.issued.command {
            ProcessCommand::CapturePayment { payment_id } => self.capture(*payment_id).await,
            ProcessCommand::ConfirmCharge { payment_id } => self.confirm(*payment_id).await,
            ProcessCommand::InquirePayment { payment_id, .. } => self.inquire(*payment_id).await,
            ProcessCommand::NetCancelPayment { payment_id, .. } => self.net_cancel(*payment_id).await,
            ProcessCommand::BookCarrier { shipment_id, attempt } => self.book(*shipment_id, *attempt).await,
            ProcessCommand::CancelShipment { shipment_id, reason } => self.call_off(*shipment_id, reason).await,
            ProcessCommand::SettleRefund { payment_id, refund_id, .. } => self.refund(*payment_id, *refund_id).await,
            ProcessCommand::ConfirmOrder { .. }
            | ProcessCommand::RecordPaymentFailure { .. }
            | ProcessCommand::ExpireOrder
            | ProcessCommand::RequestShipment { .. }
            | ProcessCommand::RequestRefund { .. }
            | ProcessCommand::CancelOrder { .. }
            | ProcessCommand::FinishCancellation
            | ProcessCommand::FailOrder { .. }
            | ProcessCommand::RecordLatePayment { .. }
            | ProcessCommand::MarkDelivered
            | ProcessCommand::CompleteOrder
            | ProcessCommand::HoldOrder { .. } => Ok(()),
        }
    }

    /// Takes the money. The id of the stored intent is the gateway's idempotency key, so
    /// that asking twice, after a crash in between, charges once.
    async fn capture(&self, payment_id: PaymentId) -> Step<()> {
        let charge = match &self.issued.told {
            Some(Told::Charge(charge)) => Some(charge.clone()),
            Some(Told::Parcel(_)) | None => self.charge_of(&self.payment(payment_id).await?),
        };
        let Some(Charge { key, gateway, buyer, leg }) = charge else { return Ok(()) };
        let Some(details) = self.details(payment_id, &leg).await? else {
            // The gateway was not asked and never can be: nothing is charged.
            let observation = ChargeOutcome::Declined { code: DATA_UNREADABLE.to_owned() };
            return self.observe(payment_id, observation, Source::Shop).await;
        };
        let (idempotency_key, order_id, amount) = (key, self.issued.order_id, leg.amount);
        let method = leg.method.name();
        let request = ChargeRequest { idempotency_key, order_id, payment_id, amount, method, details };
        let gateway = self.shared.deps.gateways.holding(&gateway);
        let outcome = self.outside(buyer, gateway.charge(request)).await?;
        self.observe(payment_id, outcome, Source::Answer).await
    }

    /// What a leg's method needs to know; none when it can never be read again.
    async fn details(&self, payment_id: PaymentId, leg: &Leg) -> Step<Option<Details>> {
        let Some(Instrument { sealed, member }) = &leg.instrument else { return Ok(Some(Details::default())) };
        let Some(member) = member else {
            let opened = self.open(sealing::instrument(payment_id), sealed).await?;
            return Ok(opened.and_then(|json| Details::from_json(&json).ok()));
        };
        let field = format!("payment.{member}");
        let opened = self.open(SealedAt { field: &field, stream: StreamId::payment(payment_id) }, sealed).await?;
        Ok(opened.map(|value| Details::from_iter([(member.clone(), value)])))
    }

    /// The charge that a payment still has to ask for.
    fn charge_of(&self, payment: &PaymentHistory) -> Option<Charge> {
        let (key, (_, leg)) = (payment.charge_key()?, payment.state.charge_leg()?);
        let (gateway, buyer) = (payment.state.gateway()?.to_owned(), payment.state.user_id());
        payment.state.needs_charge().then(|| Charge { key, gateway, buyer, leg: leg.clone() })
    }

    /// Finishes a charge whose challenge the buyer has met.
    async fn confirm(&self, payment_id: PaymentId) -> Step<()> {
        let payment = self.payment(payment_id).await?;
        let (true, Some(reference)) = (payment.state.needs_confirm(), payment.state.gateway_reference()) else {
            return Ok(());
        };
        let outcome = self.outside(payment.state.user_id(), self.gateway(&payment.state).confirm(reference)).await?;
        self.observe(payment_id, outcome, Source::Answer).await
    }

    /// Asks what became of a charge.
    async fn inquire(&self, payment_id: PaymentId) -> Step<()> {
        let payment = self.payment(payment_id).await?;
        let (true, Some(key)) = (payment.state.needs_inquiry(), payment.charge_key()) else { return Ok(()) };
        let outcome = self.outside(payment.state.user_id(), self.gateway(&payment.state).inquire(key)).await?;
        self.observe(payment_id, outcome, Source::Inquiry).await
    }

    /// Voids whatever happened under a charge's key.
    async fn net_cancel(&self, payment_id: PaymentId) -> Step<()> {
        let payment = self.payment(payment_id).await?;
        let (true, Some(key)) = (payment.state.needs_net_cancel(), payment.charge_key()) else { return Ok(()) };
        let outcome = self.outside(payment.state.user_id(), self.gateway(&payment.state).net_cancel(key)).await?;
        self.observe(payment_id, outcome, Source::Answer).await
    }

    async fn observe(&self, payment_id: PaymentId, observation: ChargeOutcome, source: Source) -> Step<()> {
        self.note(ObservePayment { payment_id, observation, source }).await
    }

    /// Gives money back: the gateway's part by the gateway, the rest in our own books.
    async fn refund(&self, payment_id: PaymentId, refund_id: RefundId) -> Step<()> {
        let payment = self.payment(payment_id).await?;
        let Some(refund) = payment.state.refund(refund_id) else {
            return Err(Halt::Refused(Refusal::new(RefusalCode::NotFound, "no such refund")));
        };
        if refund.state != RefundState::Requested {
            return Ok(());
        }
        let Some(part) = payment.state.gateway_part(refund_id) else {
            let observation = RefundOutcome::Settled { reference: String::new() };
            let command = ObserveRefund { payment_id, refund_id, observation, source: Source::Shop };
            return self.note(command).await;
        };
        let (Some(idempotency_key), Some(reference)) =
            (payment.refund_key(refund_id), payment.state.gateway_reference().map(str::to_owned))
        else {
            let detail = "the gateway never gave the charge an id";
            return Err(Halt::Refused(Refusal::new(RefusalCode::PaymentStateConflict, detail)));
        };
        let request = RefundRequest { idempotency_key, reference, amount: part.amount };
        let observation = self.outside(payment.state.user_id(), self.gateway(&payment.state).refund(request)).await?;
        self.note(ObserveRefund { payment_id, refund_id, observation, source: Source::Answer }).await
    }

    /// Asks the carrier for a label.
    async fn book(&self, shipment_id: ShipmentId, attempt: u32) -> Step<()> {
        let parcel = match &self.issued.told {
            Some(Told::Parcel(parcel)) => Some(parcel.clone()),
            Some(Told::Charge(_)) | None => parcel_of(&self.shipment(shipment_id).await?, attempt),
        };
        let Some(Parcel { carrier, buyer, address }) = parcel else { return Ok(()) };
        let carrier = self.shared.deps.carriers.holding(&carrier);
        let opened = self.open(sealing::shipping_address(self.issued.order_id), &address).await?;
        let observation = match opened.and_then(|json| serde_json::from_str::<PostalAddress>(&json).ok()) {
            Some(address) => {
                let request = LabelRequest { shipment_id, order_id: self.issued.order_id, address };
                self.outside(buyer, carrier.request_label(request)).await?
            }
            None => LabelOutcome::Refused { code: DATA_UNREADABLE.to_owned() },
        };
        let carrier = carrier.name().to_owned();
        self.note(ObserveLabel { shipment_id, carrier, observation }).await
    }

    /// Calls the label off, then the shipment.
    async fn call_off(&self, shipment_id: ShipmentId, reason: &str) -> Step<()> {
        let shipment = self.shipment(shipment_id).await?;
        if shipment.state() == ShipmentState::Cancelled {
            return Ok(());
        }
        match self.outside(shipment.user_id(), self.carrier(&shipment).cancel_label(shipment_id)).await? {
            LabelCancelOutcome::Cancelled => {
                self.submit(CancelShipment { shipment_id, reason: reason.to_owned() }).await
            }
            LabelCancelOutcome::AlreadyDispatched => {
                let detail = "the carrier has the parcel already";
                Err(Halt::Refused(Refusal::new(RefusalCode::OrderAlreadyDispatched, detail)))
            }
            LabelCancelOutcome::Unknown { .. } => Ok(()),
        }
    }

    /// Tells the fulfilment that its command did nothing. False when the program is stopping.
    async fn report(&self, code: RefusalCode) -> bool {
        let (order_id, command_id) = (self.issued.order_id, self.issued.command_id);
        let input = FulfilmentInput::CommandRefused { command_id, code: code.code().to_owned() };
        match self.note(AdvanceFulfilment { order_id, input }).await {
            Ok(()) => true,
            Err(Halt::Stopped) => false,
            Err(Halt::Unreadable(Unreadable { stream, reason })) => {
                parked::park(self.shared, order_id, stream, reason).await
            }
            Err(Halt::Refused(refusal)) => {
                let code = refusal.code.code();
                tracing::error!(%order_id, code, "a fulfilment would not hear that its command was refused");
                true
            }
        }
    }

    /// Leaves it to a person: the fulfilment parks, and goes on when somebody says so. False
    /// when the program is stopping.
    async fn cannot_be_read(&self, Unreadable { stream, reason }: Unreadable) -> bool {
        let order_id = self.issued.order_id;
        tracing::error!(%order_id, %stream, reason, "a command of the process manager cannot be carried out: {stream} cannot be read");
        self.report(RefusalCode::StreamUnreadable).await
    }

    /// Has the issued command carried out, so that carrying it out twice is carrying it out
    /// once. Its receipt's key begins with its position: keys that grow stand beside each
    /// other in the table, ids anywhere, a page each.
    async fn submit(&self, command: impl Into<AnyCommand>) -> Step<()> {
        let Issued { position, command_id, cause, .. } = &self.issued;
        let key = format!("{position:016x}/{command_id}");
        ended(submit(self.shared, keyed(command, *command_id, key, cause)).await)
    }

    /// Has something that was learned recorded: under a fresh id, each is a fact of its
    /// own. It leaves a receipt, so that a repeat after a commit whose outcome was unknown
    /// does not record it a second time, as ignored.
    async fn note(&self, command: impl Into<AnyCommand>) -> Step<()> {
        let command_id = CommandId::new(self.shared.deps.world.ids.new_id());
        ended(submit(self.shared, keyed(command, command_id, command_id.to_string(), &self.issued.cause)).await)
    }

    /// The gateway that was asked for a payment's charge.
    fn gateway(&self, payment: &Payment) -> Arc<dyn PaymentGateway> {
        let gateway = payment.gateway().unwrap_or_else(|| never("a charge without a gateway", ""));
        self.shared.deps.gateways.holding(gateway)
    }

    /// The carrier that a parcel was given to.
    fn carrier(&self, shipment: &Shipment) -> Arc<dyn Carrier> {
        let carrier = shipment.asked_carrier().unwrap_or_else(|| never("a parcel without a carrier", ""));
        self.shared.deps.carriers.holding(carrier)
    }

    /// Makes a call to the outside world as soon as there is a place for it among those of
    /// its buyer.
    async fn outside<T>(&self, buyer: Option<UserId>, call: impl Future<Output = T>) -> Step<T> {
        let _place = tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => return Err(Halt::Stopped),
            place = self.shared.outside.take(buyer) => place.ok_or(Halt::Stopped)?,
        };
        Ok(call.await)
    }

    async fn payment(&self, payment_id: PaymentId) -> Step<PaymentHistory> {
        let stream = StreamId::payment(payment_id);
        let mut backoff = Backoff::new(&self.shared.deps.options);
        loop {
            let read = self.shared.deps.commands.history(stream, None).await;
            match read.and_then(|events| PaymentHistory::fold(&events)) {
                Ok(payment) => return Ok(payment),
                Err(error) => self.read_again(stream, error, &mut backoff).await?,
            }
        }
    }

    async fn shipment(&self, shipment_id: ShipmentId) -> Step<Shipment> {
        let mut backoff = Backoff::new(&self.shared.deps.options);
        loop {
            match load_state::<Shipment>(self.shared.deps.commands.log().as_ref(), shipment_id).await {
                Ok((shipment, _)) => return Ok(shipment),
                Err(error) => self.read_again(StreamId::shipment(shipment_id), error, &mut backoff).await?,
            }
        }
    }

    /// Waits before reading a stream again, when that may help.
    async fn read_again(&self, stream: StreamId, error: LogError, backoff: &mut Backoff) -> Step<()> {
        match error {
            LogError::Damaged(reason) => Err(Halt::Unreadable(Unreadable { stream, reason })),
            error @ (LogError::Unavailable(..) | LogError::ReadOnly(_) | LogError::OutcomeUnknown(_)) => {
                tracing::warn!(%error, "the log cannot be read for now");
                if backoff.wait(&self.shared.stop).await { Ok(()) } else { Err(Halt::Stopped) }
            }
        }
    }

    /// Opens a sealed text; none when it can never be opened again.
    async fn open(&self, at: SealedAt<'_>, sealed: &Sealed) -> Step<Option<String>> {
        let mut backoff = Backoff::new(&self.shared.deps.options);
        loop {
            match self.shared.deps.world.vault.open(at, sealed).await {
                Ok(plain) => return Ok(Some(plain)),
                Err(error @ (VaultError::KeyDestroyed | VaultError::NoKey | VaultError::DoesNotOpen)) => {
                    tracing::warn!(order_id = %self.issued.order_id, place = at.field, %error, "sealed data cannot be opened");
                    return Ok(None);
                }
                Err(VaultError::Store(error)) => tracing::warn!(%error, "the keys cannot be read for now"),
            }
            if !backoff.wait(&self.shared.stop).await {
                return Err(Halt::Stopped);
            }
        }
    }
}

/// The parcel that a shipment still has to ask for, at this attempt.
fn parcel_of(shipment: &Shipment, attempt: u32) -> Option<Parcel> {
    let (carrier, address) = (shipment.asked_carrier()?.to_owned(), shipment.shipping_address()?.clone());
    shipment.needs_label(attempt).then(|| Parcel { carrier, buyer: shipment.user_id(), address })
}

fn ended(submitted: Submitted) -> Step<()> {
    match submitted {
        Submitted::Done => Ok(()),
        Submitted::Refused(refusal) => Err(Halt::Refused(refusal)),
        Submitted::Unreadable(found) => Err(Halt::Unreadable(found)),
        Submitted::Stopped => Err(Halt::Stopped),
    }
}
