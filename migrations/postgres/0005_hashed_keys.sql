-- Receipts keep a hash of the idempotency key, see `ReceiptKey` in kernel/src/log.rs: a client
-- may have put personal data into its keys, and nothing here has to know them. The table is
-- written anew in a file of its own, so the keys are gone with the old one.
alter table receipts rename column key to key_hash;
alter table receipts alter column key_hash type bytea using sha256(
    int8send(octet_length(convert_to(scope, 'UTF8'))::bigint)
    || convert_to(scope, 'UTF8')
    || convert_to(key_hash, 'UTF8')
);
