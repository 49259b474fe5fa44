//! The one binary `jangbu`; see the library of this crate.

fn main() -> std::process::ExitCode {
    jangbu_app::cli::main()
}
