//! Writes rows to the outputs of a run, and sees to it that a later run can go on.

use std::{collections::BTreeSet, fs::File, io, path::Path};

use super::{
    targets::{Targets, create_error},
    work::{Checkpoint, Content, Finished, Part, Position, Work, sync_directory},
};
use crate::{
    cli::CliError,
    digest::Digest,
    files::{Form, Output, Place, Scored, publish, remove_segments},
    summary::Summary,
};

/// Gives the form of each output.
pub(super) type Forms<'a> = Box<dyn Fn(usize) -> Result<Form, CliError> + 'a>;

/// The outputs of a run, in order; one is open at a time.
pub(super) struct Outputs<'a> {
    targets: &'a Targets,
    forms: Forms<'a>,
    work: Option<Work>,
    /// Whether outputs are to be told with size and digest.
    describe: bool,
    current: Option<Current>,
    /// The first that has not been opened.
    next: usize,
    finished: Vec<Finished>,
    /// How many of the finished ones the last checkpoint tells of.
    recorded: usize,
    left_out: BTreeSet<String>,
}

struct Current {
    target: usize,
    output: Output,
    rows: u64,
    bad: u64,
}

impl<'a> Outputs<'a> {
    /// Where there is `work`, a later run can go on.
    pub(super) fn new(
        targets: &'a Targets,
        forms: Forms<'a>,
        work: Option<Work>,
        describe: bool,
    ) -> Self {
        Self {
            targets,
            forms,
            work,
            describe,
            current: None,
            next: 0,
            finished: Vec::new(),
            recorded: 0,
            left_out: BTreeSet::new(),
        }
    }

    /// Goes on from a checkpoint.
    pub(super) fn go_on(&mut self, checkpoint: &mut Checkpoint) -> Result<(), CliError> {
        self.finished = std::mem::take(&mut checkpoint.finished);
        self.next = self.finished.len();
        self.left_out = checkpoint.left_out.clone();
        self.publish()?;
        if let (Some(part), Some(work)) = (&checkpoint.part, &self.work) {
            let path = work.part(part.target);
            let form = (self.forms)(part.target)?;
            let output = Output::go_on(&path, &form, part.written, part.rows)
                .map_err(|source| CliError::Create { path, source })?;
            let Part { target, rows, bad, .. } = *part;
            self.current = Some(Current { target, output, rows, bad });
            self.next = target + 1;
        }
        Ok(())
    }

    /// Opens the first output: that it cannot be written should show at once.
    pub(super) fn begin(&mut self) -> Result<(), CliError> {
        if self.current.is_none() && self.next == 0 {
            self.open()?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, target: usize, row: &Scored, bad: bool) -> Result<(), CliError> {
        loop {
            match &mut self.current {
                Some(current) if current.target == target => {
                    current.output.write(row)?;
                    current.rows += 1;
                    current.bad += u64::from(bad);
                    return Ok(());
                }
                Some(_) => self.complete()?,
                None => self.open()?,
            }
        }
    }

    /// Whether a checkpoint can be made after the rows written so far.
    pub(super) fn can_be_cut(&self) -> bool {
        self.work.is_some()
            && self.current.as_ref().is_none_or(|current| current.output.can_be_cut())
    }

    /// Makes it so that a later run goes on after the rows written so far.
    pub(super) fn checkpoint(
        &mut self,
        position: Position,
        summary: &Summary,
    ) -> Result<(), CliError> {
        let Some(work) = &mut self.work else { return Ok(()) };
        let mut left_out = self.left_out.clone();
        let part = match &mut self.current {
            Some(Current { target, output, rows, bad }) => {
                left_out.extend(output.left_out().iter().cloned());
                Some(Part { target: *target, rows: *rows, bad: *bad, written: output.cut()? })
            }
            None => None,
        };
        let newly = self.finished.get(self.recorded..).unwrap_or_default();
        work.record(position, part, newly, &left_out, summary)?;
        self.publish()
    }

    /// Completes all outputs, those too that no row went to. What a later run would need is kept until
    /// it is discarded, since there is more to write about them.
    pub(super) fn finish(&mut self, position: Position, summary: &Summary) -> Result<(), CliError> {
        loop {
            if self.current.is_some() {
                self.complete()?;
            }
            if self.next == self.targets.len() {
                break;
            }
            self.open()?;
        }
        self.checkpoint(position, summary)
    }

    /// Keeps nothing for a later run.
    pub(super) fn discard(&mut self) {
        if let Some(work) = &mut self.work {
            work.discard();
        }
    }

    /// Where what was scored is kept for a later run, if it is.
    pub(super) fn kept(&self) -> Option<&Path> {
        self.work.as_ref().filter(|work| work.is_kept()).map(Work::directory)
    }

    /// Input fields that an output has no column for.
    pub(super) fn left_out(&self) -> &BTreeSet<String> {
        &self.left_out
    }

    /// The outputs that are complete, in order.
    pub(super) fn finished(&self) -> &[Finished] {
        &self.finished
    }

    fn open(&mut self) -> Result<(), CliError> {
        let Some(target) = self.targets.get(self.next) else {
            return Err(io::Error::other("there is no such output").into());
        };
        let form = (self.forms)(self.next)?;
        let place = match (&self.work, &target.path) {
            (Some(work), _) => Place::Part(work.part(self.next)),
            (None, Some(path)) => Place::File(path.clone()),
            (None, None) => Place::Stdout,
        };
        let output = Output::create(place, &form)
            .map_err(|source| create_error(target.path.as_deref(), source))?;
        self.current = Some(Current { target: self.next, output, rows: 0, bad: 0 });
        self.next += 1;
        Ok(())
    }

    /// Completes the open output. With a work directory it has its name after the next checkpoint.
    fn complete(&mut self) -> Result<(), CliError> {
        let Some(Current { target, output, rows, bad }) = self.current.take() else {
            return Ok(());
        };
        self.left_out.extend(output.left_out().iter().cloned());
        output.finish()?;
        let written = match &self.work {
            Some(work) => Some(work.part(target)),
            None => self.targets.get(target).and_then(|target| target.path.clone()),
        };
        let content = match written {
            Some(path) if self.describe => {
                let file = File::open(path)?;
                let bytes = file.metadata()?.len();
                Some(Content { bytes, digest: Digest::of_reader(file)? })
            }
            _ => None,
        };
        self.finished.push(Finished { target, rows, bad, content });
        Ok(())
    }

    /// Gives finished parts that a checkpoint tells of their names.
    fn publish(&mut self) -> Result<(), CliError> {
        let Some(work) = &self.work else { return Ok(()) };
        for finished in self.finished.get(self.recorded..).unwrap_or_default() {
            let part = work.part(finished.target);
            let path = self.targets.get(finished.target).and_then(|target| target.path.as_deref());
            // One that is not there has its name already.
            if let Some(path) = path.filter(|_| part.exists()) {
                publish(&part, path).map_err(|source| create_error(Some(path), source))?;
                if let Some(parent) = path.parent().filter(|parent| parent.is_dir()) {
                    sync_directory(parent)?;
                }
            }
            remove_segments(&part)?;
        }
        self.recorded = self.finished.len();
        Ok(())
    }
}
