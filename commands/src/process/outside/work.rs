//! What all calls need: reading what they are about, a place among the calls of a buyer, and
//! recording what was learned.

use std::sync::Arc;

use jangbu_aggregates::AnyCommand;
use jangbu_aggregates::commands::ObservePayment;
use jangbu_aggregates::payment::{Payment, Source};
use jangbu_aggregates::shipment::Shipment;
use jangbu_kernel::gateway::{Carrier, ChargeOutcome, PaymentGateway};
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::VaultError;
use jangbu_kernel::{CommandId, PaymentId, RefusalCode, Sealed, SealedAt, ShipmentId, StreamId, UserId, never};

use super::{Halt, Issued, Step, ended};
use crate::process::payment::PaymentHistory;
use crate::process::submit::{Backoff, Unreadable, keyed, submit};
use crate::process::{Shared, parked};
use crate::reader::load_state;

/// An issued command that is being carried out.
pub(super) struct Work<'a> {
    pub shared: &'a Shared,
    pub issued: &'a Issued,
}

impl Work<'_> {
    /// Records what was learned about a charge.
    pub async fn observe(&self, payment_id: PaymentId, observation: ChargeOutcome, source: Source) -> Step<()> {
        self.note(ObservePayment { payment_id, observation, source }).await
    }

    /// Tells the process that its command did nothing. False when the program is stopping.
    pub async fn report(&self, code: RefusalCode) -> bool {
        let Issued { process, instance, order_id, command_id, .. } = *self.issued;
        match self.note(process.refused(instance, command_id, code.code())).await {
            Ok(()) => true,
            Err(Halt::Stopped) => false,
            Err(Halt::Unreadable(Unreadable { stream, reason })) => {
                parked::park(self.shared, order_id, stream, reason).await
            }
            Err(Halt::Refused(refusal)) => {
                let code = refusal.code.code();
                tracing::error!(%order_id, code, "a process did not accept that its command was refused");
                true
            }
        }
    }

    /// Leaves the command to an operator: the process parks until one resumes it. False when the
    /// program is stopping.
    pub async fn cannot_be_read(&self, Unreadable { stream, reason }: Unreadable) -> bool {
        let order_id = self.issued.order_id;
        tracing::error!(%order_id, %stream, reason, "a command of the process manager cannot be carried out: {stream} cannot be read");
        self.report(RefusalCode::StreamUnreadable).await
    }

    /// Submits a command for the issued one, at most once: its receipt is found again by its key.
    /// The key begins with the position, so that the receipts of one time are neighbours in the
    /// table and need few pages.
    pub async fn submit(&self, command: impl Into<AnyCommand>) -> Step<()> {
        let Issued { position, command_id, cause, .. } = self.issued;
        let key = format!("{:016x}/{command_id}", position.get());
        ended(submit(self.shared, keyed(command, *command_id, key, cause)).await)
    }

    /// Records something that was learned, as a fact of its own under a fresh id. It leaves a
    /// receipt, so that a repeat after a commit of unknown outcome does not record it again.
    pub async fn note(&self, command: impl Into<AnyCommand>) -> Step<()> {
        let command_id = CommandId::new(self.shared.deps.world.ids.new_id());
        ended(submit(self.shared, keyed(command, command_id, command_id.to_string(), &self.issued.cause)).await)
    }

    /// The gateway that was asked for a payment's charge.
    pub fn gateway(&self, payment: &Payment) -> Arc<dyn PaymentGateway> {
        let gateway = payment.gateway().unwrap_or_else(|| never("a charge without a gateway", ""));
        self.shared.deps.gateways.holding(gateway)
    }

    /// The carrier that a parcel was given to.
    pub fn carrier(&self, shipment: &Shipment) -> Arc<dyn Carrier> {
        let carrier = shipment.asked_carrier().unwrap_or_else(|| never("a parcel without a carrier", ""));
        self.shared.deps.carriers.holding(carrier)
    }

    /// Makes a call as soon as there is room for it among the calls of its buyer.
    pub async fn outside<T>(&self, buyer: Option<UserId>, call: impl Future<Output = T>) -> Step<T> {
        let _place = tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => return Err(Halt::Stopped),
            place = self.shared.outside.take(buyer) => place.ok_or(Halt::Stopped)?,
        };
        Ok(call.await)
    }

    /// Reads a payment.
    pub async fn payment(&self, payment_id: PaymentId) -> Step<PaymentHistory> {
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

    /// Reads a shipment.
    pub async fn shipment(&self, shipment_id: ShipmentId) -> Step<Shipment> {
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
    pub async fn open(&self, at: SealedAt<'_>, sealed: &Sealed) -> Step<Option<String>> {
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
