-- What tells this log from every other one. A log that has events already takes the id of
-- the first, so that every copy and every backup of it comes to the same.
create table log_identity (
    id  smallint primary key check (id = 1),
    log uuid     not null
);

insert into log_identity (id, log)
values (1, coalesce((select event_id from events where position = 1), gen_random_uuid()));

-- The hash of the event that a snapshot ends with: it proves that both are of one history.
alter table snapshots add column hash bytea;
