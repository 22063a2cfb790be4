//! Outputs that are text: JSON lines and CSV, compressed or not.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::Path,
    rc::Rc,
};

use super::{Form, OutputFormat, Place, Written, sink::Sink};
use crate::files::{Compression, Scored, delimited::CsvWriter, jsonl};

/// How many rows a member of a compressed output holds. Fixed, so that the bytes do not depend on
/// when a run was interrupted; few enough that little work is lost by it.
const MEMBER_ROWS: u64 = 4_096;

/// Takes rows and writes them as text.
pub(super) struct TextOutput {
    writer: Writer,
    out: Shared,
    compression: Compression,
    rows: u64,
    pub(super) left_out: BTreeSet<String>,
}

enum Writer {
    Jsonl(BufWriter<Shared>),
    Csv(Box<CsvWriter<Shared>>),
}

/// The end of the pipe, which the buffers before it write to and the output cuts.
#[derive(Clone)]
struct Shared(Rc<RefCell<super::Compressor<Sink>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

impl TextOutput {
    pub(super) fn create(place: &Place, form: &Form) -> io::Result<Self> {
        Ok(Self::onto(place.open()?, form, 0, false))
    }

    /// Goes on with a part that holds `rows`, as it was at a cut.
    pub(super) fn go_on(path: &Path, form: &Form, written: Written, rows: u64) -> io::Result<Self> {
        let mut file = File::options().read(true).write(true).open(path)?;
        let found = file.metadata()?.len();
        if found < written.bytes {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it has {found} bytes, but {} were written", written.bytes),
            ));
        }
        file.set_len(written.bytes)?;
        file.seek(SeekFrom::End(0))?;
        let mut output = Self::onto(Sink::Part(file), form, rows, written.bytes > 0);
        if let Writer::Csv(csv) = &mut output.writer
            && written.bytes > 0
        {
            let header = form.compression.reader(Box::new(File::open(path)?))?;
            csv.go_on(header).map_err(io::Error::from)?;
        }
        Ok(output)
    }

    fn onto(sink: Sink, form: &Form, rows: u64, begun: bool) -> Self {
        let compressor = super::Compressor::new(sink, form.compression, begun);
        let out = Shared(Rc::new(RefCell::new(compressor)));
        let writer = match form.format {
            OutputFormat::Csv => {
                Writer::Csv(Box::new(CsvWriter::new(out.clone(), form.columns.clone())))
            }
            _ => Writer::Jsonl(BufWriter::with_capacity(1 << 16, out.clone())),
        };
        Self { writer, out, compression: form.compression, rows, left_out: BTreeSet::new() }
    }

    pub(super) fn write(&mut self, row: &Scored) -> io::Result<()> {
        match &mut self.writer {
            Writer::Jsonl(out) => jsonl::write(out, row)?,
            Writer::Csv(out) => self.left_out.extend(out.write(row)?),
        }
        self.rows += 1;
        if self.compression != Compression::None && self.rows.is_multiple_of(MEMBER_ROWS) {
            self.flush()?;
            self.out.0.borrow_mut().cut()?;
        }
        Ok(())
    }

    /// Whether what was written so far ends where a later run may go on.
    pub(super) fn can_be_cut(&self) -> bool {
        self.compression == Compression::None || self.rows.is_multiple_of(MEMBER_ROWS)
    }

    pub(super) fn cut(&mut self) -> io::Result<Written> {
        self.flush()?;
        let mut out = self.out.0.borrow_mut();
        let sink = out.inner()?;
        sink.sync()?;
        let bytes = match sink {
            Sink::Part(file) => file.stream_position()?,
            _ => 0,
        };
        Ok(Written { bytes, segments: 0 })
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Writer::Jsonl(out) => out.flush(),
            Writer::Csv(out) => out.flush(),
        }
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        let sink = self.out.0.borrow_mut().finish()?;
        sink.complete()
    }
}
