-- Receipts lie in the order in which they were written. Their keys are as good as
-- random: a tree in the order of keys was written page by page, one for each receipt.

alter table receipts rename to receipts_in_order_of_keys;

create table receipts (
    number      integer primary key,
    scope       text    not null,
    key         text    not null,
    fingerprint blob    not null,
    stream_kind text    not null,
    stream_id   blob    not null,
    version     integer not null,
    position    integer not null,
    recorded_at integer not null
) strict;

-- In the order in which they are found: sorting millions of them would take their size in
-- memory, and nothing asks for one of their numbers before another.
insert into receipts (scope, key, fingerprint, stream_kind, stream_id, version, position, recorded_at)
select scope, key, fingerprint, stream_kind, stream_id, version, position, recorded_at
from receipts_in_order_of_keys;

drop table receipts_in_order_of_keys;

-- By a digest of the key, entered in sorted runs some time after the receipt. Two keys
-- may have one digest: the receipt itself says whose it is.
create table receipts_by_digest (
    digest integer not null,
    number integer not null,
    primary key (digest, number)
) strict, without rowid;

-- Up to this number every receipt is in the index.
create table receipts_indexed (
    id     integer primary key check (id = 1),
    number integer not null
) strict;

insert into receipts_indexed (id, number) values (1, 0);
