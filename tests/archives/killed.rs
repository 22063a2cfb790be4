//! Runs that are killed go on where they were.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::files::{Files, errors, gunzip, gzip, json_lines, posts};

/// Runs a command and kills it when it has recorded more than `rows`, and a random moment later.
/// Gives how many rows it had recorded.
fn kill_midway(
    mut command: Command,
    checkpoint: &Path,
    rows: u64,
    random: &mut fastrand::Rng,
) -> u64 {
    let recorded = || {
        let checkpoint: Option<Value> =
            fs::read(checkpoint).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        checkpoint.map_or(0, |checkpoint| checkpoint["position"]["rows"].as_u64().unwrap())
    };
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while recorded() <= rows {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        assert!(started.elapsed() < Duration::from_secs(120), "it gets nowhere");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(random.u64(0..15)));
    assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "it was killed");
    recorded()
}

/// Runs `arguments` undisturbed to `whole`, then to `target` with `kills`.
pub(crate) fn kill_and_go_on(
    files: &Files,
    arguments: &[&str],
    [whole, target]: [&str; 2],
    kills: usize,
    all: u64,
) {
    let random = &mut fastrand::Rng::new();
    let seed = random.get_seed();
    files.good(&[arguments, &["-o", whole]].concat());
    let disturbed =
        [arguments, &["-o", target, "--threads", "1", "--checkpoint-every", "0.01"]].concat();
    let work = files.path(&format!("{target}.unfinished"));
    let mut rows = 0;
    for kill in 0..kills {
        rows = kill_midway(files.score(&disturbed), &work.join("checkpoint.json"), rows, random);
        assert!(0 < rows && rows < all, "kill {kill} after {rows} rows (seed {seed})");
        assert!(!files.path(target).exists(), "it is not complete");
    }
    let output = files.good(&disturbed);
    let going_on = format!("going on after {rows} rows of an earlier run");
    assert!(errors(&output).contains(&going_on), "{going_on}: {}", errors(&output));
    assert!(errors(&output).contains(&format!("{all} rows, {rows} of them in an earlier run")));
    assert!(!work.exists(), "nothing is left beside the output");
}

const ROWS: usize = 8_000;

#[test]
fn a_killed_run_goes_on_and_gives_the_same_bytes() {
    let files = Files::new(&[
        ("a.jsonl", posts(ROWS / 2).as_bytes()),
        ("b.jsonl.gz", &gzip(posts(ROWS / 2).as_bytes())),
    ]);
    let targets = ["whole.csv", "killed.csv"];
    kill_and_go_on(
        &files,
        &["a.jsonl", "b.jsonl.gz", "--report", "r.json"],
        targets,
        3,
        ROWS as u64,
    );
    let [whole, killed] = targets.map(|name| files.read(name));
    assert!(whole == killed, "{} bytes and {}", whole.len(), killed.len());
    let figures: Value = serde_json::from_slice(&files.read("r.json")).unwrap();
    assert_eq!(figures["rows"], ROWS, "the report counts the rows of all runs");
    let decided = figures["decisions"].as_object().unwrap().values();
    assert_eq!(decided.map(|n| n.as_u64().unwrap()).sum::<u64>(), ROWS as u64);
}

#[test]
fn a_killed_run_goes_on_with_a_compressed_output() {
    let rows = 10_000;
    let files = Files::new(&[("a.jsonl", posts(rows).as_bytes())]);
    let targets = ["whole.jsonl.gz", "killed.jsonl.gz"];
    // Members have 4,096 rows, and a checkpoint is at the end of one.
    kill_and_go_on(&files, &["a.jsonl"], targets, 1, rows as u64);
    let [whole, killed] = targets.map(|name| files.read(name));
    assert!(whole == killed, "{} bytes and {}", whole.len(), killed.len());
    assert_eq!(json_lines(&gunzip(&killed)).len(), rows);
}

#[test]
fn a_killed_run_over_a_directory_goes_on() {
    let parts = 16;
    let contents: Vec<_> =
        (0..parts).map(|n| (format!("in/{n:02}.jsonl"), posts(ROWS / parts + n))).collect();
    let inputs: Vec<_> =
        contents.iter().map(|(name, content)| (name.as_str(), content.as_bytes())).collect();
    let files = Files::new(&inputs);
    files.good(&["in", "--output-dir", "whole"]);
    let disturbed =
        ["in", "--output-dir", "killed", "--threads", "1", "--checkpoint-every", "0.01"];
    let checkpoint = files.path("killed/.unfinished/checkpoint.json");
    let random = &mut fastrand::Rng::new();
    let mut rows = 0;
    for _ in 0..3 {
        rows = kill_midway(files.score(&disturbed), &checkpoint, rows, random);
    }
    files.good(&disturbed);
    for (name, _) in &inputs {
        let name = name.strip_prefix("in/").unwrap();
        let [whole, killed] = ["whole", "killed"].map(|out| files.read(&format!("{out}/{name}")));
        assert!(whole == killed, "{name}");
    }
    let manifest = |out: &str| -> Value {
        let manifest = files.read(&format!("{out}/manifest.json"));
        serde_json::from_slice::<Value>(&manifest).unwrap()["outputs"].clone()
    };
    assert_eq!(manifest("whole"), manifest("killed"));
    assert!(!files.path("killed/.unfinished").exists());
}

#[test]
fn a_run_that_is_not_the_same_does_not_go_on() {
    let files = Files::new(&[("a.jsonl", posts(ROWS).as_bytes())]);
    let command = ["a.jsonl", "-o", "out.jsonl", "--threads", "1", "--checkpoint-every", "0.01"];
    let checkpoint = files.path("out.jsonl.unfinished/checkpoint.json");
    kill_midway(files.score(&command), &checkpoint, 0, &mut fastrand::Rng::new());

    let policy = files.bad(&[&command[..], &["--policy", "strict"]].concat());
    assert!(policy.contains("unfinished run of another kind: the policy was balanced"), "{policy}");
    let field = files.bad(&[&command[..], &["--id-field", "id"]].concat());
    assert!(field.contains("--id-field was None, and is Some(\"id\") now"), "{field}");
    let mut input = File::options().append(true).open(files.path("a.jsonl")).unwrap();
    input.write_all(b"{\"text\":\"one more\"}\n").unwrap();
    drop(input);
    let changed = files.bad(&command);
    assert!(
        changed.contains("input 1 (a.jsonl) was ") && changed.contains("--restart"),
        "{changed}"
    );
    assert!(checkpoint.exists() && !files.path("out.jsonl").exists(), "nothing is lost by it");
    files.good(&[&command[..], &["--restart"]].concat());
    assert_eq!(json_lines(&files.read("out.jsonl")).len(), ROWS + 1);
    assert_eq!(files.names(), ["a.jsonl", "out.jsonl"]);
}
