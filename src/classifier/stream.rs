//! Streams of texts of any length, scored in bounded memory.

use std::thread;

use super::{Classifier, Error, Tokenized};
use crate::{repeats::Remembered, scores::Scores};

/// How many texts a stream takes in before it computes; sorting by length wants many, memory and
/// the time to the first score want few.
const STREAM_TEXTS: usize = 512;
/// How many bytes of text a stream takes in before it computes (and one text more).
const STREAM_BYTES: usize = 512 * 1024;
/// So many times as much for GPUs, which want large batches.
const GPU_STREAM_FACTOR: usize = 16;

/// Texts with their scores, in order; made by [`Classifier::stream`].
///
/// An error ends it: the texts that were being scored have no scores to come back with. Where GPUs
/// compute, the next texts are taken in and tokenized meanwhile.
#[derive(Debug)]
pub struct Stream<'c, I: Iterator> {
    classifier: &'c Classifier,
    texts: I,
    remembered: Remembered,
    /// What was taken in while a GPU computed.
    ahead: Option<Result<Taken<I::Item>, Error>>,
    scored: std::vec::IntoIter<(I::Item, Scores)>,
    failed: bool,
}

impl<'c, I: Iterator> Stream<'c, I> {
    pub(super) fn new(classifier: &'c Classifier, texts: I) -> Self {
        Self {
            classifier,
            texts,
            remembered: Remembered::default(),
            ahead: None,
            scored: Vec::new().into_iter(),
            failed: false,
        }
    }
}

/// Some texts of a stream, tokenized.
#[derive(Debug)]
struct Taken<T> {
    texts: Vec<T>,
    tokenized: Tokenized,
}

impl<T: AsRef<str> + Sync> Taken<T> {
    /// Takes in some hundred texts, or what is left; none at the end.
    fn from(classifier: &Classifier, rest: &mut impl Iterator<Item = T>) -> Result<Self, Error> {
        let factor = if classifier.feeding.is_some() { GPU_STREAM_FACTOR } else { 1 };
        let mut bytes = 0;
        let mut texts = Vec::new();
        while texts.len() < factor * STREAM_TEXTS && bytes < factor * STREAM_BYTES {
            let Some(text) = rest.next() else { break };
            bytes += text.as_ref().len();
            texts.push(text);
        }
        let tokenized = classifier.tokenize(&texts)?;
        Ok(Self { texts, tokenized })
    }
}

impl<I> Stream<'_, I>
where
    I: Iterator<Item: AsRef<str> + Sync>,
{
    fn score_next(&mut self) -> Result<Vec<(I::Item, Scores)>, Error> {
        let Self { classifier, texts: rest, remembered, ahead, .. } = self;
        let taken = ahead.take().unwrap_or_else(|| Taken::from(classifier, rest));
        let Taken { texts, tokenized } = taken?;
        let mut score = || classifier.score_remembering(&tokenized, Some(remembered));
        let scores = match classifier.feeding {
            None => score(),
            Some(_) => thread::scope(|scope| {
                let scoring = scope.spawn(score);
                *ahead = Some(Taken::from(classifier, rest));
                scoring.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }),
        };
        Ok(texts.into_iter().zip(scores?).collect())
    }
}

impl<I> Iterator for Stream<'_, I>
where
    I: Iterator<Item: AsRef<str> + Sync>,
{
    type Item = Result<(I::Item, Scores), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(scored) = self.scored.next() {
            return Some(Ok(scored));
        }
        if self.failed {
            return None;
        }
        match self.score_next() {
            Ok(scored) => {
                self.scored = scored.into_iter();
                self.scored.next().map(Ok)
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::{
        batch::{PackedBatch, Workers},
        classifier::builder::FEEDERS,
        engine::{Engine, EngineError, Logits, Precision},
        model::Model,
    };

    const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");

    fn tiny() -> Classifier {
        Classifier::builder().model(TINY).threads(2).build().unwrap()
    }

    /// As where two GPUs compute, with the CPU in their place.
    fn fed() -> Classifier {
        let mut classifier = tiny();
        classifier.engines.extend(tiny().engines);
        let feeders = NonZeroUsize::new(FEEDERS * 2).unwrap();
        classifier.feeding = Some(Workers::apart(feeders).unwrap());
        classifier
    }

    #[test]
    fn texts_that_are_taken_in_ahead_keep_their_place() {
        let texts: Vec<_> = (0..20_000).map(|n| format!("bread {} and rain", n % 700)).collect();
        let scores = |classifier: &Classifier, texts: &[String]| {
            let scored = classifier.stream(texts).map(|scored| scored.unwrap());
            scored.map(|(text, scores)| (text.clone(), scores.dehumanization())).collect::<Vec<_>>()
        };
        assert!(texts.len() > 2 * GPU_STREAM_FACTOR * STREAM_TEXTS);
        for count in [0, 1, texts.len()] {
            assert_eq!(scores(&fed(), &texts[..count]), scores(&tiny(), &texts[..count]));
        }
    }

    #[test]
    fn an_error_ends_a_stream_that_takes_in_ahead() {
        let mut classifier = fed();
        let model = Model::load(&TINY.into(), None).unwrap();
        let fails: Box<dyn Engine> = Box::new(Fails(model.labels.len()));
        classifier.engines = vec![fails];
        let texts = vec!["bread"; 2 * GPU_STREAM_FACTOR * STREAM_TEXTS];
        let mut stream = classifier.stream(texts);
        assert!(matches!(stream.next(), Some(Err(Error::Engine(_)))));
        assert!(stream.next().is_none());
    }

    /// An engine whose logits are none.
    struct Fails(usize);

    impl Engine for Fails {
        fn forward(&self, _: &PackedBatch, _: usize) -> Result<Logits, EngineError> {
            Err(EngineError::NotFinite { label: self.0 })
        }

        fn precision(&self) -> Precision {
            Precision::F32
        }

        fn batch_tokens(&self) -> usize {
            1
        }
    }
}
