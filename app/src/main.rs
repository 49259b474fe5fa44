//! The one binary `jangbu`; see the library of this crate.

/// Placing orders makes many small allocations on two threads at once, which takes the system's
/// allocator about a quarter of the machine.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    jangbu_app::cli::main()
}
