//! The command, run as a process on real files, on a tiny model.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by panicking")]
#![cfg(feature = "cli")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Output, Stdio},
};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");

/// A directory of input files.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `dignity score --model TINY …`, in the directory.
    fn score(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("dignity").unwrap();
        command.current_dir(self.0.path()).args(["score", "--model", TINY]).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.score(arguments).output().unwrap()
    }
}

fn json_lines(output: &[u8]) -> Vec<Value> {
    let text = str::from_utf8(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn is_scored(row: &Value) -> bool {
    let scores = &row["dignity"];
    let probability = |value: &Value| value.as_f64().is_some_and(|p| (0.0..=1.0).contains(&p));
    probability(&scores["dehumanization"])
        && probability(&scores["hate"])
        && scores["categories"].as_object().unwrap().values().filter(|p| probability(p)).count()
            == 10
        && scores["ways"].as_object().unwrap().values().filter(|p| probability(p)).count() == 5
        && ["allow", "review", "flag"].contains(&scores["verdict"].as_str().unwrap())
        && scores["because"].is_array()
        && scores["windows"].as_u64().unwrap() >= 1
}

#[test]
fn json_lines_keep_their_fields_as_they_came() {
    let input = "{\"z\": 1.50, \"text\": \"one\", \"a\": {\"k\": [1, null]}, \"big\": 12345678901234567890123}\r\n\
                 {\"text\":\"two\",\"dignity\":\"old\",\"last\":\"\\u00e9\"}\n";
    let files = Files::new(&[("in.jsonl", input.as_bytes())]);
    let output = files.run(&["in.jsonl"]);
    assert!(output.status.success(), "{}", errors(&output));
    let text = str::from_utf8(&output.stdout).unwrap();
    let first = text.lines().next().unwrap();
    let kept = r#"{"z":1.50,"text":"one","a":{"k": [1, null]},"big":12345678901234567890123,"dignity":{"dehumanization":"#;
    assert!(first.starts_with(kept), "{first}");
    let rows = json_lines(&output.stdout);
    assert!(rows.iter().all(is_scored));
    assert_eq!(rows[1]["last"], "é");
    assert_eq!(rows.len(), 2);
}

#[test]
fn bad_rows_are_told_counted_marked_and_do_not_stop_the_run() {
    let input = b"{\"id\":\"a\",\"text\":\"fine\"}\n\
        {\"id\":\"b\",\"text\":\"\"}\n\
        {\"id\":\"c\",\"text\":\" \\t\"}\n\
        {\"id\":\"d\",\"text\":\"\xff\"}\n\
        {\"id\":\"e\",\"body\":\"x\"}\n\
        {\"id\":\"f\",\"text\":7}\n\
        not json\n\
        \n\
        {\"id\":\"g\",\"text\":\"fine too\"}\n";
    let files = Files::new(&[("in.jsonl", input)]);
    let output = files.run(&["in.jsonl", "--id-field", "id"]);
    assert!(output.status.success());
    let rows = json_lines(&output.stdout);
    assert_eq!(rows.len(), 9);
    assert!(is_scored(&rows[0]) && is_scored(&rows[8]));
    let reasons: Vec<_> =
        rows[1..8].iter().map(|row| row["dignity"]["error"].as_str().unwrap()).collect();
    let expected = ["empty", "blank", "UTF-8", "no field \"text\"", "not a string", "JSON", "JSON"];
    for (line, (reason, expected)) in (2..).zip(reasons.iter().zip(expected)) {
        assert!(reason.contains(expected), "{reason}");
        assert!(errors(&output).contains(&format!("in.jsonl:{line}: ")), "{}", errors(&output));
    }
    assert_eq!(rows[4]["id"], "e", "fields of bad rows are kept");
    assert!(errors(&output).contains("in.jsonl:3: (c) the text is blank"));
    assert!(errors(&output).contains("9 rows") && errors(&output).contains("7 bad"));
}

#[test]
fn csv_keeps_its_columns_and_gains_those_of_the_scores() {
    let input = b"id,text,note\n1,\"a, \"\"b\"\"\nc\",x\n2,,y\n3,\xff\xfe,z\n4,short\n5,ok,\n";
    let files = Files::new(&[("in.csv", input)]);
    let output = files.run(&["in.csv", "-o", "out.csv"]);
    assert!(output.status.success(), "{}", errors(&output));
    assert!(output.stdout.is_empty());
    let mut reader = csv::Reader::from_path(files.path("out.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    assert_eq!(
        header.iter().take(4).collect::<Vec<_>>(),
        ["id", "text", "note", "dignity.dehumanization"]
    );
    assert_eq!(header.len(), 3 + 23);
    let rows: Vec<_> = reader.byte_records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 5);
    assert_eq!(&rows[0][1], b"a, \"b\"\nc");
    assert_eq!(&rows[2][1], b"\xff\xfe", "bytes are kept as they came");
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    for (row, error) in rows.iter().zip(["", "empty", "UTF-8", "header has 3", ""]) {
        let told = str::from_utf8(&row[at("dignity.error")]).unwrap();
        assert!(told.contains(error) && told.is_empty() == error.is_empty(), "{told}");
        assert_eq!(row[at("dignity.dehumanization")].is_empty(), !error.is_empty());
    }
    assert_eq!(&rows[0][at("dignity.windows")], b"1");
}

#[test]
fn formats_agree_on_the_scores_of_the_same_texts() {
    let files = Files::new(&[
        ("a.jsonl", b"{\"text\":\"one two\"}\n{\"text\":\"three, four\"}\n"),
        ("b.csv", b"text\none two\n\"three, four\"\n"),
        ("c.tsv", b"n\ttext\n1\tone two\n2\tthree, four\n"),
        ("d.txt", "\u{feff}one two\nthree, four".as_bytes()),
        ("e.dat", b"one two\nthree, four\n"),
    ]);
    let scores = |arguments: &[&str]| -> Vec<Value> {
        let output = files.run(arguments);
        assert!(output.status.success(), "{}", errors(&output));
        json_lines(&output.stdout).iter().map(|row| row["dignity"].clone()).collect()
    };
    let jsonl = scores(&["a.jsonl"]);
    assert_eq!(jsonl.len(), 2);
    assert_ne!(jsonl[0], jsonl[1]);
    for file in ["b.csv", "c.tsv", "d.txt"] {
        assert_eq!(scores(&[file]), jsonl, "{file}");
    }
    assert_eq!(scores(&["e.dat", "--format", "lines"]), jsonl);
    let all = scores(&["a.jsonl", "b.csv", "d.txt"]);
    assert_eq!(all, [&jsonl[..], &jsonl[..], &jsonl[..]].concat());
    let piped = files.score(&["-"]).write_stdin("one two\nthree, four\n").output().unwrap();
    let rows = json_lines(&piped.stdout);
    assert_eq!(rows[1]["text"], "three, four");
    assert_eq!(rows.iter().map(|row| row["dignity"].clone()).collect::<Vec<_>>(), jsonl);
}

#[test]
fn other_fields_can_hold_the_text() {
    let files = Files::new(&[
        ("in.csv", b"body,text\nhello,x\n"),
        ("empty.csv", b""),
        ("wide.csv", b"id,text\n1,a,too many\n"),
    ]);
    let output = files.run(&["in.csv", "--text-field", "body"]);
    let other = files.run(&["in.csv"]);
    let score = |output: &Output| json_lines(&output.stdout)[0]["dignity"].clone();
    assert_ne!(score(&output), score(&other));
    let wide = files.run(&["wide.csv"]);
    assert_eq!(json_lines(&wide.stdout)[0]["#3"], "too many", "no field is lost");
    let missing = files.run(&["in.csv", "--text-field", "nope"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(errors(&missing).contains("in.csv: no column \"nope\"; the header has body, text"));
    let empty = files.run(&["empty.csv"]);
    assert!(empty.status.success() && empty.stdout.is_empty());
}

#[test]
fn json_lines_of_different_fields_go_to_csv_with_a_word_on_what_is_left_out() {
    let input = b"{\"text\":\"a\",\"n\":null}\n{\"m\":{\"x\":1},\"text\":\"b\",\"n\":[2]}\nbad\n";
    let files = Files::new(&[("in.jsonl", input)]);
    let output = files.run(&["in.jsonl", "--output-format", "csv"]);
    assert!(output.status.success());
    let mut reader = csv::Reader::from_reader(output.stdout.as_slice());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!((&rows[0][0], &rows[0][1]), ("a", ""));
    assert_eq!((&rows[1][0], &rows[1][1]), ("b", "[2]"));
    assert!(rows[2].iter().next_back().unwrap().contains("JSON"));
    assert!(errors(&output).contains("no such field: m"), "{}", errors(&output));
}

#[test]
fn strict_stops_at_the_first_bad_row_and_leaves_no_file() {
    let files = Files::new(&[("in.txt", b"good\n\nnever read\n"), ("old.jsonl", b"old\n")]);
    for target in ["new.jsonl", "old.jsonl"] {
        let output = files.run(&["in.txt", "--strict", "-o", target]);
        assert_eq!(output.status.code(), Some(1));
        assert!(errors(&output).contains("in.txt:2: the text is empty"), "{}", errors(&output));
    }
    assert!(!files.path("new.jsonl").exists());
    assert_eq!(fs::read(files.path("old.jsonl")).unwrap(), b"old\n");
    let left: Vec<_> =
        fs::read_dir(files.0.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn an_output_file_replaces_the_old_one_only_when_complete() {
    let files = Files::new(&[("in.txt", b"a\nb\n"), ("out.jsonl", b"old\n")]);
    assert!(files.run(&["in.txt", "-o", "out.jsonl"]).status.success());
    assert_eq!(json_lines(&fs::read(files.path("out.jsonl")).unwrap()).len(), 2);
    // Into the file that is read: the input is whole until the output is.
    assert!(files.run(&["out.jsonl", "-o", "out.jsonl"]).status.success());
    assert!(json_lines(&fs::read(files.path("out.jsonl")).unwrap()).iter().all(is_scored));
}

#[cfg(unix)]
#[test]
fn an_output_has_the_rights_of_an_ordinary_file_and_devices_stay_devices() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    let files = Files::new(&[("in.txt", b"a\n"), ("kept.jsonl", b"")]);
    let mode = |name: &str| fs::metadata(files.path(name)).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(files.path("kept.jsonl"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("kept.jsonl", files.path("link.jsonl")).unwrap();
    for target in ["new.jsonl", "link.jsonl", "/dev/null"] {
        let output = files.run(&["in.txt", "-o", target]);
        assert!(output.status.success(), "{}", errors(&output));
    }
    assert_eq!(mode("new.jsonl"), mode("in.txt"));
    assert_eq!(mode("kept.jsonl"), 0o640);
    assert!(fs::symlink_metadata(files.path("link.jsonl")).unwrap().is_symlink());
    assert_eq!(json_lines(&fs::read(files.path("kept.jsonl")).unwrap()).len(), 1);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn the_first_line_on_standard_error_names_what_the_run_was_made_with() {
    let files = Files::new(&[("in.txt", b"a\n")]);
    let output = files.run(&["in.txt"]);
    let errors = errors(&output);
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(
        lines.len(),
        2,
        "nothing but the header and the summary without a terminal: {errors}"
    );
    for part in [
        "dignity 0.",
        "model tiny-bert 0.1.0 sha256:",
        "engine packed",
        "precision w8a16",
        "device cpu",
        "policy balanced",
    ] {
        assert!(lines[0].contains(part), "{part}: {errors}");
    }
    assert_eq!(lines[0].matches("sha256:").count(), 2);
    let quiet = files.run(&["in.txt", "--quiet"]);
    assert!(quiet.stderr.is_empty());
}

#[test]
fn engines_and_precisions_can_be_chosen_and_agree() {
    let files = Files::new(&[("in.txt", b"a\nan old bridge over the river\n")]);
    let scores = |options: &[&str]| -> Vec<f64> {
        let output = files.run(&[&["in.txt"], options].concat());
        assert!(output.status.success(), "{}", errors(&output));
        let score = |row: &Value| row["dignity"]["dehumanization"].as_f64().unwrap();
        json_lines(&output.stdout).iter().map(score).collect()
    };
    let reference = scores(&["--engine", "candle"]);
    // Random weights in f32, as this model has, are not much like themselves in int8.
    for (precision, tolerance) in [("f32", 1e-4), ("w8a16", 0.05)] {
        for (score, wanted) in scores(&["--precision", precision]).iter().zip(&reference) {
            assert!((score - wanted).abs() < tolerance, "{precision}: {score} {wanted}");
        }
    }
    let coarse = files.run(&["in.txt", "--precision", "int8"]);
    assert!(errors(&coarse).contains("precision int8"), "{}", errors(&coarse));
    assert_eq!(json_lines(&coarse.stdout).len(), 2);
    let without = |options: &[&str]| {
        let command = &mut files.score(options);
        command.env("DIGNITY_INSTRUCTION_SET", "portable").output().unwrap()
    };
    let fallback = without(&["in.txt", "--precision", "bf16"]);
    assert!(errors(&fallback).contains("bf16 is not to be had here; computing in f32"));
    assert!(without(&["in.txt", "--precision", "bf16", "--quiet"]).stderr.is_empty());
    for (option, name) in [("--engine", "onnx"), ("--precision", "fp8")] {
        let refused = files.run(&["in.txt", option, name]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(errors(&refused).contains(name));
    }
}

#[test]
fn the_environment_chooses_an_instruction_set_that_the_cpu_has() {
    let files = Files::new(&[("in.txt", b"an old bridge over the river\n")]);
    let with = |set: &str| {
        let mut command = files.score(&["in.txt"]);
        command.env("DIGNITY_INSTRUCTION_SET", set).output().unwrap()
    };
    let score = |output: &Output| {
        assert!(output.status.success(), "{}", errors(output));
        json_lines(&output.stdout)[0]["dignity"]["dehumanization"].as_f64().unwrap()
    };
    assert!((score(&with("portable")) - score(&with(""))).abs() < 1e-5);
    let mut models = Command::cargo_bin("dignity").unwrap();
    let models = models.arg("models").env("DIGNITY_INSTRUCTION_SET", "portable").output().unwrap();
    let listed = String::from_utf8(models.stdout).unwrap();
    assert_eq!(
        listed.contains("engine packed with portable"),
        cfg!(feature = "shipped"),
        "{listed}"
    );
    let unknown = with("mmx");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(errors(&unknown).contains("\"mmx\", but this CPU has"), "{}", errors(&unknown));
    assert!(errors(&unknown).contains("portable"));
}

#[test]
fn a_policy_file_decides() {
    let policy = |flag: f32| {
        format!(
            "format = 1\nname = \"mine\"\nversion = \"7\"\nmodel = \"tiny-bert\"\n\
             [flag]\ndehumanization = {flag}\n[review]\ndehumanization = 0.0\n\
             [because]\ndefault = 1.0\n"
        )
    };
    let files = Files::new(&[
        ("in.txt", b"a\n"),
        ("all.toml", policy(0.0).as_bytes()),
        ("none.toml", policy(1.0).as_bytes()),
        ("bad.toml", policy(2.0).as_bytes()),
    ]);
    let verdict = |file: &str| {
        let output = files.run(&["in.txt", "--policy", file]);
        json_lines(&output.stdout)[0]["dignity"].clone()
    };
    assert_eq!(verdict("all.toml")["verdict"], "flag");
    assert_eq!(verdict("all.toml")["because"].as_array().unwrap().len(), 1);
    assert_eq!(verdict("none.toml")["verdict"], "review");
    let bad = files.run(&["in.txt", "--policy", "bad.toml"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(errors(&bad).contains("bad.toml: the policy's flag.dehumanization is 2"));
}

#[test]
fn failures_are_told_before_anything_is_scored() {
    let files = Files::new(&[("in.txt", b"a\n"), ("in.unknown", b"a\n")]);
    fs::create_dir(files.path("empty")).unwrap();
    for (arguments, message) in [
        (&["in.txt", "missing.jsonl"][..], "missing.jsonl: "),
        (&["in.txt", "empty"], "empty: there is no file of a known format"),
        (&["in.unknown"], "in.unknown: its name does not tell its format"),
        (&["in.txt", "-o", "no/such/dir/out.jsonl"], "no/such/dir/out.jsonl: cannot be written"),
        (&["in.txt", "--device", "cuda"], "device cuda:0 cannot be used"),
    ] {
        if cfg!(feature = "cuda") && message.contains("cuda") {
            continue;
        }
        let output = files.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(errors(&output).contains(message), "{}", errors(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    for arguments in [
        &["--nope"][..],
        &["in.txt", "--device", "gpu"],
        &["in.txt", "--format", "xml"],
        &["in.txt", "--text", "x"],
    ] {
        assert_eq!(files.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let files = Files::new(&[("in.txt", "some words here\n".repeat(5_000).as_bytes())]);
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("dignity"))
        .args(["score", "--model", TINY])
        .arg(files.path("in.txt"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(is_scored(&serde_json::from_str(&first).unwrap()));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(!errors(&output).contains("panicked"), "{}", errors(&output));
}

#[test]
fn a_long_text_tells_where_its_score_comes_from() {
    let words = ["dog", "bird", "tree", "bread", "rain"];
    let text: Vec<_> = (0..60).map(|at| words[at * at % 7 % 5]).collect();
    let text = text.join(" ");
    let files = Files::new(&[("long.txt", text.as_bytes())]);
    let row = json_lines(&files.run(&["long.txt"]).stdout).remove(0);
    let byte = |name: &str| row["dignity"]["highest"][name].as_u64().unwrap() as usize;
    let (start, end) = (byte("start"), byte("end"));
    assert!(row["dignity"]["windows"].as_u64().unwrap() > 2 && end - start < text.len() / 2);
    let files = Files::new(&[("part.txt", &text.as_bytes()[start..end])]);
    let part = json_lines(&files.run(&["part.txt"]).stdout).remove(0);
    assert_eq!(part["dignity"]["windows"], 1);
    assert_eq!(part["dignity"]["dehumanization"], row["dignity"]["dehumanization"]);
}

#[test]
fn one_text_gives_a_table() {
    let files = Files::new(&[]);
    let output = files.run(&["--text", "hello there"]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with("verdict: "), "{table}");
    for name in ["dehumanization", "serious_disease", "denial_of_mind_or_worth", "hate"] {
        let line = table.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        let number: f32 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!((0.0..=1.0).contains(&number));
    }
    let long = files.run(&["--text", &"word ".repeat(100)]);
    assert!(String::from_utf8(long.stdout).unwrap().contains("windows (bytes of the text)\n  0.."));
    let blank = files.run(&["--text", "  "]);
    assert_eq!(blank.stdout, b"not scored: the text is blank\n");
}

fn explain(arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("dignity").unwrap();
    command.args(["explain", "--model", TINY]).args(arguments).output().unwrap()
}

#[test]
fn an_explanation_shows_the_text_and_its_strongest_words() {
    let output = explain(&["--text", "The dog is good.", "--top", "2"]);
    assert!(output.status.success(), "{}", errors(&output));
    assert!(errors(&output).contains("model tiny-bert"));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.starts_with("The dog is good.\n\nverdict: "), "{shown}");
    let table: Vec<_> = shown.lines().skip_while(|line| !line.contains("log-odds")).collect();
    assert_eq!(table.len(), 3);
    let part = |line: &str| line.split_whitespace().next().unwrap().parse::<f32>().unwrap();
    assert!(part(table[1]) >= part(table[2]));
    let blank = explain(&["--text", " "]);
    assert_eq!(blank.stdout, b"not scored: the text is blank\n");
}

#[test]
fn an_explanation_is_coloured_when_asked_and_never_sends_control_characters() {
    let text = "The \u{1b}[2Jdog is a good cat";
    let plain = explain(&["--text", text]).stdout;
    assert_eq!(explain(&["--text", text, "--color", "never"]).stdout, plain);
    let coloured = explain(&["--text", text, "--color", "always"]).stdout;
    let escapes = |output: &[u8]| output.iter().filter(|&&byte| byte == 0x1b).count();
    assert_eq!(escapes(&plain), 0);
    assert!(escapes(&coloured) > 0);
    assert!(!coloured.windows(4).any(|part| part == b"\x1b[2J"));
}

#[test]
fn an_explanation_as_json_is_one_object_with_the_view_and_every_word() {
    let text = "no b1rd\u{1b}";
    let output = explain(&["--text", text, "--json", "--quiet"]);
    assert!(output.stderr.is_empty());
    let explanations = json_lines(&output.stdout);
    assert_eq!(explanations.len(), 1);
    let explanation = &explanations[0];
    assert_eq!(
        (&explanation["text"], &explanation["view"]),
        (&text.into(), &"no bird\u{1b}".into())
    );
    assert!(is_scored(explanation));
    let words = explanation["words"].as_array().unwrap();
    for word in words {
        let (start, end) = (word["start"].as_u64().unwrap(), word["end"].as_u64().unwrap());
        assert_eq!(word["word"], text[start as usize..end as usize]);
        assert!(word["dehumanization"].is_f64() && word["ways"]["animal"].is_f64());
    }
    assert_eq!(words.len(), 2);
    assert_eq!(explanation["windows"][0]["start"], 0);

    let mut piped = Command::cargo_bin("dignity").unwrap();
    piped.args(["explain", "--model", TINY, "--json"]).write_stdin("a\nb");
    let piped = json_lines(&piped.output().unwrap().stdout);
    assert_eq!((&piped[0]["text"], &piped[0]["view"]), (&"a\nb".into(), &Value::Null));
    let mut bad = Command::cargo_bin("dignity").unwrap();
    let bad =
        bad.args(["explain", "--model", TINY]).write_stdin(b"\xff".to_vec()).output().unwrap();
    assert_eq!(bad.status.code(), Some(1));
    assert!(errors(&bad).contains("standard input cannot be read as text"));
}

#[cfg(feature = "shipped")]
#[test]
fn what_ships_is_listed_and_is_what_runs() {
    let mut command = Command::cargo_bin("dignity").unwrap();
    let listed = command.arg("models").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.starts_with("dignity-small-en "), "{listed}");
    // Four files of the model and three policies.
    assert_eq!(listed.matches("sha256:").count(), 7);
    let named = |part| listed.contains(part);
    assert!(named("engine packed with "), "{listed}");
    // With tiles, 16 bits are faster than eight.
    assert!(
        named("precision int8, or w8a16") || named(" amx, precision w8a16, or bf16"),
        "{listed}"
    );
    let posts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/posts.jsonl");
    let output = Command::cargo_bin("dignity").unwrap().args(["score", posts]).output().unwrap();
    let header = errors(&output).lines().next().unwrap().to_owned();
    let digest = header.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap();
    let digest = digest.trim_end_matches(';');
    assert!(listed.contains(&format!("{digest} ")), "{header}\n{listed}");
    let rows = json_lines(&output.stdout);
    assert_eq!(rows.len(), 10);
    // The plain cases that any version of the model must get right.
    let verdict = |id: i64| {
        let row = rows.iter().find(|row| row["id"] == id).unwrap();
        row["dignity"]["verdict"].as_str().map(str::to_owned)
    };
    assert_eq!(verdict(2).as_deref(), Some("flag"));
    for harmless in [1, 3, 5, 8] {
        assert_eq!(verdict(harmless).as_deref(), Some("allow"), "{harmless}");
    }
    assert_eq!(verdict(6), None);
}

/// The tiny classifier of another maker, with three labels.
const FOREIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/families/bert");

#[test]
fn a_model_of_another_maker_scores_by_its_labels_and_decides_by_their_roles() {
    let policy = "format = 1\nname = 'mine'\nversion = '1'\nmodel = 'bert'\n\
                  [flag]\nhate = 0.0\n[review]\nhate = 0.0\n[because]\ndefault = 0.5\n";
    let files = Files::new(&[
        ("posts.jsonl", b"{\"text\": \"bread and rain\"}\n{\"text\": \"\"}\n"),
        ("roles.toml", b"[roles]\nidentity_hate = 'hate'\n"),
        ("mine.toml", policy.as_bytes()),
    ]);
    let run = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("dignity").unwrap();
        command.current_dir(files.0.path()).args(arguments);
        command.args(["--model", FOREIGN]).output().unwrap()
    };
    let scored = run(&["score", "posts.jsonl"]);
    assert!(scored.status.success(), "{}", errors(&scored));
    let rows = json_lines(&scored.stdout);
    let row = rows[0]["dignity"].as_object().unwrap();
    assert!(row.keys().eq(["labels", "windows"]), "{row:?}");
    let labels = row["labels"].as_object().unwrap();
    assert!(labels.keys().eq(["identity_hate", "insult", "neutral"]), "{labels:?}");
    assert!(rows[1]["dignity"]["error"].is_string());
    let told = errors(&scored);
    assert!(told.contains("no policy") && told.contains("labels by sigmoid"), "{told}");
    assert!(told.contains("1 scored, 1 bad"), "{told}");

    let decided = run(&["score", "posts.jsonl", "--roles", "roles.toml", "--policy", "mine.toml"]);
    let row = &json_lines(&decided.stdout)[0]["dignity"];
    assert_eq!(row["hate"], row["labels"]["identity_hate"]);
    assert_eq!(row["verdict"], "flag");
    assert!(errors(&decided).contains("identity_hate (hate)"));

    let table = run(&["score", "--text", "bread", "--roles", "roles.toml"]);
    let table = String::from_utf8(table.stdout).unwrap();
    let names: Vec<_> = table.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["hate", "neutral", "identity_hate", "insult"]);

    for (arguments, fault) in [
        (&["score", "posts.jsonl", "--policy", "mine.toml"][..], "decides by hate"),
        (&["score", "posts.jsonl", "--policy", "balanced"], "no policy is called \"balanced\""),
        (&["explain", "--text", "bread"], "no label for dehumanization"),
        (&["score", "posts.jsonl", "--report", "r.json"], "no label for dehumanization"),
        (&["evaluate", "posts.jsonl"], "no label for dehumanization"),
        (&["score", "posts.jsonl", "--roles", "none.toml"], "none.toml"),
        (&["score", "posts.jsonl", "--engine", "candle", "--device", "cuda:7"], "cuda:7"),
    ] {
        let failed = run(arguments);
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}");
        assert!(errors(&failed).contains(fault), "{arguments:?}: {}", errors(&failed));
    }
}
