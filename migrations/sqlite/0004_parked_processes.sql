-- Processes that are left alone, because something that they need cannot be read. Their own
-- streams cannot say so.
create table parked_processes (
    order_id    blob    primary key,
    stream_kind text    not null,
    stream_id   blob    not null,
    reason      text    not null,
    parked_at   integer not null
) strict, without rowid;
