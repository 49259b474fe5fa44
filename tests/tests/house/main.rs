//! The structure of the workspace: crates import only downwards, the domain is pure, and no
//! unwanted dependency is in the tree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Each crate with the crates of the workspace that it may import. What is not named here is not
/// allowed.
const FLOORS: [(&str, &[&str]); 14] = [
    ("jangbu-kernel", &[]),
    ("jangbu-sqlite", &[]),
    ("jangbu-aggregates", &["jangbu-kernel"]),
    ("jangbu-store", &["jangbu-kernel", "jangbu-sqlite"]),
    ("jangbu-integrations", &["jangbu-kernel"]),
    ("jangbu-commands", &["jangbu-kernel", "jangbu-aggregates"]),
    ("jangbu-projections", &["jangbu-kernel", "jangbu-sqlite", "jangbu-aggregates"]),
    ("jangbu-audit", &["jangbu-kernel", "jangbu-aggregates"]),
    ("jangbu-api", &["jangbu-kernel", "jangbu-commands", "jangbu-projections"]),
    (
        "jangbu-simulation",
        &[
            "jangbu-kernel",
            "jangbu-aggregates",
            "jangbu-store",
            "jangbu-commands",
            "jangbu-projections",
            "jangbu-audit",
        ],
    ),
    ("jangbu-sandbox", &["jangbu-kernel", "jangbu-sqlite"]),
    (
        "jangbu-app",
        &[
            "jangbu-kernel",
            "jangbu-aggregates",
            "jangbu-store",
            "jangbu-integrations",
            "jangbu-commands",
            "jangbu-projections",
            "jangbu-audit",
            "jangbu-api",
            "jangbu-sandbox",
        ],
    ),
    ("jangbu-bench", &["jangbu-kernel", "jangbu-aggregates", "jangbu-store", "jangbu-commands", "jangbu-app"]),
    ("jangbu-tests", &["jangbu-kernel"]),
];

/// Dependencies that would bring time, randomness or I/O into the domain.
const IMPURE: [&str; 12] = [
    "axum",
    "fastrand",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "socket2",
    "sqlx",
    "tokio",
    "tracing",
];

/// Dependencies that must not be in the tree: there is one crypto provider and one TLS.
const UNWANTED: [&str; 4] = ["native-tls", "openssl", "openssl-sys", "ring"];

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    // The locked versions are the built ones; no test changes them.
    command.other_options(["--locked".to_owned(), "--offline".to_owned()]);
    command.no_deps();
    command.exec().expect("cargo metadata answers")
}

#[test]
fn crates_import_only_what_lies_below_them() {
    let metadata = metadata();
    let floors: BTreeMap<&str, &[&str]> = FLOORS.into_iter().collect();
    let found: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(found, floors.keys().copied().collect(), "every crate of the workspace has its floor in the table");

    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let allowed = floors[package.name.as_str()];
        for dependency in &package.dependencies {
            let ours = floors.contains_key(dependency.name.as_str());
            let in_the_house = dependency.kind != DependencyKind::Development;
            if ours && in_the_house && !allowed.contains(&dependency.name.as_str()) {
                wrong.push(format!("{} imports {}", package.name, dependency.name));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "arrows only point down, never sideways");
}

/// The names of all dependencies of a crate that is built alone: `cargo metadata` only knows the
/// features that the whole workspace turns on.
fn tree(root: &str) -> BTreeSet<String> {
    let lines = cargo_tree(root, &["--edges", "normal", "--format", "{p}"]);
    lines.iter().filter_map(|line| line.split_whitespace().next()).map(ToOwned::to_owned).collect()
}

fn cargo_tree(root: &str, more: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", root, "--prefix", "none", "--locked", "--offline"])
        .args(more)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    text.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn the_domain_is_built_from_nothing_impure() {
    let tree = tree("jangbu-aggregates");
    assert!(tree.contains("jangbu-kernel") && tree.contains("serde"), "the tree was walked: {tree:?}");
    let impure: Vec<_> = IMPURE.into_iter().filter(|name| tree.contains(*name)).collect();
    assert_eq!(impure, Vec::<&str>::new());
}

/// The features for clock and randomness, as the domain alone gets them. In the whole workspace
/// they are on, because other crates need them.
#[test]
fn the_domain_asks_for_no_clock_and_no_random_ids() {
    let metadata = metadata();
    for name in ["jangbu-aggregates", "jangbu-kernel"] {
        let package = metadata.packages.iter().find(|package| package.name.as_str() == name).unwrap();
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal) {
            let forbidden: &[&str] = match dependency.name.as_str() {
                "chrono" => &["clock", "now", "default"],
                "uuid" => &["v1", "v4", "v6", "v7", "rng"],
                _ => &[],
            };
            let asked = dependency.features.iter().find(|feature| forbidden.contains(&feature.as_str()));
            assert_eq!(asked, None, "{name} asks {} for it", dependency.name);
            if dependency.name == "chrono" {
                assert!(!dependency.uses_default_features, "{name} takes chrono with its clock");
            }
        }
    }
}

#[test]
fn there_is_one_crypto_provider() {
    let tree = tree("jangbu-app");
    assert!(tree.contains("tokio"), "the tree was walked");
    let unwanted: Vec<_> = UNWANTED.into_iter().filter(|name| tree.contains(*name)).collect();
    assert_eq!(unwanted, Vec::<&str>::new());
}

/// A runtime clock that can be stopped is needed by tests and must not be part of the program.
#[test]
fn the_program_holds_no_simulation_and_no_bench() {
    let features = cargo_tree("jangbu-app", &["--edges", "normal,features", "--format", "{p} {f}"]);
    assert!(features.iter().any(|line| line.starts_with("tokio feature \"rt\"")), "the tree was walked: {features:?}");
    let of_tests = ["jangbu-simulation", "jangbu-bench", "tokio feature \"test-util\""];
    let held: Vec<_> = features.iter().filter(|line| of_tests.iter().any(|begin| line.starts_with(begin))).collect();
    assert_eq!(held, Vec::<&String>::new());
}

/// A volume takes owner and mode of the folder in the image that it covers: if the image lacks the
/// folder, the volume is root's, and the program could not write there.
#[test]
fn the_images_data_folder_is_the_programs_own() {
    let image = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Dockerfile")).unwrap();
    let line = |beginning: &str| image.lines().find(|line| line.trim_start().starts_with(beginning)).unwrap();
    let volume = line("VOLUME").trim_start_matches("VOLUME").trim();
    let uid = line("&& useradd").split("--uid ").nth(1).unwrap();
    let made = line("&& install --directory");
    assert!(made.ends_with(volume) && made.contains("--mode=0700"), "{made}");
    assert!(made.contains(&format!("--owner={}", uid.split(' ').next().unwrap())), "{made}");
    let place = |beginning: &str| image.lines().position(|line| line.trim_start().starts_with(beginning)).unwrap();
    assert!(place("&& install --directory") < place("USER") && place("USER") < place("VOLUME"));
}

/// Every place where a metric is recorded, in all sources of the workspace.
fn recorded_figures() -> BTreeSet<String> {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                let name = name.to_string_lossy();
                if !name.starts_with('.') && !matches!(name.as_ref(), "target" | "tests" | "data") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                for macro_name in ["counter!(", "gauge!(", "histogram!("] {
                    let uses = source.split(macro_name).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                    found.extend(uses.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
                }
            }
        }
    }
    found
}

#[test]
fn every_figure_that_is_recorded_is_described() {
    let list = include_str!("../../../app/src/figures.rs");
    let recorded = recorded_figures();
    assert!(recorded.contains("jangbu_commit_seconds"), "the sources were walked: {recorded:?}");
    let unknown: Vec<_> = recorded.iter().filter(|name| !list.contains(&format!("\"{name}\""))).collect();
    assert_eq!(unknown, Vec::<&String>::new(), "give each a sentence in app/src/figures.rs");
}
