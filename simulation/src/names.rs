//! What can be done to the shop, and what has to be seen happening to it.

macro_rules! named {
    ($(#[$doc:meta])* $kind:ident { $($(#[$each:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind { $($(#[$each])* $variant,)+ }

        impl $kind {
            /// All of them, in a fixed order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How it is called in reports.
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
        /// The batch is not written and nobody knows.
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
        /// A message is stored and its sender does not hear of it.
        InboxAnswerLost = "inbox's answer is lost",
        /// The timer queue cannot be read.
        TimersFail = "timer queue fails",
        /// The keys cannot be read.
        VaultFails = "vault fails",
        /// The node is killed.
        Crash = "node killed",
        /// The node is stopped in good order and started again.
        Restart = "node restarted",
        /// The node is configured for another gateway than before.
        GatewayChanged = "configured gateway changed",
        /// The node's clock is put forward.
        ClockForward = "clock put forward",
        /// The node's clock is put back.
        ClockBack = "clock put back",
        /// The call never reaches gateway or carrier.
        CallLost = "call is lost before it arrives",
        /// The call is carried out and its answer is lost.
        AnswerLost = "call's answer is lost",
        /// The call arrives after its caller has given up.
        CallLate = "call arrives after its caller gave up",
        /// The call arrives twice.
        CallTwice = "call arrives twice",
        /// Gateway or carrier answers with an error of its own (5xx).
        CallErrs = "call answered with 5xx",
        /// A webhook comes several times.
        HookRepeated = "webhook repeated",
        /// A webhook comes minutes late, behind younger ones.
        HookDelayed = "webhook delayed",
        /// A webhook never comes.
        HookLost = "webhook lost",
        /// The carrier will not take the parcel, this time.
        LabelRefused = "label refused",
        /// The gateway will not give money back, this time.
        RefundRefused = "refund refused",
        /// A client hangs up before its answer and asks again.
        ClientHangsUp = "client hangs up",
        /// A client sends the same request twice at once.
        ClientRepeats = "client repeats itself",
    }
}

named! {
    /// A rare path that a run over many seeds has to take.
    Point {
        /// Money came after the order had expired or was called off.
        LatePayment = "late payment returned",
        /// A charge was carried on where it was asked, and new ones went elsewhere by then.
        FormerGateway = "charge carried on at the former gateway",
        /// A charge was voided at the gateway.
        NetCancelled = "charge net-cancelled",
        /// A person was asked.
        Parked = "process parked",
        /// A person had a parked process undone.
        OperatorCompensated = "operator had it undone",
        /// A person had a parked process go on.
        OperatorResumed = "operator resumed",
        /// A person took it on himself.
        OperatorSkipped = "operator skipped",
        /// The gateway spoke of another amount.
        Mismatch = "amount mismatch detected",
        /// An unknown charge was found by asking.
        UnknownFound = "unknown charge found captured",
        /// An unknown charge had never reached the gateway.
        UnknownNotFound = "unknown charge not found",
        /// A charge was declined and another one paid.
        PaidAtSecondTry = "paid at the second try",
        /// The buyer met the challenge.
        ChallengeMet = "challenge met and captured",
        /// The buyer paid at a page, and the money arrived.
        PaidAtBank = "paid at a bank and captured",
        /// The same, and nobody told of it: the shop asked.
        BankAskedAfter = "paid at a bank, found by asking",
        /// What was told before was told again, and ignored.
        ObservationIgnored = "observation ignored",
        /// The inbox knew the message.
        DuplicateHook = "duplicate webhook ignored",
        /// A webhook decided before the answer came.
        HookFirst = "webhook decided before the answer",
        /// The carrier refused for good and the order was undone.
        LabelRefusedThrice = "label refused thrice, order failed",
        /// Money was asked back more than once.
        RefundRefused = "refund refused and asked again",
        /// Staff gave a part back.
        PartialRefund = "part refunded by staff",
        /// An order was called off before it was paid.
        CancelledUnpaid = "unpaid order cancelled",
        /// An order was called off after it was paid.
        CancelledPaid = "paid order cancelled and refunded",
        /// Nobody paid in time.
        Expired = "order expired",
        /// Not enough was left.
        SoldOut = "order refused, sold out",
        /// Points paid alone, or a part.
        PointsSpent = "points spent",
        /// Points went back.
        PointsRestored = "points restored",
        /// Points lapsed, and the shop's own timer wrote them off.
        PointsExpired = "points expired by themselves",
        /// A person took a smaller charge as enough.
        MismatchAccepted = "smaller charge taken as enough",
        /// A parcel went astray and a further one was begun.
        SentAgain = "order sent again",
        /// What came back can be sold again.
        Restocked = "returned goods put back",
        /// The parcel got lost or came back.
        ParcelGone = "parcel lost or returned",
        /// A commit's lost answer was made good by its receipt.
        ReceiptAfterUnknown = "repeat answered from its receipt",
        /// The same after the node that wrote it had been killed.
        ReceiptAcrossCrash = "receipt answers across a crash",
        /// A node was killed with an append under way that came through.
        CrashAppendLanded = "killed with an append that landed",
        /// A node was killed with an append under way that did not.
        CrashAppendGone = "killed with an append that was lost",
        /// A node was killed while it waited for the gateway or the carrier.
        CrashDuringCall = "killed during an outside call",
        /// Another node had written the stream.
        Conflict = "conflict with another node",
        /// An append found its receipt written by another node.
        ReceiptRace = "receipt found by the append itself",
        /// A commit landed after its outcome was given as unknown.
        LandedLate = "commit landed after it was given up",
        /// A client was turned away because too much waited.
        Busy = "turned away as busy",
        /// Another node took work over from one that lives.
        LeaseLost = "lease lost to another node",
        /// Another projector took the read models over.
        Fenced = "projector fenced by another",
        /// A reading clock ran backwards.
        TimeRanBack = "event recorded before an older one",
        /// A state was loaded from a snapshot.
        SnapshotUsed = "state loaded from a snapshot",
        /// A login's token was used twice.
        TokenReused = "refresh token reused, family ended",
        /// Every order reached its end.
        Rested = "everything came to rest",
    }
}

/// Counts by name.
pub(crate) type Counts<const N: usize> = [u32; N];
pub(crate) const FAULTS: usize = Fault::ALL.len();
pub(crate) const POINTS: usize = Point::ALL.len();
