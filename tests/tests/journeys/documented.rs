//! Every command line in a document or in a program's own help is accepted by its program: the
//! subcommand exists, each flag is known, each value is valid.
//!
//! `--help` at the end makes the program parse the rest without executing it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::harness::{beside_the_tests, jangbu, run_to_end};

/// The programs of the workspace.
const PROGRAMS: [&str; 3] = ["jangbu", "jangbu-bench", "jangbu-simulate"];
/// What the README uses instead of `jangbu`.
const THROUGH_CARGO: [&str; 4] = ["cargo", "run", "--release", "--"];

fn program(name: &str) -> PathBuf {
    if name == "jangbu" { jangbu() } else { beside_the_tests(name) }
}

/// The documents with current command lines; the changelog has former ones.
fn documents() -> Vec<PathBuf> {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found: Vec<_> = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(|name| house.join(name)).into();
    for entry in std::fs::read_dir(house.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The code that documents show is the code of the file that its first line names, so that it compiles.
#[test]
fn shown_code_is_the_code_there_is() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut compared = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for block in text.split("```rust\n").skip(1) {
            let (block, _) = block.split_once("\n```").unwrap();
            let Some((path, code)) = block.strip_prefix("// ").and_then(|rest| rest.split_once('\n')) else { continue };
            let source = std::fs::read_to_string(house.join(path)).unwrap();
            assert!(source.contains(code), "{}: not in {path}:\n{code}", document.display());
            compared += 1;
        }
    }
    assert!(compared >= 8, "{compared}");
}

/// The lines of a document's `sh` blocks, and the code spans outside of blocks.
fn shown(document: &str) -> Vec<String> {
    let (mut lines, mut prose, mut block) = (Vec::new(), String::new(), None);
    for line in document.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(kind), None) => block = Some(kind == "sh"),
            (Some(_), Some(_)) => block = None,
            (None, Some(true)) => lines.push(line.to_owned()),
            (None, Some(false)) => {}
            (None, None) => prose.extend([line, "\n"]),
        }
    }
    lines.extend(prose.split('`').skip(1).step_by(2).map(ToOwned::to_owned));
    lines
}

/// The words of a line up to its comment or pipe, without quotation marks.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in line.trim().chars().chain([' ']) {
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            (' ' | '\n', None) if !word.is_empty() => words.push(std::mem::take(&mut word)),
            (' ' | '\n', None) => {}
            _ => word.push(letter),
        }
    }
    let end = words.iter().position(|word| word.starts_with(['#', '|', '>', '\\'])).unwrap_or(words.len());
    words.truncate(end);
    words
}

/// Whether a word stands for a value of the reader.
fn is_placeholder(word: &str) -> bool {
    let capitals = word.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    capitals || word == "/" || word.contains("...") || word.contains(['[', '<', '$', '…'])
}

/// The program that a line runs, and its arguments.
fn read(line: &str) -> Option<(&'static str, Vec<String>)> {
    let words = words(line);
    let is_assignment = |word: &String| word.split('=').next().is_some_and(|name| name.starts_with("JANGBU_"));
    let mut words = words.into_iter().skip_while(is_assignment).collect::<Vec<_>>();
    if words.starts_with(&["sudo".to_owned(), "-u".to_owned()]) {
        words.drain(..3);
    }
    let name = if words.len() >= THROUGH_CARGO.len() && words.iter().zip(THROUGH_CARGO).all(|(a, b)| a == b) {
        words.drain(..THROUGH_CARGO.len());
        "jangbu"
    } else {
        let file = Path::new(words.first()?).file_name()?.to_str()?.to_owned();
        words.remove(0);
        PROGRAMS.into_iter().find(|name| *name == file)?
    };
    if let Some(end) = words.iter().position(|word| is_placeholder(word)) {
        words.truncate(end);
        // A flag without its value.
        words.pop_if(|word| word.starts_with("--"));
    }
    Some((name, words))
}

async fn help(name: &str, arguments: &[String]) -> Result<String, String> {
    let mut command = Command::new(program(name));
    command.args(arguments).arg("--help");
    let output = run_to_end(command).await;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned())
    }
}

/// The examples in a program's help and in that of each of its subcommands.
async fn examples(name: &str) -> Vec<String> {
    let (mut found, mut paths) = (Vec::new(), vec![Vec::new()]);
    while let Some(path) = paths.pop() {
        let text = help(name, &path).await.unwrap();
        let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        paths.extend(
            names.filter(|name| !matches!(*name, "" | "help")).map(|name| [path.clone(), vec![name.into()]].concat()),
        );
        let typed = text.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with("jangbu"));
        // After two spaces comes its explanation.
        found.extend(typed.map(|line| line.split("  ").next().unwrap_or_default().to_owned()));
    }
    found
}

#[tokio::test]
async fn every_documented_command_is_taken() {
    let mut lines = BTreeSet::new();
    for document in documents() {
        lines.extend(shown(&std::fs::read_to_string(document).unwrap()));
    }
    for name in PROGRAMS {
        let examples = examples(name).await;
        assert!(examples.len() >= 4, "{name} --help shows examples: {examples:?}");
        lines.extend(examples);
    }
    let commands: BTreeSet<_> = lines.iter().filter_map(|line| read(line)).collect();
    assert!(commands.len() >= 70, "they were found: {commands:?}");
    let mut refused = Vec::new();
    for (name, arguments) in commands {
        if let Err(error) = help(name, &arguments).await {
            refused.push(format!("{name} {}: {error}", arguments.join(" ")));
        }
    }
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn a_line_is_read_as_a_shell_reads_it() {
    let read = |line| read(line).map(|(name, arguments)| format!("{name} {}", arguments.join("|")));
    for (line, expected) in [
        ("cargo run --release -- serve", Some("jangbu serve")),
        ("JANGBU_DATABASE_URL=postgres://... jangbu backup /to   # on Postgres", Some("jangbu backup|/to")),
        ("sudo -u jangbu jangbu health --data-dir /d", Some("jangbu health|--data-dir|/d")),
        ("target/release/jangbu-bench all --out a.md | cat", Some("jangbu-bench all|--out|a.md")),
        ("jangbu sagas resume ORDER --reason 'it is well'", Some("jangbu sagas|resume")),
        ("jangbu x --reason 'it is well'", Some("jangbu x|--reason|it is well")),
        ("jangbu-simulate --seed N", Some("jangbu-simulate ")),
        ("sudo systemctl enable --now jangbu", None),
        ("", None),
    ] {
        assert_eq!(read(line).as_deref(), expected, "{line}");
    }
}
