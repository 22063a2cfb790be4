//! What a run keeps beside its output so that the same command can go on where it was killed.
//!
//! A directory, `NAME.unfinished`, with the parts of outputs, a description of the run, and the last
//! checkpoint, which is replaced as a whole. A checkpoint is written after everything that it tells
//! of is on disk; what is there beyond it is cut off when the run goes on. A directory without a
//! checkpoint is worth nothing and is removed or used anew.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    files::{Written, write_whole},
    summary::Summary,
};

/// What names a run, each property in words: equal for two runs only where the second may go on
/// with the first.
pub(super) type Identity = IndexMap<String, String>;

/// How far the inputs have been read: all rows before are in the outputs, none after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The input, from 0.
    pub(super) input: usize,
    /// How many of its rows.
    pub(super) row: u64,
    /// How many rows of all inputs.
    pub(super) rows: u64,
}

/// An output that is being written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) target: usize,
    pub(super) rows: u64,
    pub(super) bad: u64,
    pub(super) written: Written,
}

/// An output that is complete.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Finished {
    pub(super) target: usize,
    pub(super) rows: u64,
    pub(super) bad: u64,
    /// Its size and digest, where the run tells them.
    pub(super) content: Option<Content>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) bytes: u64,
    pub(super) digest: Digest,
}

/// Where a run can go on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) position: Position,
    pub(super) part: Option<Part>,
    /// The length of the list of finished outputs.
    finished_bytes: u64,
    pub(super) left_out: BTreeSet<String>,
    pub(super) summary: Summary,
    /// The list itself, which has a file of its own.
    #[serde(skip)]
    pub(super) finished: Vec<Finished>,
}

/// The directory of a run.
pub(super) struct Work {
    directory: PathBuf,
    /// Held as long as the run lives, and given up by the system when it dies.
    _lock: File,
    finished: File,
    keep: bool,
}

/// Why a run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum WorkError {
    #[error("{}: {source}", directory.display())]
    Directory { directory: PathBuf, source: io::Error },
    #[error("{}: another run is writing this output", directory.display())]
    InUse { directory: PathBuf },
    #[error(
        "{}: there is an unfinished run of another kind: {what} was {was}, and is {is} now; run the \
         command of then to go on, or give --restart to begin anew", directory.display()
    )]
    Changed { directory: PathBuf, what: String, was: String, is: String },
    #[error(
        "{}: the checkpoint cannot be read: {source}; give --restart to begin anew",
        directory.display()
    )]
    Checkpoint { directory: PathBuf, source: serde_json::Error },
}

const RUN: &str = "run.json";
const CHECKPOINT: &str = "checkpoint.json";
const FINISHED: &str = "finished.jsonl";
const LOCK: &str = "lock";
const PART: &str = "part-";

impl Work {
    /// Opens the directory. Gives the checkpoint of a run that was killed, unless it is to
    /// `restart`.
    pub(super) fn open(
        directory: &Path,
        identity: &Identity,
        restart: bool,
    ) -> Result<(Self, Option<Checkpoint>), WorkError> {
        let failed = |source| WorkError::Directory { directory: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        let lock = File::create(directory.join(LOCK)).map_err(failed)?;
        if !locked(&lock) {
            return Err(WorkError::InUse { directory: directory.to_owned() });
        }
        let mut checkpoint = match restart {
            true => None,
            false => Self::checkpoint(directory, identity)?,
        };
        if checkpoint.is_none() {
            clear(directory).map_err(failed)?;
            let run = serde_json::to_vec_pretty(identity).map_err(|e| failed(e.into()))?;
            write_whole(&directory.join(RUN), &run).map_err(failed)?;
        }
        let mut finished = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(directory.join(FINISHED))
            .map_err(failed)?;
        if let Some(checkpoint) = &mut checkpoint {
            checkpoint.finished =
                read_finished(&mut finished, checkpoint.finished_bytes).map_err(failed)?;
        }
        let keep = checkpoint.is_some();
        Ok((Self { directory: directory.to_owned(), _lock: lock, finished, keep }, checkpoint))
    }

    fn checkpoint(directory: &Path, identity: &Identity) -> Result<Option<Checkpoint>, WorkError> {
        let Ok(checkpoint) = fs::read(directory.join(CHECKPOINT)) else { return Ok(None) };
        let unreadable = |source| WorkError::Checkpoint { directory: directory.to_owned(), source };
        let run = fs::read(directory.join(RUN)).unwrap_or_default();
        let begun: Identity = serde_json::from_slice(&run).map_err(unreadable)?;
        if let Some((what, was, is)) = difference(&begun, identity) {
            return Err(WorkError::Changed { directory: directory.to_owned(), what, was, is });
        }
        serde_json::from_slice(&checkpoint).map(Some).map_err(unreadable)
    }

    /// The file that an output is written to.
    pub(super) fn part(&self, target: usize) -> PathBuf {
        self.directory.join(format!("{PART}{target:06}"))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes it so that a later run goes on from here. What is told of must be on disk.
    pub(super) fn record(
        &mut self,
        position: Position,
        part: Option<Part>,
        newly_finished: &[Finished],
        left_out: &BTreeSet<String>,
        summary: &Summary,
    ) -> io::Result<()> {
        let mut lines = Vec::new();
        for finished in newly_finished {
            serde_json::to_writer(&mut lines, finished)?;
            lines.push(b'\n');
        }
        self.finished.write_all(&lines)?;
        self.finished.sync_data()?;
        let checkpoint = Checkpoint {
            position,
            part,
            finished_bytes: self.finished.stream_position()?,
            left_out: left_out.clone(),
            summary: summary.clone(),
            finished: Vec::new(),
        };
        write_whole(&self.directory.join(CHECKPOINT), &serde_json::to_vec(&checkpoint)?)?;
        self.keep = true;
        sync_directory(&self.directory)
    }

    /// Whether a later run can go on.
    pub(super) fn is_kept(&self) -> bool {
        self.keep
    }

    /// Nothing of it is needed any more.
    pub(super) fn discard(&mut self) {
        self.keep = false;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.keep {
            // At worst it is found and used anew by a later run.
            if clear(&self.directory).is_ok() {
                let _ = fs::remove_file(self.directory.join(LOCK));
                let _ = fs::remove_dir(&self.directory);
            }
        }
    }
}

/// Takes the lock. A run that was killed just now may hold it for a moment.
fn locked(lock: &File) -> bool {
    for _ in 0..10 {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(50)),
            // Some file systems have no locks; the user has to see to it there.
            Ok(()) | Err(TryLockError::Error(_)) => return true,
        }
    }
    false
}

/// The list as it was at the checkpoint; what was added later is cut off.
fn read_finished(file: &mut File, bytes: u64) -> io::Result<Vec<Finished>> {
    file.set_len(bytes)?;
    let mut list = Vec::new();
    for line in BufReader::new(&*file).lines() {
        list.push(serde_json::from_str(&line?)?);
    }
    file.seek(SeekFrom::End(0))?;
    Ok(list)
}

/// Removes what a run has left. A directory with anything else in it is not one of a run.
fn clear(directory: &Path) -> io::Result<()> {
    let mut left = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = [RUN, CHECKPOINT, FINISHED].contains(&name.as_str());
        if known || name.starts_with(PART) || name.starts_with(".dignity-") {
            left.push(entry.path());
        } else if name != LOCK {
            return Err(io::Error::other(format!("{name} in it is not of dignity; remove it")));
        }
    }
    // Without the checkpoint the rest is worth nothing; with it, it would be missed.
    left.sort_by_key(|path| path.file_name() != Some(CHECKPOINT.as_ref()));
    left.iter().try_for_each(fs::remove_file)
}

/// The first property that is not the same: what, as it was, as it is.
fn difference(was: &Identity, is: &Identity) -> Option<(String, String, String)> {
    let none = || "not there".to_owned();
    let told =
        |identity: &Identity, what: &String| identity.get(what).cloned().unwrap_or_else(none);
    was.keys()
        .chain(is.keys())
        .find(|what| was.get(*what) != is.get(*what))
        .map(|what| (what.clone(), told(was, what), told(is, what)))
}

/// Puts the names of a directory on disk, where the system can.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(size: &str) -> Identity {
        Identity::from_iter([
            ("model".to_owned(), "m".to_owned()),
            ("input a".to_owned(), size.to_owned()),
        ])
    }

    #[test]
    fn a_run_goes_on_only_with_its_own_checkpoint() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("out.unfinished");
        let open = |size: &str, restart| Work::open(&directory, &identity(size), restart);
        let finished = |target| Finished { target, rows: 3, bad: 1, content: None };
        let position = Position { input: 1, row: 2, rows: 5 };
        let (mut work, begun) = open("1", false).unwrap();
        assert!(begun.is_none());
        let record = |work: &mut Work, list: &[Finished]| {
            work.record(position, None, list, &BTreeSet::new(), &Summary::default()).unwrap();
        };
        record(&mut work, &[finished(0)]);
        let in_use = open("1", false).map(|_| ()).unwrap_err();
        assert!(matches!(in_use, WorkError::InUse { .. }), "{in_use}");
        // As if it had been killed between the list and the checkpoint.
        work.finished.write_all(b"{\"target\":1,").unwrap();
        drop(work);

        let changed = open("2", false).map(|_| ()).unwrap_err().to_string();
        assert!(changed.contains("input a was 1, and is 2 now"), "{changed}");
        let (mut work, begun) = open("1", false).unwrap();
        let checkpoint = begun.unwrap();
        assert_eq!((checkpoint.position, checkpoint.finished.len()), (position, 1));
        record(&mut work, &[finished(1)]);
        drop(work);
        let (work, begun) = open("1", false).unwrap();
        assert_eq!(begun.unwrap().finished.len(), 2);
        drop(work);
        fs::write(directory.join("letter.txt"), "").unwrap();
        let foreign = open("2", true).map(|_| ()).unwrap_err().to_string();
        assert!(foreign.contains("letter.txt in it is not of dignity"), "{foreign}");
        fs::remove_file(directory.join("letter.txt")).unwrap();
        let (work, begun) = open("2", true).unwrap();
        assert!(begun.is_none());
        drop(work);
        assert!(!directory.exists(), "nothing is kept of a run without a checkpoint");
    }
}
