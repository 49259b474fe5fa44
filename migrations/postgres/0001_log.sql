-- Durable truth on Postgres. Times are milliseconds since 1970 UTC, because the
-- event's hash covers exactly that number. Texts that are keys compare by bytes.
--
-- A deployment that separates roles gives the program's role no more than
--   grant select, insert on events, sealed_roots to <program>;
-- and keeps ownership elsewhere. The triggers below hold for the owner too.

-- The counter row. Whoever numbers events holds it until his commit is visible,
-- so positions are without gaps and in commit order.
create table log_head (
    id       smallint primary key check (id = 1),
    position bigint not null check (position >= 0)
) with (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
insert into log_head (id, position) values (1, 0);

create table events (
    position       bigint  primary key,
    stream_kind    text    collate "C" not null,
    stream_id      uuid    not null,
    version        bigint  not null,
    event_id       uuid    not null,
    event_type     text    not null,
    schema_version integer not null,
    payload        text    not null,
    correlation_id uuid    not null,
    causation_id   uuid    not null,
    command_id     uuid    not null,
    actor          text    not null,
    trace          text,
    recorded_at    bigint  not null,
    hash           bytea   not null,
    constraint events_by_stream unique (stream_id, stream_kind, version)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is never changed, only added to', tg_table_name;
end
$$;

create trigger events_are_kept before update or delete or truncate on events
    for each statement execute function refuse_change();

-- For people: the payload as JSON, the time as a time.
create view events_readable as
select position, stream_kind || '-' || stream_id as stream, version, event_id, event_type, schema_version,
       payload::jsonb as payload, correlation_id, causation_id, command_id, actor, trace,
       to_timestamp(recorded_at / 1000.0) as recorded_at, encode(hash, 'hex') as hash
from events;

create table receipts (
    scope       text   collate "C" not null,
    key         text   collate "C" not null,
    fingerprint bytea  not null,
    stream_kind text   not null,
    stream_id   uuid   not null,
    version     bigint not null,
    position    bigint not null,
    recorded_at bigint not null,
    primary key (scope, key)
);

create table snapshots (
    stream_id     uuid    not null,
    stream_kind   text    collate "C" not null,
    version       bigint  not null,
    state_version integer not null,
    state         text    not null,
    primary key (stream_id, stream_kind)
);

create table sealed_roots (
    size      bigint primary key,
    root      bytea  not null,
    sealed_at bigint not null
);

create trigger sealed_roots_are_kept before update or delete or truncate on sealed_roots
    for each statement execute function refuse_change();

-- The frontier of the newest seal, so that a restart need not hash everything again.
create table sealed_frontier (
    id    smallint primary key check (id = 1),
    size  bigint not null,
    peaks bytea  not null
);

-- A destroyed key stays as a row without bytes: it can never be made again.
create table user_keys (
    owner   uuid primary key,
    wrapped bytea
);

create table secrets (
    name    text primary key,
    wrapped bytea not null
);

create table checkpoints (
    reader   text   primary key,
    position bigint not null
);

create table inbox (
    sequence    bigint  generated always as identity primary key,
    source      text    not null,
    message_id  text    not null,
    headers     text    not null,
    body        bytea   not null,
    received_at bigint  not null,
    attempts    integer not null default 0,
    last_error  text,
    handled     boolean not null default false,
    unique (source, message_id)
);

create index inbox_pending on inbox (sequence) where not handled;
