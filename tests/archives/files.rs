//! A directory of files, and the command run in it.

use std::{
    fs,
    io::{Read, Write},
    path::PathBuf,
    process::{Command, Output},
};

use flate2::{read::MultiGzDecoder, write::GzEncoder};
use serde_json::Value;
use tempfile::TempDir;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");

/// A directory of input files.
pub(crate) struct Files(pub(crate) TempDir);

impl Files {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// `dignity score --model TINY …`, in the directory.
    pub(crate) fn score(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("dignity"));
        command.current_dir(self.0.path()).args(["score", "--model", TINY]).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.score(arguments).output().unwrap()
    }

    /// A run that must be without fault.
    pub(crate) fn good(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
        output
    }

    /// A run that must fail; gives what it says.
    pub(crate) fn bad(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", errors(&output));
        errors(&output)
    }

    /// The names of everything in the directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn json_lines(output: &[u8]) -> Vec<Value> {
    let text = str::from_utf8(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut content).unwrap();
    content
}

/// Lines of JSON with short texts, all different.
pub(crate) fn posts(count: usize) -> String {
    const WORDS: [&str; 8] =
        ["river", "bakery", "garden", "window", "copper", "violin", "harbour", "lantern"];
    let post = |n: usize| {
        let (a, b) = (WORDS[n % 8], WORDS[n / 8 % 8]);
        format!("{{\"id\":{n},\"text\":\"{a} {b} {n}\"}}\n")
    };
    (0..count).map(post).collect()
}
