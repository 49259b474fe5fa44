-- Where the events of a stream lie. Entered in sorted runs some time after the events
-- (store/src/sqlite/streams.rs): an index that is entered with every append wrote a page at a
-- random place for nearly every event. What the index `events_by_stream` holds is taken over in
-- code, which then drops it.
create table events_in_streams (
    stream_kind text    not null,
    stream_id   blob    not null,
    version     integer not null,
    position    integer not null,
    primary key (stream_kind, stream_id, version)
) strict, without rowid;

-- Up to this position every event is in the index.
create table events_indexed (
    id       integer primary key check (id = 1),
    position integer not null
) strict;

insert into events_indexed (id, position) values (1, 0);
