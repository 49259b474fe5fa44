-- Processes that are left alone, because something that they need cannot be read. Their own
-- streams cannot say so.
create table parked_processes (
    order_id    uuid   primary key,
    stream_kind text   collate "C" not null,
    stream_id   uuid   not null,
    reason      text   not null,
    parked_at   bigint not null
);
