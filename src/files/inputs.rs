//! From what is named on the command line to the files that are read: directories and patterns.

use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use super::{FileError, Format, Input};

/// An input, and the name by which outputs are called after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) input: Input,
    /// Its path below the directory or pattern it was found by.
    pub(crate) relative: PathBuf,
    /// Whether it was found in a directory or by a pattern, rather than named.
    pub(crate) found: bool,
}

/// The files that `named` stands for, in order: a directory for all files of known formats in and
/// below it, a pattern (`*`, `?`, `[…]`, `**`) for those it matches, both sorted by name.
pub(crate) fn sources(named: &[Input]) -> Result<Vec<Source>, FileError> {
    let mut sources = Vec::new();
    for input in named {
        match input {
            Input::Path(path) if path.is_dir() => sources.extend(in_directory(path, path)?),
            Input::Path(path) if !path.exists() && is_pattern(path) => {
                sources.extend(matching(path)?);
            }
            _ => sources.push(Source { input: input.clone(), relative: name(input), found: false }),
        }
    }
    Ok(sources)
}

fn name(input: &Input) -> PathBuf {
    match input {
        Input::Stdin => "stdin".into(),
        Input::Path(path) => path.file_name().unwrap_or_default().into(),
    }
}

/// The files below `directory` that have a known format, named from `base`.
fn in_directory(directory: &Path, base: &Path) -> Result<Vec<Source>, FileError> {
    let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    let walk = WalkDir::new(directory)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name()));
    let mut sources = Vec::new();
    for entry in walk {
        let entry = entry.map_err(|error| FileError::Read {
            input: Input::Path(error.path().unwrap_or(directory).to_owned()),
            source: error.into(),
        })?;
        if entry.file_type().is_file() && Format::of(entry.path()).is_some() {
            let relative = entry.path().strip_prefix(base).unwrap_or(entry.path()).to_owned();
            sources.push(Source { input: Input::Path(entry.into_path()), relative, found: true });
        }
    }
    if sources.is_empty() {
        return Err(FileError::EmptyDirectory { directory: directory.to_owned() });
    }
    Ok(sources)
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

/// What a pattern matches. Its leading part without special characters is not in relative names.
fn matching(pattern: &Path) -> Result<Vec<Source>, FileError> {
    let text = pattern.to_string_lossy();
    let fault = |fault: String| FileError::Pattern { pattern: text.clone().into_owned(), fault };
    let base: PathBuf = pattern
        .components()
        .take_while(|part| !matches!(part, Component::Normal(name) if is_pattern(Path::new(name))))
        .collect();
    let mut sources = Vec::new();
    for path in glob::glob(&text).map_err(|error| fault(error.to_string()))? {
        let path = path.map_err(|error| fault(error.to_string()))?;
        if path.is_dir() {
            // `data/*` reads the directories in it as `data` would; `**` has been there already.
            if !text.contains("**") {
                sources.extend(in_directory(&path, &base).or_else(none_of_an_empty_one)?);
            }
        } else {
            let relative = path.strip_prefix(&base).unwrap_or(&path).to_owned();
            sources.push(Source { input: Input::Path(path), relative, found: true });
        }
    }
    if sources.is_empty() {
        return Err(fault("it matches no file".to_owned()));
    }
    Ok(sources)
}

fn none_of_an_empty_one(error: FileError) -> Result<Vec<Source>, FileError> {
    match error {
        FileError::EmptyDirectory { .. } => Ok(Vec::new()),
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(root: &Path, named: &str) -> Vec<String> {
        let named = Input::Path(root.join(named));
        let sources = sources(&[named]).unwrap();
        sources.iter().map(|source| source.relative.to_string_lossy().replace('\\', "/")).collect()
    }

    #[test]
    fn directories_and_patterns_give_their_files_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("b/deep")).unwrap();
        fs::create_dir_all(root.join(".hidden")).unwrap();
        fs::create_dir_all(root.join("empty")).unwrap();
        for file in
            ["z.csv", "a.jsonl.gz", "b/deep/c.txt", "b/notes.md", ".hidden/x.txt", "b/a.parquet"]
        {
            fs::write(root.join(file), "").unwrap();
        }
        assert_eq!(names(root, "."), ["a.jsonl.gz", "b/a.parquet", "b/deep/c.txt", "z.csv"]);
        assert_eq!(names(root, "*.csv"), ["z.csv"]);
        assert_eq!(names(root, "b/**/*.txt"), ["deep/c.txt"]);
        assert_eq!(names(root, "?"), ["b/a.parquet", "b/deep/c.txt"]);
        assert_eq!(names(root, "missing.csv"), ["missing.csv"]);
        let fault = |name: &str| sources(&[Input::Path(root.join(name))]).unwrap_err().to_string();
        assert!(fault("empty").contains("no file of a known format"));
        assert!(fault("*.nope").contains("matches no file"));
    }
}
