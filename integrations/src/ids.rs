//! The source of ids.

use jangbu_kernel::ports::IdSource;
use uuid::Uuid;

/// Generates UUIDs of version 7. Within a process each is greater than the one before, even if many
/// are generated in one millisecond or the clock steps back.
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidV7Source;

impl IdSource for UuidV7Source {
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_are_greater() {
        let ids: Vec<Uuid> = (0..10_000).map(|_| UuidV7Source.new_id()).collect();
        assert!(ids.is_sorted_by(|earlier, later| earlier < later));
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }
}
