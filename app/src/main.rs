//! The one binary `jangbu`; see the library of this crate.

/// Placing orders is many small allocations on two threads at once, which the system's
/// allocator spends about a quarter of the machine on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    jangbu_app::cli::main()
}
