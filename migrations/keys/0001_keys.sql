-- The keys of an embedded store, in a file of their own (keys.db), see store/src/sqlite/keys.
-- Wrapped bytes only: the master key opens them.

-- A destroyed key stays as a row without bytes: it can never be made again.
create table user_keys (
    owner   blob primary key,
    wrapped blob
) strict, without rowid;

create table secrets (
    name    text primary key,
    wrapped blob not null
) strict, without rowid;

-- What is still to be written over, because a process ended before it was done: this file
-- after a key was destroyed in it, and log.db after the keys were taken out of it.
create table upkeep (
    id         integer primary key check (id = 1),
    scrub_keys integer not null default 0,
    scrub_log  integer not null default 0
) strict;

insert into upkeep (id) values (1);
