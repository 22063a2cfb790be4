//! Compressed files: gzip, and zstd where the feature is on.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use flate2::{read::MultiGzDecoder, write::GzEncoder};

/// How a file is compressed, as its name tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compression {
    #[default]
    None,
    /// `.gz`; any number of members one after another.
    Gzip,
    /// `.zst`; any number of frames one after another.
    Zstd,
}

impl Compression {
    /// What a file's last extension tells, and its name without that.
    pub(crate) fn of(path: &Path) -> (Self, PathBuf) {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let compression = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("gz") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            _ => return (Self::None, path.to_owned()),
        };
        (compression, path.with_extension(""))
    }

    /// The extension that tells it.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// Reads what `raw` holds compressed.
    pub(super) fn reader(self, raw: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::None => raw,
            Self::Gzip => Box::new(Checked { inner: MultiGzDecoder::new(raw), name: "gzip" }),
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                Box::new(Checked { inner: zstd::stream::read::Decoder::new(raw)?, name: "zstd" })
            }
            #[cfg(not(feature = "zstd"))]
            Self::Zstd => return Err(no_zstd()),
        })
    }
}

#[cfg(not(feature = "zstd"))]
fn no_zstd() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this dignity was built without zstd; build it with --features zstd",
    )
}

/// A decoder whose failures say that it is the compression that failed.
struct Checked<R> {
    inner: R,
    name: &'static str,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => {
                let name = self.name;
                io::Error::new(kind, format!("the {name} data are broken or cut off: {error}"))
            }
        })
    }
}

/// Compresses what is written, in members (frames) that each stand for themselves.
pub(super) struct Compressor<W: Write> {
    compression: Compression,
    state: State<W>,
    /// Whether the file holds a member: an empty file is not valid gzip.
    begun: bool,
}

enum State<W: Write> {
    /// No member is open.
    Between(W),
    Gzip(Box<GzEncoder<W>>),
    #[cfg(feature = "zstd")]
    Zstd(zstd::stream::write::Encoder<'static, W>),
    /// A member could not be completed.
    Failed,
}

impl<W: Write> Compressor<W> {
    /// A compressor onto `out`, which holds members already where `begun`.
    pub(super) fn new(out: W, compression: Compression, begun: bool) -> Self {
        Self { compression, state: State::Between(out), begun }
    }

    /// Completes the member: what was written so far can be read whatever comes after it.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        let out = match std::mem::replace(&mut self.state, State::Failed) {
            State::Between(out) => out,
            State::Gzip(encoder) => encoder.finish()?,
            #[cfg(feature = "zstd")]
            State::Zstd(encoder) => encoder.finish()?,
            State::Failed => return Err(failed()),
        };
        self.state = State::Between(out);
        Ok(())
    }

    /// Completes the file and gives back what it was written to.
    pub(super) fn finish(&mut self) -> io::Result<W> {
        if !self.begun {
            self.open()?;
        }
        self.cut()?;
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Between(out) => Ok(out),
            _ => Err(failed()),
        }
    }

    /// What is written to; between members only.
    pub(super) fn inner(&mut self) -> io::Result<&mut W> {
        match &mut self.state {
            State::Between(out) => Ok(out),
            _ => Err(failed()),
        }
    }

    fn open(&mut self) -> io::Result<()> {
        self.begun = true;
        let State::Between(out) = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(failed());
        };
        self.state = match self.compression {
            Compression::None => State::Between(out),
            Compression::Gzip => {
                State::Gzip(Box::new(GzEncoder::new(out, flate2::Compression::default())))
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => State::Zstd(zstd::stream::write::Encoder::new(out, 0)?),
            #[cfg(not(feature = "zstd"))]
            Compression::Zstd => return Err(no_zstd()),
        };
        Ok(())
    }
}

fn failed() -> io::Error {
    io::Error::other("the output failed before")
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if matches!(self.state, State::Between(_)) && self.compression != Compression::None {
            self.open()?;
        }
        match &mut self.state {
            State::Between(out) => out.write(bytes),
            State::Gzip(encoder) => encoder.write(bytes),
            #[cfg(feature = "zstd")]
            State::Zstd(encoder) => encoder.write(bytes),
            State::Failed => Err(failed()),
        }
    }

    /// Passes on what is not compressed. A member is not flushed, since that would leave its mark in
    /// the compressed bytes, which depend on the rows alone.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Between(out) => out.flush(),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(compression: Compression, members: &[&[u8]]) -> Vec<u8> {
        let mut writer = Compressor::new(Vec::new(), compression, false);
        for member in members {
            writer.write_all(member).unwrap();
            writer.flush().unwrap();
            writer.cut().unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(compression: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        compression.reader(Box::new(io::Cursor::new(bytes.to_vec())))?.read_to_end(&mut all)?;
        Ok(all)
    }

    fn kinds() -> Vec<Compression> {
        let mut kinds = vec![Compression::Gzip];
        if cfg!(feature = "zstd") {
            kinds.push(Compression::Zstd);
        }
        kinds
    }

    #[test]
    fn members_are_read_one_after_another_and_every_cut_is_noticed() {
        for kind in kinds() {
            let bytes = compressed(kind, &[b"one\n", b"", b"two\nthree\n"]);
            assert_eq!(read(kind, &bytes).unwrap(), b"one\ntwo\nthree\n");
            let first = compressed(kind, &[b"one\n"]).len();
            for length in (1..bytes.len()).filter(|&length| length != first) {
                let error = read(kind, &bytes[..length]).unwrap_err();
                assert!(error.to_string().contains("broken or cut off"), "{kind:?} {length}");
            }
            assert_eq!(read(kind, &compressed(kind, &[])).unwrap(), b"");
        }
    }

    #[test]
    fn names_tell() {
        let of = |name: &str| Compression::of(Path::new(name));
        assert_eq!(of("a/posts.jsonl.gz"), (Compression::Gzip, "a/posts.jsonl".into()));
        assert_eq!(of("posts.csv.ZST"), (Compression::Zstd, "posts.csv".into()));
        assert_eq!(of("posts.csv"), (Compression::None, "posts.csv".into()));
    }
}
