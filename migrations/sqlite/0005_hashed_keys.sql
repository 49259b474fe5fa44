-- Receipts keep a hash of the idempotency key, see `ReceiptKey` in kernel/src/log.rs: a client
-- may have put personal data into its keys, and nothing here has to know them. The rows are
-- hashed one by one in code (store/src/sqlite/setup.rs), which then drops the table `receipts`
-- and gives its name to this one. The numbers stay, and with them the index by digest.
create table receipts_hashed (
    number      integer primary key,
    scope       text    not null,
    key_hash    blob    not null,
    fingerprint blob    not null,
    stream_kind text    not null,
    stream_id   blob    not null,
    version     integer not null,
    position    integer not null,
    recorded_at integer not null
) strict;
