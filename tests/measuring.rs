//! `dignity evaluate` and `dignity policy`, run as processes on a tiny model.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by panicking")]
#![cfg(feature = "cli")]

use std::{fs, path::Path, process::Output};

use assert_cmd::Command;
use serde_json::Value;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");
const LABELLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/labelled.jsonl");

/// `dignity SUBCOMMAND … --model TINY`, in `directory`.
fn dignity(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("dignity").unwrap();
    command.current_dir(directory).args(arguments).args(["--model", TINY]).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{}", errors(output));
    str::from_utf8(&output.stdout).unwrap()
}

fn errors(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

fn evaluate(directory: &Path, arguments: &[&str]) -> Value {
    let fixed = ["evaluate", LABELLED, "--json", "-", "--quiet"];
    let fast: &[_] = if arguments.contains(&"--bootstrap") { &[] } else { &["--bootstrap", "20"] };
    let output = dignity(directory, &[&fixed, fast, arguments].concat());
    serde_json::from_str(stdout(&output)).unwrap()
}

/// (labels, scores and verdict) of the labelled rows, as `dignity score` gives them.
fn scored(directory: &Path) -> Vec<Value> {
    let output = dignity(directory, &["score", LABELLED, "--quiet"]);
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// ROC AUC by its definition, over all pairs.
fn auc(pairs: &[(f64, bool)]) -> f64 {
    let (mut ordered, mut all) = (0.0, 0.0);
    for positive in pairs.iter().filter(|pair| pair.1) {
        for negative in pairs.iter().filter(|pair| !pair.1) {
            all += 1.0;
            ordered += match positive.0.total_cmp(&negative.0) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    ordered / all
}

#[test]
fn figures_are_those_of_the_scores_that_the_command_gives() {
    let directory = tempfile::tempdir().unwrap();
    let report = evaluate(directory.path(), &[]);
    let rows = scored(directory.path());
    assert_eq!(report["n"], rows.len());
    assert_eq!(report["positives"], 10);

    let dehumanization = |row: &Value| row["dignity"]["dehumanization"].as_f64().unwrap();
    let close = |a: &Value, b: f64| assert!((a.as_f64().unwrap() - b).abs() < 2e-6, "{a} {b}");
    let pairs = |keep: &dyn Fn(&Value) -> bool| -> Vec<_> {
        let kept = rows.iter().filter(|row| keep(row));
        kept.map(|row| (dehumanization(row), row["dehum"] == 1)).collect()
    };
    close(&report["dehumanization"]["roc_auc"]["value"], auc(&pairs(&|_| true)));
    let hateful = pairs(&|row| row["hate"] == 1);
    close(&report["dehumanization_among_hate"]["roc_auc"]["value"], auc(&hateful));
    assert_eq!(report["dehumanization_among_hate"]["n"], 15);
    assert_eq!(report["hate"]["n"], 27, "one row's label for hate is unknown");

    // Mentioned, whether dehumanized or not.
    let mentions = |row: &Value| row["groups"].as_array().unwrap().contains(&"age".into());
    let age =
        report["groups"].as_array().unwrap().iter().find(|row| row["group"] == "age").unwrap();
    assert_eq!((&age["n"], &age["positives"]), (&5.into(), &2.into()));
    assert_eq!(age["subgroup_auc"], serde_json::json!({"value": null, "interval": null, "n": 2}));
    let background = pairs(&|row| mentions(row) == (row["dehum"] == 1));
    assert_eq!(age["bnsp_auc"]["n"], 2);
    assert_eq!(background.iter().filter(|pair| pair.1).count(), 2);

    for (level, verdicts) in [("flag", ["flag", "flag"]), ("review", ["flag", "review"])] {
        let chosen = rows
            .iter()
            .filter(|row| verdicts.contains(&row["dignity"]["verdict"].as_str().unwrap()));
        let right = chosen.clone().filter(|row| row["dehum"] == 1).count();
        assert_eq!(report[level]["true_positives"], right);
        assert_eq!(report[level]["false_positives"], chosen.count() - right);
    }
    let animal = &report["ways"]["animal"];
    assert_eq!(animal["positives"], 4);
    assert_eq!(animal["roc_auc"]["value"], Value::Null, "four are too few");
    let functions = report["by_function"].as_array().unwrap();
    let names: Vec<_> = functions.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.contains(&"counter-speech"));
    let literal = functions.iter().find(|row| row["name"] == "literal").unwrap();
    assert_eq!((&literal["n"], &literal["positives"]), (&5.into(), &0.into()));
    let alarms = literal["flag"]["false_positives"].as_f64().unwrap() / 5.0;
    close(&literal["flag"]["false_positive_rate"]["value"], alarms);
    let bins = report["reliability"]["bins"].as_array().unwrap();
    assert_eq!(bins.iter().map(|bin| bin["n"].as_u64().unwrap()).sum::<u64>(), 28);
    assert_eq!(report["model"]["name"], "tiny-bert");
    assert_eq!(report["policy"]["name"], "balanced");
    assert_eq!(report["data"]["name"], "labelled.jsonl");
}

#[test]
fn equal_runs_give_equal_figures_and_other_seeds_other_intervals() {
    let directory = tempfile::tempdir().unwrap();
    let figures = |arguments: &[&str]| {
        let mut report = evaluate(directory.path(), arguments);
        report.as_object_mut().unwrap().remove("date");
        report
    };
    let first = figures(&[]);
    assert_eq!(figures(&["--threads", "1"]), first);
    let other = figures(&["--seed", "5"]);
    let auc = |report: &Value| report["dehumanization"]["roc_auc"].clone();
    assert_eq!(auc(&other)["value"], auc(&first)["value"]);
    assert_ne!(auc(&other)["interval"], auc(&first)["interval"]);
    let none = figures(&["--bootstrap", "0"]);
    assert_eq!(auc(&none)["interval"], Value::Null);
}

#[test]
fn bad_rows_are_told_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = fs::read_to_string(LABELLED).unwrap();
    lines.push_str("{\"text\":\"unlabelled\"}\n{\"text\":\" \",\"dehum\":0}\nnot json\n");
    lines.push_str("{\"text\":\"x\",\"dehum\":1,\"groups\":[\"abc\"]}\n");
    fs::write(directory.path().join("in.jsonl"), lines).unwrap();
    let output = dignity(directory.path(), &["evaluate", "in.jsonl", "--bootstrap", "5"]);
    assert!(stdout(&output).starts_with("in.jsonl: 28 texts, 10 dehumanize; 4 bad rows"));
    let told = [
        "in.jsonl:29: missing field `dehum`",
        "in.jsonl:30: the text is blank",
        "in.jsonl:31: not a JSON object",
        "in.jsonl:32: the field \"groups\" has the unknown code \"abc\"",
    ];
    assert!(told.iter().all(|line| errors(&output).contains(line)), "{}", errors(&output));

    fs::write(directory.path().join("none.jsonl"), "{\"text\":\"x\"}\n").unwrap();
    let none = dignity(directory.path(), &["evaluate", "none.jsonl"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(errors(&none).contains("none.jsonl: no row has labels"), "{}", errors(&none));
}

#[test]
fn the_page_stands_alone_and_shows_no_text_of_the_data() {
    let directory = tempfile::tempdir().unwrap();
    let fixed = ["evaluate", LABELLED, "--html", "out.html", "--json", "out.json"];
    let output = dignity(directory.path(), &[&fixed[..], &["--bootstrap", "20"]].concat());
    let table = stdout(&output);
    let page = fs::read_to_string(directory.path().join("out.html")).unwrap();
    let json = fs::read_to_string(directory.path().join("out.json")).unwrap();
    for text in scored(directory.path()).iter().map(|row| row["text"].as_str().unwrap()) {
        assert!(!page.contains(text) && !json.contains(text) && !table.contains(text), "{text}");
    }
    for part in ["http", "src=", "href=", "url(", "<script", "@import"] {
        assert!(!page.contains(part), "{part} may reach for something else");
    }
    let report: Value = serde_json::from_str(&json).unwrap();
    for digest in [&report["model"], &report["policy"], &report["data"]] {
        assert!(page.contains(digest["digest"].as_str().unwrap()));
    }
    let plots = page.matches("<svg role=\"img\"").count();
    assert_eq!(plots, 6);
    assert_eq!(page.matches("<desc").count(), plots);
    assert!(page.matches("<table").count() > plots, "every plot has its numbers in a table");
    assert!(page.contains("prefers-color-scheme: dark"));
    let auc = report["dehumanization"]["roc_auc"]["value"].as_f64().unwrap();
    assert!(page.contains(&format!("{auc:.3}")) && table.contains(&format!("{auc:.3}")));
}

#[test]
fn policies_go_by_name_or_by_file() {
    let directory = tempfile::tempdir().unwrap();
    let balanced = evaluate(directory.path(), &[]);
    let strict = evaluate(directory.path(), &["--policy", "strict"]);
    assert_eq!(balanced["flag"]["threshold"], 0.8);
    assert_eq!(
        (&strict["flag"]["threshold"], &strict["policy"]["name"]),
        (&0.3.into(), &"strict".into())
    );
    let chosen = |report: &Value| {
        report["flag"]["true_positives"].as_u64().unwrap()
            + report["flag"]["false_positives"].as_u64().unwrap()
    };
    assert!(chosen(&strict) > chosen(&balanced));

    let score = |policy| dignity(directory.path(), &["score", "--text", "one", "--policy", policy]);
    assert!(errors(&score("strict")).contains("policy strict 2026-11-22"));
    let unknown = score("strickt");
    assert_eq!(unknown.status.code(), Some(1));
    let message = "no policy is called \"strickt\"; the model has balanced, strict";
    assert!(errors(&unknown).contains(message), "{}", errors(&unknown));
    let missing = score("my/policy.toml");
    assert!(errors(&missing).contains("my/policy.toml: the policy file could not be read"));
}

#[test]
fn policies_are_shown_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let shown = dignity(directory.path(), &["policy", "show"]);
    for part in [
        "balanced 2026-11-22 sha256:",
        "flag at dehumanization 0.8\n  by hand",
        "review at dehumanization 0.4",
    ] {
        assert!(stdout(&shown).contains(part), "{}", stdout(&shown));
    }
    assert!(stdout(&shown).contains("religion            0.4\n  caste               0.5"));
    assert!(stdout(&shown).contains("has the policies balanced, strict"));

    let good = fs::read_to_string(Path::new(TINY).join("policies/strict.toml")).unwrap();
    let check = |text: &str| {
        fs::write(directory.path().join("mine.toml"), text).unwrap();
        dignity(directory.path(), &["policy", "check", "mine.toml"])
    };
    let valid = check(&good);
    assert!(stdout(&valid).contains("mine.toml: a valid policy, strict"));
    assert_eq!(errors(&valid), "");
    let fault = |from: &str, to: &str| {
        assert!(good.contains(from));
        let output = check(&good.replace(from, to));
        assert_eq!(output.status.code(), Some(1));
        errors(&output).to_owned()
    };
    assert!(
        fault("dehumanization = 0.1", "dehumanization = 0.7")
            .contains("0.7 for dehumanization (line 11) is above")
    );
    assert!(fault("religion = 0.4", "religion = 4").contains("religion is 4 (line 19)"));
    assert!(fault("religion = 0.4", "religious = 0.4").contains("line 19"));
    assert!(fault("default = 0.5", "default = ").contains("line 15"));

    let other = check(&good.replace("tiny-bert", "huge-bert"));
    stdout(&other);
    assert!(errors(&other).contains("chosen for the model huge-bert, not tiny-bert"));
    let digest = format!("model_digest = \"sha256:{}\"\n\n[flag]", "0".repeat(64));
    let other = check(&good.replacen("\n[flag]", &digest, 1));
    stdout(&other);
    assert!(
        errors(&other).contains("chosen for another tiny-bert: sha256:000"),
        "{}",
        errors(&other)
    );
}

#[test]
fn a_tuned_policy_keeps_its_wish_and_says_what_it_rests_on() {
    let directory = tempfile::tempdir().unwrap();
    let tune = |arguments: &[&str]| {
        let fixed = ["policy", "tune", LABELLED, "--bootstrap", "20", "--out", "new.toml"];
        dignity(directory.path(), &[&fixed[..], arguments].concat())
    };
    let measured = || evaluate(directory.path(), &["--policy", "new.toml"]);
    let figure = |report: &Value, level: &str, name: &str| report[level][name]["value"].as_f64();

    let output =
        tune(&["--recall", "0.8", "--review-recall", "1", "--least", "1", "--name", "mine"]);
    stdout(&output);
    assert!(errors(&output).contains("rests on 10 rows, which is few"), "{}", errors(&output));
    let recall = measured();
    assert_eq!(recall["policy"]["name"], "mine");
    assert!(figure(&recall, "flag", "recall") >= Some(0.8));
    assert_eq!(figure(&recall, "review", "recall"), Some(1.0));
    let text = fs::read_to_string(directory.path().join("new.toml")).unwrap();
    let model = recall["model"]["digest"].as_str().unwrap();
    let data = recall["data"]["digest"].as_str().unwrap();
    for part in [
        "name = \"mine\"",
        &format!("model_digest = \"{model}\""),
        &format!("digest = \"{data}\""),
        "rows = 28\npositives = 10\nbad_rows = 0",
        "chosen = \"recall >= 0.8 on labelled.jsonl: ",
        // Categories keep the thresholds of the policy that was tuned.
        "religion = 0.4",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let shown = dignity(directory.path(), &["policy", "show", "new.toml"]);
    assert!(stdout(&shown).contains("on labelled.jsonl (28 texts, 10 dehumanize, 0 bad rows)"));

    // What can be reached at best, to the rounding of the message, is reached.
    let output = tune(&["--precision", "1", "--least", "20"]);
    assert_eq!(output.status.code(), Some(1));
    let message = errors(&output);
    assert!(message.contains("precision >= 1 is out of reach with at least 20 rows"), "{message}");
    let nearest: f64 = message.trim().rsplit(' ').next().unwrap().parse().unwrap();
    stdout(&tune(&["--precision", "1", "--least", "20", "--nearest"]));
    let precision = figure(&measured(), "flag", "precision").unwrap();
    assert!((precision - nearest).abs() < 1e-3, "{precision} {nearest}");

    stdout(&tune(&["--f1", "--least", "1"]));
    let best = figure(&measured(), "flag", "f1").unwrap();
    assert!(best >= figure(&recall, "flag", "f1").unwrap());
    stdout(&tune(&["--false-positive-rate", "0.5", "--least", "1"]));
    assert!(figure(&measured(), "flag", "false_positive_rate") <= Some(0.5));

    assert_eq!(tune(&[]).status.code(), Some(2), "a wish is needed");
    assert_eq!(tune(&["--f1", "--recall", "0.9"]).status.code(), Some(2), "one wish");
}
