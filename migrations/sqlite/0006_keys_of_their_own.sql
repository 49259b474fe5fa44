-- The keys are in a file of their own, keys.db: store/src/sqlite/keys copied and compared them
-- before this ran. The pages are overwritten as they are dropped.
drop table user_keys;
drop table secrets;
