//! Compressed files, directories, shards, policies and reports.

use std::{collections::BTreeMap, fs};

use dignity::Digest;
use serde_json::Value;

use crate::files::{Files, errors, gunzip, gzip, json_lines, posts};

#[test]
fn compressed_files_are_read_and_written_like_plain_ones() {
    let lines = posts(40);
    let (first, second) = lines.split_at(lines.len() / 2);
    let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    let files = Files::new(&[
        ("a.jsonl", lines.as_bytes()),
        ("b.jsonl.gz", &members),
        ("c.csv.gz", &gzip(b"text\nriver\n\"two\nlines\"\n")),
        ("empty.txt.gz", &gzip(b"")),
    ]);
    let plain = files.good(&["a.jsonl"]).stdout;
    assert_eq!(json_lines(&plain).len(), 40);
    assert_eq!(files.good(&["b.jsonl.gz"]).stdout, plain);
    files.good(&["b.jsonl.gz", "-o", "out.jsonl.gz"]);
    assert_eq!(gunzip(&files.read("out.jsonl.gz")), plain);
    files.good(&["c.csv.gz", "-o", "out.csv.gz"]);
    let table = String::from_utf8(gunzip(&files.read("out.csv.gz"))).unwrap();
    assert!(table.starts_with("text,dignity.dehumanization,"), "{table}");
    assert!(table.contains("\n\"two\nlines\",0."), "{table}");
    files.good(&["empty.txt.gz", "-o", "none.jsonl.gz"]);
    assert_eq!(gunzip(&files.read("none.jsonl.gz")), b"");
    #[cfg(feature = "zstd")]
    {
        let frames = [first, second].map(|part| zstd::encode_all(part.as_bytes(), 0).unwrap());
        fs::write(files.path("d.jsonl.zst"), frames.concat()).unwrap();
        files.good(&["d.jsonl.zst", "-o", "out.jsonl.zst"]);
        let out = files.read("out.jsonl.zst");
        assert_eq!(zstd::decode_all(out.as_slice()).unwrap(), plain);
    }
    #[cfg(not(feature = "zstd"))]
    {
        fs::write(files.path("d.jsonl.zst"), "").unwrap();
        assert!(files.bad(&["d.jsonl.zst"]).contains("built without zstd"));
    }
    #[cfg(not(feature = "parquet"))]
    {
        fs::write(files.path("d.parquet"), "").unwrap();
        assert!(files.bad(&["d.parquet"]).contains("built without Parquet"));
        assert!(files.bad(&["a.jsonl", "-o", "x.parquet"]).contains("built without Parquet"));
    }
}

#[test]
fn a_file_that_is_cut_off_is_an_error_and_leaves_no_output() {
    let whole = gzip(posts(2_000).as_bytes());
    let files = Files::new(&[
        ("cut.jsonl.gz", &whole[..whole.len() - 20]),
        ("broken.jsonl.gz", b"not gzip at all"),
    ]);
    for name in ["cut.jsonl.gz", "broken.jsonl.gz"] {
        let error = files.bad(&[name, "-o", "out.jsonl"]);
        assert!(error.contains(&format!("{name}: the gzip data are broken or cut off")), "{error}");
    }
    assert_eq!(files.names(), ["broken.jsonl.gz", "cut.jsonl.gz"]);
}

#[test]
fn a_directory_goes_to_a_directory_with_a_manifest() {
    let files = Files::new(&[
        ("in/a.jsonl", posts(3).as_bytes()),
        ("in/deep/b.csv.gz", &gzip(b"id,text\n1,river\n2,\n")),
        ("in/deep/c.tsv", b"text\tn\ngarden\t1\n"),
        ("in/empty.txt", b""),
        ("in/notes.md", b"not read"),
        ("in/z.txt", b"window\n"),
    ]);
    files.good(&["in", "--output-dir", "out"]);
    let manifest: Value = serde_json::from_slice(&files.read("out/manifest.json")).unwrap();
    let outputs = manifest["outputs"].as_array().unwrap();
    let told = |key: &str| outputs.iter().map(|entry| entry[key].clone()).collect::<Vec<_>>();
    assert_eq!(
        told("path"),
        ["a.jsonl", "deep/b.csv.gz", "deep/c.tsv.jsonl", "empty.txt.jsonl", "z.txt.jsonl"]
    );
    assert_eq!(told("rows"), [3, 2, 1, 0, 1]);
    assert_eq!(told("bad"), [0, 1, 0, 0, 0]);
    assert_eq!(told("input")[1], "in/deep/b.csv.gz");
    assert_eq!((&manifest["rows"], &manifest["bad"]), (&7.into(), &1.into()));
    assert_eq!(manifest["run"]["policies"][0]["name"], "balanced");
    for entry in outputs {
        let content = files.read(&format!("out/{}", entry["path"].as_str().unwrap()));
        assert_eq!(entry["digest"], Digest::of(&content).to_string());
        assert_eq!(entry["bytes"], content.len());
    }
    let left: Vec<_> = fs::read_dir(files.path("out")).unwrap().collect();
    assert_eq!(left.len(), 5, "three files, a directory and the manifest: {left:?}");
    assert_eq!(files.read("out/a.jsonl"), files.good(&["in/a.jsonl"]).stdout);

    // Into one file, by pattern, and its manifest by name.
    files.good(&["in/*.jsonl", "in/deep/*", "-o", "all.jsonl", "--manifest", "m.json"]);
    assert_eq!(json_lines(&files.read("all.jsonl")).len(), 6);
    let manifest: Value = serde_json::from_slice(&files.read("m.json")).unwrap();
    let digest = Digest::of(&files.read("all.jsonl")).to_string();
    assert_eq!(
        (&manifest["outputs"][0]["digest"], manifest["inputs"][2].as_str()),
        (&digest.into(), Some("in/deep/c.tsv"))
    );
    // Outputs among the inputs are not read again.
    for _ in 0..2 {
        files.good(&["in", "--output-dir", "in/scored"]);
        let manifest: Value =
            serde_json::from_slice(&files.read("in/scored/manifest.json")).unwrap();
        assert_eq!(manifest["inputs"].as_array().unwrap().len(), 5);
    }
    // By standard input no later run could go on, and it is written all the same.
    files.good(&["-", "--output-dir", "piped"]);
    assert_eq!(files.read("piped/stdin.jsonl"), b"");
}

#[test]
fn outputs_that_would_get_in_the_way_are_refused() {
    let files =
        Files::new(&[("in/a.jsonl", posts(2).as_bytes()), ("other/a.jsonl", posts(2).as_bytes())]);
    assert!(files.bad(&["in", "--output-dir", "in"]).contains("would take the place of an input"));
    let same = files.bad(&["in", "other", "--output-dir", "out"]);
    assert!(same.contains("in/a.jsonl and other/a.jsonl would both be written to"), "{same}");
    assert!(files.bad(&["in", "--manifest", "m.json"]).contains("give --output"));
    assert!(files.bad(&["no/*.jsonl"]).contains("no/*.jsonl: it matches no file"));
    for arguments in [
        &["in", "--shard", "3/2"][..],
        &["in", "--report", "r.txt"],
        &["in", "-o", "x", "--output-dir", "y"],
        &["in", "--checkpoint-every", "-1"],
    ] {
        assert_eq!(files.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(files.read("in/a.jsonl"), posts(2).as_bytes());
}

#[test]
fn shards_have_every_row_once() {
    let files = Files::new(&[
        ("a.jsonl", posts(7).as_bytes()),
        ("b.csv", b"id,text\n100,river\n101,\n102,garden\n103,violin\n"),
    ]);
    let ids = |rows: &[Value]| -> Vec<String> {
        rows.iter().map(|row| row["id"].to_string().replace('"', "")).collect()
    };
    let all = json_lines(&files.good(&["a.jsonl", "b.csv"]).stdout);
    let mut by_id = BTreeMap::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let rows = json_lines(&files.good(&["a.jsonl", "b.csv", "--shard", shard]).stdout);
        assert!((3..=4).contains(&rows.len()), "{shard}: {}", rows.len());
        for (id, row) in ids(&rows).into_iter().zip(rows) {
            assert_eq!(by_id.insert(id.clone(), row), None, "{id} is twice there");
        }
    }
    assert_eq!(by_id.len(), 11);
    for (id, row) in ids(&all).into_iter().zip(all) {
        assert_eq!(by_id[&id], row, "{id}");
    }
}

#[test]
fn several_policies_decide_side_by_side() {
    let files = Files::new(&[("in.jsonl", format!("{}{{\"text\":\"\"}}\n", posts(6)).as_bytes())]);
    let one = json_lines(&files.good(&["in.jsonl", "--policy", "strict"]).stdout);
    let both = ["in.jsonl", "--policy", "strict", "--policy", "balanced"];
    let output = files.good(&both);
    assert!(errors(&output).contains("policy strict") && errors(&output).contains(", balanced "));
    let rows = json_lines(&output.stdout);
    let balanced = json_lines(&files.good(&["in.jsonl"]).stdout);
    for ((row, one), balanced) in rows.iter().zip(&one).zip(&balanced).take(6) {
        let policies = &row["dignity"]["policies"];
        assert_eq!(row["dignity"]["verdict"], one["dignity"]["verdict"], "the first decides");
        assert_eq!(policies["strict"]["verdict"], one["dignity"]["verdict"]);
        assert_eq!(policies["strict"]["because"], one["dignity"]["because"]);
        assert_eq!(policies["balanced"]["verdict"], balanced["dignity"]["verdict"]);
        assert!(one["dignity"].get("policies").is_none(), "one policy is told once");
    }
    assert!(rows[6]["dignity"].get("policies").is_none() && rows.len() == 7);
    assert!(
        rows.iter().zip(&balanced).any(|(a, b)| a["dignity"]["verdict"] != b["dignity"]["verdict"])
    );

    files.good(&[&both[..], &["-o", "out.csv"]].concat());
    let mut reader = csv::Reader::from_path(files.path("out.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    assert_eq!(header.iter().next_back(), Some("dignity.policies.balanced.because"));
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    for (record, row) in records.iter().zip(&rows).take(6) {
        let verdict = &row["dignity"]["policies"]["balanced"]["verdict"];
        assert_eq!(record[at("dignity.policies.balanced.verdict")], *verdict.as_str().unwrap());
    }
    assert_eq!(&records[6][at("dignity.policies.strict.verdict")], "");
    assert_eq!(&records[6][at("dignity.error")], "the text is empty");
    let twice = files.bad(&["in.jsonl", "--policy", "strict", "--policy", "strict"]);
    assert!(twice.contains("two policies are called \"strict\""), "{twice}");
}

#[test]
fn a_report_has_figures_that_add_up_and_no_text_as_it_was() {
    const WORDS: [&str; 4] = ["bakery", "harbour", "lantern", "sp00n"];
    let texts: String = (0..60)
        .map(|n| format!("They are my {} and the {n} of {}\n", WORDS[n % 4], WORDS[n / 4 % 4]))
        .collect();
    let files = Files::new(&[("in.txt", format!("{texts}\n \n").as_bytes())]);
    let output = files.good(&[
        "in.txt",
        "--policy",
        "strict",
        "--policy",
        "balanced",
        "--report",
        "r.html",
        "--report",
        "r.json",
        "-o",
        "out.jsonl",
    ]);
    let figures: Value = serde_json::from_slice(&files.read("r.json")).unwrap();
    let count = |value: &Value| value.as_u64().unwrap();
    let sum = |value: &Value| value.as_object().unwrap().values().map(count).sum::<u64>();
    assert_eq!(
        (count(&figures["rows"]), count(&figures["scored"]), count(&figures["bad"])),
        (62, 60, 2)
    );
    assert_eq!(sum(&figures["decisions"]), 60);
    assert_eq!(figures["distribution"].as_array().unwrap().iter().map(count).sum::<u64>(), 60);
    for policy in ["strict", "balanced"] {
        assert_eq!(sum(&figures["policies"][policy]), 60);
    }
    assert_eq!(figures["policies"]["strict"], figures["decisions"]);
    // The same, counted from the rows.
    let rows = json_lines(&files.read("out.jsonl"));
    for decision in ["allow", "review", "flag"] {
        let found = rows.iter().filter(|row| row["dignity"]["verdict"] == decision).count();
        assert_eq!(count(&figures["decisions"][decision]), found as u64, "{decision}");
    }
    let named = |category: &str| {
        let names = |row: &&Value| {
            row["dignity"]["because"]
                .as_array()
                .is_some_and(|all| all.iter().any(|c| c == category))
        };
        rows.iter().filter(names).count() as u64
    };
    for category in ["caste", "religion"] {
        assert_eq!(sum(&figures["categories"][category]), named(category), "{category}");
    }
    assert!(errors(&output).contains("60 scored") || errors(&output).contains("62 rows"));

    let page = String::from_utf8(files.read("r.html")).unwrap();
    let json = String::from_utf8(files.read("r.json")).unwrap();
    for word in WORDS {
        assert!(!page.contains(word) && !json.contains(word), "{word}");
    }
    assert!(page.contains("They are my ") && page.contains("<td>in.txt:"), "examples are shown");
    assert!(!json.contains("They are my"));
    for part in ["<script", "http://", "https://", "src="] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("<svg role=\"img\""));
    assert!(page.contains("the first letter is left"), "the page says how it masks");
}
