//! A file's content, fetched from where an earlier try left off and verified.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::Path,
};

use ureq::http::StatusCode;

use super::{
    HubError,
    client::{ATTEMPTS, Client, Metadata, header},
};
use crate::digest::Digest;

/// A connection that brings this much before it is lost is no failed attempt.
const ADVANCE: u64 = 1 << 20;

/// Is told how downloads go on. `()` listens to nothing.
pub trait DownloadProgress {
    /// A file of `total` bytes, of which `done` are here, begins to come. It may begin again.
    fn start(&mut self, file: &str, done: u64, total: u64);
    /// So many bytes more are here.
    fn advance(&mut self, bytes: u64);
    /// The file is whole.
    fn finish(&mut self);
}

impl DownloadProgress for () {
    fn start(&mut self, _: &str, _: u64, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn finish(&mut self) {}
}

/// One file of a commit.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) commit: &'a str,
    pub(super) file: &'a str,
    pub(super) metadata: &'a Metadata,
}

impl Download<'_> {
    /// Makes the file at `path`, which may hold its beginning, whole. After a lost connection what came
    /// is kept there; what is wrong is removed.
    pub(super) fn run(
        &self,
        path: &Path,
        progress: &mut dyn DownloadProgress,
    ) -> Result<(), HubError> {
        let done = self.receive(path, progress).and_then(|()| self.verify(path));
        match done {
            Err(error @ (HubError::Size { .. } | HubError::Digest { .. })) => {
                fs::remove_file(path).map_err(HubError::cache(path))?;
                Err(error)
            }
            Ok(()) => {
                progress.finish();
                Ok(())
            }
            other => other,
        }
    }

    fn receive(&self, path: &Path, progress: &mut dyn DownloadProgress) -> Result<(), HubError> {
        let mut failures = 0;
        let mut furthest = length(path);
        loop {
            match self.receive_rest(path, progress) {
                Err(error) if error.is_transient() => {
                    let now = length(path);
                    failures = if now >= furthest + ADVANCE { 1 } else { failures + 1 };
                    furthest = furthest.max(now);
                    if failures >= ATTEMPTS {
                        return Err(error);
                    }
                }
                done => return done,
            }
            self.client.wait(failures);
        }
    }

    /// One connection.
    fn receive_rest(
        &self,
        path: &Path,
        progress: &mut dyn DownloadProgress,
    ) -> Result<(), HubError> {
        let size = self.metadata.size;
        let cache = |error| HubError::cache(path)(error);
        let wrong_size =
            |found| HubError::Size { file: self.file.to_owned(), expected: size, found };
        let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(cache)?;
        let mut done = length(path);
        if done > size {
            file.set_len(0).map_err(cache)?;
            done = 0;
        }
        progress.start(self.file, done, size);
        if done == size {
            return Ok(());
        }
        let response = self.client.content(self.commit, self.file, done)?;
        let range = header(response.headers(), "content-range").and_then(ContentRange::parse);
        match (response.status(), range) {
            (StatusCode::PARTIAL_CONTENT, Some(ContentRange { first: Some(first), total }))
                if first == done =>
            {
                if let Some(total) = total.filter(|&total| total != size) {
                    return Err(wrong_size(total));
                }
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(ContentRange { total: Some(total), .. })) => {
                return Err(wrong_size(total));
            }
            (StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE, _) => {
                let url = self.client.file_url(self.commit, self.file);
                let fault = format!("asked for the bytes from {done} on, it gives others");
                return Err(HubError::Answer { url, fault });
            }
            _ => {
                if let Some(total) = response.body().content_length().filter(|&n| n != size) {
                    return Err(wrong_size(total));
                }
                if done > 0 {
                    file.set_len(0).map_err(cache)?;
                    done = 0;
                    progress.start(self.file, done, size);
                }
            }
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let (count, lost) = match body.read(&mut buffer) {
                Ok(count) => (count, None),
                Err(error) => (0, Some(error)),
            };
            if count == 0 {
                if done == size {
                    return Ok(());
                }
                let file = self.file.to_owned();
                return Err(HubError::Cut { file, received: done, size, source: lost });
            }
            done += count as u64;
            if done > size {
                return Err(wrong_size(done));
            }
            file.write_all(&buffer[..count]).map_err(cache)?;
            progress.advance(count as u64);
        }
    }

    /// The digest, of the whole file: its beginning may be of an earlier run.
    fn verify(&self, path: &Path) -> Result<(), HubError> {
        let Some(expected) = self.metadata.digest() else { return Ok(()) };
        let read = File::open(path).and_then(Digest::of_reader);
        let found = read.map_err(HubError::cache(path))?;
        if found != expected {
            return Err(HubError::Digest { file: self.file.to_owned(), expected, found });
        }
        Ok(())
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// `bytes FIRST-LAST/TOTAL`, where `*` stands for what is not known or not there.
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    first: Option<u64>,
    total: Option<u64>,
}

impl ContentRange {
    fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes")?.trim().split_once('/')?;
        let first = range.split_once('-').and_then(|(first, _)| first.parse().ok());
        Some(Self { first, total: total.parse().ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let range = |first, total| Some(ContentRange { first, total });
        assert_eq!(ContentRange::parse("bytes 5-9/10"), range(Some(5), Some(10)));
        assert_eq!(ContentRange::parse("bytes 5-9/*"), range(Some(5), None));
        assert_eq!(ContentRange::parse("bytes */10"), range(None, Some(10)));
        assert_eq!(ContentRange::parse("bytes"), None);
        assert_eq!(ContentRange::parse("items 5-9/10"), None);
    }
}
