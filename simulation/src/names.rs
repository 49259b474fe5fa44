//! The kinds of faults, and the rare paths that have to occur.

macro_rules! named {
    ($(#[$doc:meta])* $kind:ident { $($(#[$each:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind { $($(#[$each])* $variant,)+ }

        impl $kind {
            /// All of them, in a fixed order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// Its name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }
            /// Its place in [`Self::ALL`].
            #[must_use]
            pub const fn index(self) -> usize { self as usize }
        }
    };
}

named! {
    /// A kind of fault.
    Fault {
        /// The commit fails, nothing is written.
        CommitFails = "commit fails",
        /// The commit takes seconds.
        CommitSlow = "commit is slow",
        /// The batch is written and its answer is lost.
        CommitAnswerLost = "commit's answer is lost, it happened",
        /// The batch is not written, and its outcome is unknown.
        CommitRequestLost = "commit's answer is lost, it did not happen",
        /// The answer is lost and the batch is written later (a log with several writers only).
        CommitLate = "commit's answer is lost, it happens later",
        /// The log cannot be read.
        ReadFails = "read fails",
        /// Reading the log takes a while.
        ReadSlow = "read is slow",
        /// A checkpoint is not written.
        CheckpointFails = "checkpoint fails",
        /// A checkpoint is written and the answer is lost.
        CheckpointAnswerLost = "checkpoint's answer is lost",
        /// A lease cannot be renewed.
        LeaseFails = "lease fails",
        /// Renewing a lease takes longer than it lasts.
        LeaseSlow = "lease is slow",
        /// The inbox cannot be written.
        InboxFails = "inbox fails",
        /// A message is stored and its acknowledgement is lost.
        InboxAnswerLost = "inbox's answer is lost",
        /// The timer queue cannot be read.
        TimersFail = "timer queue fails",
        /// The keys cannot be read.
        VaultFails = "vault fails",
        /// The node is killed.
        Crash = "node killed",
        /// The node is shut down and started again.
        Restart = "node restarted",
        /// The node is configured for another gateway than before.
        GatewayChanged = "configured gateway changed",
        /// The node's clock steps forward.
        ClockForward = "clock put forward",
        /// The node's clock steps back.
        ClockBack = "clock put back",
        /// The call never reaches gateway or carrier.
        CallLost = "call is lost before it arrives",
        /// The call is executed and its answer is lost.
        AnswerLost = "call's answer is lost",
        /// The call arrives after its caller's timeout.
        CallLate = "call arrives after its caller gave up",
        /// The call arrives twice.
        CallTwice = "call arrives twice",
        /// Gateway or carrier answers with an error of its own (5xx).
        CallErrs = "call answered with 5xx",
        /// A webhook comes several times.
        HookRepeated = "webhook repeated",
        /// A webhook comes minutes late, after newer ones.
        HookDelayed = "webhook delayed",
        /// A webhook never comes.
        HookLost = "webhook lost",
        /// The carrier refuses the label this time.
        LabelRefused = "label refused",
        /// The gateway refuses the refund this time.
        RefundRefused = "refund refused",
        /// A client disconnects before its answer and repeats the request.
        ClientHangsUp = "client hangs up",
        /// A client sends the same request twice at once.
        ClientRepeats = "client repeats itself",
    }
}

named! {
    /// A rare path that a run over many seeds has to take.
    Point {
        /// Money came after the order had expired or was cancelled.
        LatePayment = "late payment returned",
        /// A charge was completed at its own gateway, after new ones went to another.
        FormerGateway = "charge carried on at the former gateway",
        /// A charge was voided at the gateway.
        NetCancelled = "charge net-cancelled",
        /// A process waits for an operator.
        Parked = "process parked",
        /// An operator had a parked process undone.
        OperatorCompensated = "operator had it undone",
        /// An operator resumed a parked process.
        OperatorResumed = "operator resumed",
        /// An operator skipped the step of a parked process.
        OperatorSkipped = "operator skipped",
        /// The gateway reported another amount.
        Mismatch = "amount mismatch detected",
        /// An unknown charge was found by an inquiry.
        UnknownFound = "unknown charge found captured",
        /// An unknown charge had never reached the gateway.
        UnknownNotFound = "unknown charge not found",
        /// A charge was declined and another one paid.
        PaidAtSecondTry = "paid at the second try",
        /// The buyer passed the challenge.
        ChallengeMet = "challenge met and captured",
        /// The buyer paid at a page, and the money arrived.
        PaidAtBank = "paid at a bank and captured",
        /// The same without a webhook: found by an inquiry.
        BankAskedAfter = "paid at a bank, found by asking",
        /// A repeated observation was ignored.
        ObservationIgnored = "observation ignored",
        /// The inbox knew the message.
        DuplicateHook = "duplicate webhook ignored",
        /// A webhook decided before the answer came.
        HookFirst = "webhook decided before the answer",
        /// The carrier refused permanently, and the order was undone.
        LabelRefusedThrice = "label refused thrice, order failed",
        /// A refund was refused and requested again.
        RefundRefused = "refund refused and asked again",
        /// Staff refunded a part.
        PartialRefund = "part refunded by staff",
        /// An order was cancelled before it was paid.
        CancelledUnpaid = "unpaid order cancelled",
        /// An order was cancelled after it was paid.
        CancelledPaid = "paid order cancelled and refunded",
        /// An order was not paid in time.
        Expired = "order expired",
        /// There was not enough stock.
        SoldOut = "order refused, sold out",
        /// Points paid an order, alone or in part.
        PointsSpent = "points spent",
        /// Points were restored.
        PointsRestored = "points restored",
        /// Points lapsed, and the shop's own timer wrote them off.
        PointsExpired = "points expired by themselves",
        /// Staff accepted a smaller charge as enough.
        MismatchAccepted = "smaller charge taken as enough",
        /// A parcel was lost, and a further one was sent.
        SentAgain = "order sent again",
        /// Returned goods were put back into stock.
        Restocked = "returned goods put back",
        /// Goods came back after their delivery, and their money went back.
        ReturnRefunded = "return refunded",
        /// Goods came back after their delivery, and others were sent.
        Exchanged = "return exchanged",
        /// Nothing of a return came back.
        NothingBack = "return closed with nothing",
        /// The shop did not take goods back.
        ReturnRejected = "return rejected",
        /// A buyer gave a return up.
        ReturnWithdrawn = "return withdrawn",
        /// Goods were not sent back in time, and the shop's own timer ended the return.
        ReturnLapsed = "return lapsed by itself",
        /// The parcel was lost or returned.
        ParcelGone = "parcel lost or returned",
        /// A repeat after a commit's lost answer was answered from its receipt.
        ReceiptAfterUnknown = "repeat answered from its receipt",
        /// The same after the node that wrote it had been killed.
        ReceiptAcrossCrash = "receipt answers across a crash",
        /// A node was killed with an append under way that was written.
        CrashAppendLanded = "killed with an append that landed",
        /// A node was killed with an append under way that was not written.
        CrashAppendGone = "killed with an append that was lost",
        /// A node was killed while it waited for the gateway or the carrier.
        CrashDuringCall = "killed during an outside call",
        /// Another node had written the stream.
        Conflict = "conflict with another node",
        /// An append found its receipt written by another node.
        ReceiptRace = "receipt found by the append itself",
        /// A commit was written after its outcome was reported as unknown.
        LandedLate = "commit landed after it was given up",
        /// A request was refused because the queue was full.
        Busy = "turned away as busy",
        /// A node that was still running lost its lease to another.
        LeaseLost = "lease lost to another node",
        /// Another projector took the read models over.
        Fenced = "projector fenced by another",
        /// An event was recorded with an earlier time than the one before.
        TimeRanBack = "event recorded before an older one",
        /// A state was loaded from a snapshot.
        SnapshotUsed = "state loaded from a snapshot",
        /// A login's token was used twice.
        TokenReused = "refresh token reused, family ended",
        /// A notice that could not be sent was sent later.
        NoticeSentAtLast = "notice sent after a failure",
        /// Everything came to rest.
        Rested = "everything came to rest",
    }
}

/// Counts by name.
pub(crate) type Counts<const N: usize> = [u32; N];
pub(crate) const FAULTS: usize = Fault::ALL.len();
pub(crate) const POINTS: usize = Point::ALL.len();
