-- Durable truth on SQLite. Ids are blobs of 16 bytes, hashes of 32; times are
-- milliseconds since 1970 UTC. Positions are the row ids: the log is one b-tree.

create table events (
    position       integer primary key,
    stream_kind    text    not null,
    stream_id      blob    not null,
    version        integer not null,
    event_id       blob    not null,
    event_type     text    not null,
    schema_version integer not null,
    payload        text    not null,
    correlation_id blob    not null,
    causation_id   blob    not null,
    command_id     blob    not null,
    actor          text    not null,
    trace          text,
    recorded_at    integer not null,
    hash           blob    not null
) strict;

create unique index events_by_stream on events (stream_id, stream_kind, version);

create trigger events_are_not_updated before update on events
begin
    select raise(abort, 'events are never changed');
end;
create trigger events_are_not_deleted before delete on events
begin
    select raise(abort, 'events are never changed');
end;

create table receipts (
    scope       text    not null,
    key         text    not null,
    fingerprint blob    not null,
    stream_kind text    not null,
    stream_id   blob    not null,
    version     integer not null,
    position    integer not null,
    recorded_at integer not null,
    primary key (scope, key)
) strict, without rowid;

create table snapshots (
    stream_id     blob    not null,
    stream_kind   text    not null,
    version       integer not null,
    state_version integer not null,
    state         text    not null,
    primary key (stream_id, stream_kind)
) strict;

create table sealed_roots (
    size      integer primary key,
    root      blob    not null,
    sealed_at integer not null
) strict;

create trigger sealed_roots_are_not_updated before update on sealed_roots
begin
    select raise(abort, 'sealed roots are never changed');
end;
create trigger sealed_roots_are_not_deleted before delete on sealed_roots
begin
    select raise(abort, 'sealed roots are never changed');
end;

-- The frontier of the newest seal, so that a restart need not hash everything again.
create table sealed_frontier (
    id    integer primary key check (id = 1),
    size  integer not null,
    peaks blob    not null
) strict;

-- A destroyed key stays as a row without bytes: it can never be made again.
create table user_keys (
    owner   blob primary key,
    wrapped blob
) strict, without rowid;

create table secrets (
    name    text primary key,
    wrapped blob not null
) strict, without rowid;

create table checkpoints (
    reader   text    primary key,
    position integer not null
) strict, without rowid;

create table inbox (
    sequence    integer primary key autoincrement,
    source      text    not null,
    message_id  text    not null,
    headers     text    not null,
    body        blob    not null,
    received_at integer not null,
    attempts    integer not null default 0,
    last_error  text,
    handled     integer not null default 0,
    unique (source, message_id)
) strict;

create index inbox_pending on inbox (sequence) where handled = 0;
