-- Who does what only one node at a time is to do, and until when, by this server's clock.
create table leases (
    name     text   collate "C" primary key,
    holder   uuid   not null,
    until_ms bigint not null
) with (fillfactor = 10);
