//! Where the bytes of an output go.

use std::{
    fs::{self, File},
    io::{self, Stdout, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// Where an output is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Stdout,
    /// A file that appears under its name when it is complete.
    File(PathBuf),
    /// A file that stands under its name from the first byte, since a later run may go on with it;
    /// who asks for it gives it its final name.
    Part(PathBuf),
}

impl Place {
    pub(in crate::files) fn open(&self) -> io::Result<Sink> {
        match self {
            Self::Stdout => Ok(Sink::Stdout(io::stdout())),
            Self::File(path) => Sink::create(path),
            Self::Part(path) => Ok(Sink::Part(File::create(path)?)),
        }
    }
}

pub(in crate::files) enum Sink {
    Stdout(Stdout),
    /// A device or a pipe, which cannot be replaced.
    Special(File),
    /// A file beside the final one, renamed when complete.
    Temporary {
        file: NamedTempFile,
        target: PathBuf,
    },
    Part(File),
}

/// The file that an output of this name is. Of a link, what it points to is replaced, not the link.
pub(crate) fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether a file of this name can be put in its place by renaming: it is an ordinary file, or there
/// is none.
pub(crate) fn replaceable(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |found| found.is_file())
}

/// Gives a complete part its final name, in place of what had it.
pub(crate) fn publish(part: &Path, path: &Path) -> io::Result<()> {
    let target = target(path);
    if let Ok(replaced) = fs::metadata(&target) {
        fs::set_permissions(part, replaced.permissions())?;
    }
    fs::rename(part, target)
}

/// Writes a whole file, which appears under its name when it is complete.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut sink = Sink::create(path)?;
    sink.write_all(content)?;
    sink.complete()
}

impl Sink {
    fn create(path: &Path) -> io::Result<Self> {
        let target = target(path);
        let mut builder = tempfile::Builder::new();
        builder.prefix(".dignity-");
        match fs::metadata(&target) {
            Ok(found) if found.is_file() => builder.permissions(found.permissions()),
            Ok(_) => return Ok(Self::Special(File::options().write(true).open(&target)?)),
            // Temporary files are private to their user by default; a new output is like any file.
            #[cfg(unix)]
            Err(_) => {
                use std::os::unix::fs::PermissionsExt;
                builder.permissions(fs::Permissions::from_mode(0o666))
            }
            #[cfg(not(unix))]
            Err(_) => &mut builder,
        };
        let directory = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        Ok(Self::Temporary { file: builder.tempfile_in(directory)?, target })
    }

    /// Has the system put on disk what was written.
    pub(in crate::files) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        match self {
            Self::Stdout(_) | Self::Special(_) => Ok(()),
            Self::Temporary { file, .. } => file.as_file().sync_all(),
            Self::Part(file) => file.sync_all(),
        }
    }

    pub(in crate::files) fn complete(mut self) -> io::Result<()> {
        // The name must not outlive a crash that the content did not.
        self.sync()?;
        if let Self::Temporary { file, target } = self {
            file.persist(target).map_err(|error| error.error)?;
        }
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Special(out) | Self::Part(out) => out.write(bytes),
            Self::Temporary { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Special(out) | Self::Part(out) => out.flush(),
            Self::Temporary { file, .. } => file.flush(),
        }
    }
}
