-- The sandbox's own file. Amounts are in the currency's smallest unit, times in
-- milliseconds since 1970, `seq` is the order of arrival.
CREATE TABLE IF NOT EXISTS charges (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    idempotency_key TEXT NOT NULL UNIQUE,
    fingerprint     BLOB NOT NULL,
    order_id        TEXT NOT NULL,
    payment_id      TEXT NOT NULL,
    amount          INTEGER NOT NULL,
    refunded        INTEGER NOT NULL DEFAULT 0,
    currency        TEXT NOT NULL,
    status          TEXT NOT NULL,
    code            TEXT,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS charges_by_order ON charges (order_id, seq);
CREATE INDEX IF NOT EXISTS charges_in_work ON charges (seq) WHERE status = 'processing';

-- Charges that the buyer pays at a page, and whether that makes a transfer whose money
-- arrives later, and whether the end of it is told.
CREATE TABLE IF NOT EXISTS pages (
    charge_id       TEXT PRIMARY KEY,
    url             TEXT NOT NULL,
    is_transfer     INTEGER NOT NULL,
    is_silent       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which gateway a charge is at; one without a line is at the first, `sandbox`.
CREATE TABLE IF NOT EXISTS dialects (
    charge_id       TEXT PRIMARY KEY,
    dialect         TEXT NOT NULL
) STRICT, WITHOUT ROWID;
DROP VIEW IF EXISTS charges_with_pages;
CREATE VIEW charges_with_pages AS
    SELECT charges.*, url, is_transfer, is_silent, dialect FROM charges
    LEFT JOIN pages ON pages.charge_id = charges.id
    LEFT JOIN dialects ON dialects.charge_id = charges.id;

-- Keys that were cancelled before anything was charged under them.
CREATE TABLE IF NOT EXISTS tombstones (
    idempotency_key TEXT PRIMARY KEY,
    created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How often a charge was answered with an error on purpose.
CREATE TABLE IF NOT EXISTS failed_attempts (
    idempotency_key TEXT PRIMARY KEY,
    attempts        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS refunds (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    idempotency_key TEXT NOT NULL UNIQUE,
    charge_id       TEXT NOT NULL,
    order_id        TEXT NOT NULL,
    amount          INTEGER NOT NULL,
    currency        TEXT NOT NULL,
    status          TEXT NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS refunds_by_order ON refunds (order_id, seq);

CREATE TABLE IF NOT EXISTS labels (
    seq             INTEGER PRIMARY KEY,
    shipment_id     TEXT NOT NULL UNIQUE,
    order_id        TEXT NOT NULL,
    tracking_number TEXT UNIQUE,
    status          TEXT NOT NULL,
    next_scan_at    INTEGER,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS labels_by_order ON labels (order_id, seq);
CREATE INDEX IF NOT EXISTS labels_by_clock ON labels (next_scan_at) WHERE next_scan_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS scans (
    seq             INTEGER PRIMARY KEY,
    tracking_number TEXT NOT NULL,
    status          TEXT NOT NULL,
    place           TEXT NOT NULL,
    scanned_at      INTEGER NOT NULL
) STRICT;

-- Webhooks that are still owed. A message that is sent many times has many rows
-- with one message id.
CREATE TABLE IF NOT EXISTS outbox (
    seq             INTEGER PRIMARY KEY,
    message_id      TEXT NOT NULL,
    path            TEXT NOT NULL,
    body            TEXT NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    due_at          INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_by_time ON outbox (due_at, seq) WHERE due_at IS NOT NULL;

-- One row: the fault rates in millionths, and how many dice were thrown.
CREATE TABLE IF NOT EXISTS faults (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    decline         INTEGER NOT NULL,
    timeout         INTEGER NOT NULL,
    duplicate       INTEGER NOT NULL,
    seed            INTEGER NOT NULL,
    thrown          INTEGER NOT NULL,
    refuse_labels   INTEGER NOT NULL
) STRICT;

-- Mails that were caught, one row a recipient, as they came.
CREATE TABLE IF NOT EXISTS mails (
    seq             INTEGER PRIMARY KEY,
    recipient       TEXT NOT NULL,
    raw             BLOB NOT NULL,
    received_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS mails_by_recipient ON mails (recipient, seq);

-- One row: what the mail server does wrong.
CREATE TABLE IF NOT EXISTS mail_fault (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    fault           TEXT NOT NULL
) STRICT;
