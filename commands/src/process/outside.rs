//! Carries one issued command out: plain ones through the decider, the others by
//! talking to gateway or carrier in between.
//!
//! Every outside call has the same shape: write the intent, read back what is to be
//! asked, skip the question when its answer is on record already, ask once, record the
//! answer. A lost answer is an answer. Asking again is not done here: the fulfilment's
//! timers do it, so that each try is a fact.

use jangbu_aggregates::commands::{
    AdvanceFulfilment, CancelOrder, CancelShipment, CompleteOrder, ConfirmOrder, ExpireOrder, FailOrder,
    FinishCancellation, HoldOrder, MarkDelivered, ObserveLabel, ObservePayment, ObserveRefund, RecordLatePayment,
    RecordPaymentFailure, RequestCapture, RequestFullRefund, RequestNetCancel, RequestShipment,
};
use std::sync::Arc;

use jangbu_aggregates::AnyCommand;
use jangbu_aggregates::order::CancelledBy;
use jangbu_aggregates::payment::{Instrument, Payment, RefundState, Source};
use jangbu_aggregates::processes::{FulfilmentInput, ProcessCommand};
use jangbu_aggregates::shipment::{Shipment, ShipmentState};
use jangbu_kernel::gateway::{
    Carrier, ChargeOutcome, ChargeRequest, LabelCancelOutcome, LabelOutcome, LabelRequest, PaymentGateway,
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
    let (name, result) = match work.plain() {
        Some(command) => (command.name(), work.submit(command).await),
        None => (work.outside_name(), work.talk().await),
    };
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
    /// The command to aggregates that this is; none when it talks to the world.
    fn plain(&self) -> Option<AnyCommand> {
        let order_id = self.issued.order_id;
        Some(match self.issued.command.clone() {
            ProcessCommand::CapturePayment { .. }
            | ProcessCommand::ConfirmCharge { .. }
            | ProcessCommand::InquirePayment { .. }
            | ProcessCommand::NetCancelPayment { .. }
            | ProcessCommand::BookCarrier { .. }
            | ProcessCommand::CancelShipment { .. }
            | ProcessCommand::SettleRefund { .. } => return None,
            ProcessCommand::ConfirmOrder { payment_id } => ConfirmOrder { order_id, payment_id }.into(),
            ProcessCommand::RecordPaymentFailure { payment_id, reason } => {
                RecordPaymentFailure { order_id, payment_id, reason }.into()
            }
            ProcessCommand::ExpireOrder => ExpireOrder { order_id }.into(),
            ProcessCommand::RequestShipment { shipment_id } => RequestShipment { order_id, shipment_id }.into(),
            ProcessCommand::RequestRefund { payment_id, refund_id, reason } => {
                RequestFullRefund { payment_id, refund_id, reason }.into()
            }
            ProcessCommand::CancelOrder { reason } => {
                CancelOrder { order_id, by: CancelledBy::Staff, reason: Some(reason) }.into()
            }
            ProcessCommand::FinishCancellation => FinishCancellation { order_id }.into(),
            ProcessCommand::FailOrder { reason } => FailOrder { order_id, reason }.into(),
            ProcessCommand::RecordLatePayment { payment_id } => RecordLatePayment { order_id, payment_id }.into(),
            ProcessCommand::MarkDelivered => MarkDelivered { order_id }.into(),
            ProcessCommand::CompleteOrder => CompleteOrder { order_id }.into(),
            ProcessCommand::HoldOrder { reason } => HoldOrder { order_id, reason }.into(),
        })
    }

    const fn outside_name(&self) -> &'static str {
        match &self.issued.command {
            ProcessCommand::CapturePayment { .. } => "capture_payment",
            ProcessCommand::ConfirmCharge { .. } => "confirm_charge",
            ProcessCommand::InquirePayment { .. } => "inquire_payment",
            ProcessCommand::NetCancelPayment { .. } => "net_cancel_payment",
            ProcessCommand::BookCarrier { .. } => "book_carrier",
            ProcessCommand::CancelShipment { .. } => "cancel_shipment",
            ProcessCommand::SettleRefund { .. } => "settle_refund",
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
            | ProcessCommand::HoldOrder { .. } => "plain",
        }
    }

    async fn talk(&self) -> Step<()> {
        match &self.issued.command {
            ProcessCommand::CapturePayment { payment_id } => self.capture(*payment_id).await,
            ProcessCommand::ConfirmCharge { payment_id } => self.confirm(*payment_id).await,
            ProcessCommand::InquirePayment { payment_id, .. } => self.inquire(*payment_id).await,
            ProcessCommand::NetCancelPayment { payment_id, reason } => self.net_cancel(*payment_id, reason).await,
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
        self.submit(RequestCapture { payment_id }).await?;
        let payment = self.payment(payment_id).await?;
        let (true, Some(idempotency_key), Some((_, leg))) =
            (payment.state.needs_charge(), payment.charge_key(), payment.state.charge_leg())
        else {
            return Ok(());
        };
        let opened = match &leg.instrument {
            Instrument::Card { card_token } => self.open(sealing::card_token(payment_id), card_token).await?,
            Instrument::Points => None,
        };
        let Some(card_token) = opened else {
            // The gateway was not asked and never can be: nothing is charged.
            let observation = ChargeOutcome::Declined { code: DATA_UNREADABLE.to_owned() };
            return self.observe(payment_id, observation, Source::Shop).await;
        };
        let (order_id, amount) = (self.issued.order_id, leg.amount);
        let request = ChargeRequest { idempotency_key, order_id, payment_id, amount, card_token };
        let outcome = self.outside(payment.state.user_id(), self.gateway(&payment.state).charge(request)).await?;
        self.observe(payment_id, outcome, Source::Answer).await
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
    async fn net_cancel(&self, payment_id: PaymentId, reason: &str) -> Step<()> {
        self.submit(RequestNetCancel { payment_id, reason: reason.to_owned() }).await?;
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
        let shipment = self.shipment(shipment_id).await?;
        let (true, Some(address)) = (shipment.needs_label(attempt), shipment.shipping_address()) else {
            return Ok(());
        };
        let carrier = self.carrier(&shipment);
        let opened = self.open(sealing::shipping_address(self.issued.order_id), address).await?;
        let observation = match opened.and_then(|json| serde_json::from_str::<PostalAddress>(&json).ok()) {
            Some(address) => {
                let request = LabelRequest { shipment_id, order_id: self.issued.order_id, address };
                self.outside(shipment.user_id(), carrier.request_label(request)).await?
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

fn ended(submitted: Submitted) -> Step<()> {
    match submitted {
        Submitted::Done => Ok(()),
        Submitted::Refused(refusal) => Err(Halt::Refused(refusal)),
        Submitted::Unreadable(found) => Err(Halt::Unreadable(found)),
        Submitted::Stopped => Err(Halt::Stopped),
    }
}
