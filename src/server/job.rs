//! One request's texts on their way through rounds: some not tokenized yet, some partly computed.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::oneshot;

use super::scoring::{Place, ScoringError};
use crate::{
    classifier::Tokenized,
    scores::{Probabilities, Scores},
};

/// Texts of one request, scored in order.
#[derive(Debug)]
pub(super) struct Job {
    texts: Arc<[String]>,
    /// How many of the texts are tokenized.
    tokenized: usize,
    /// Tokenized texts that are not scored yet, in order.
    begun: VecDeque<BegunText>,
    /// The next window to be taken: of which begun text, and which of its windows.
    next: (usize, usize),
    /// Tokens of the windows that nobody has taken.
    ready_tokens: usize,
    scores: Vec<Scores>,
    /// How many scores make it complete.
    wanted: usize,
    answer: Answer,
}

type Reply = oneshot::Sender<Result<Vec<Scores>, ScoringError>>;

/// Who waits for the scores.
#[derive(Debug)]
enum Answer {
    Open {
        reply: Reply,
        place: Place,
    },
    /// A failure was told.
    Failed,
}

#[derive(Debug)]
struct BegunText {
    tokenized: Tokenized,
    /// The lengths of its windows, special tokens included.
    lengths: Vec<usize>,
    computed: Vec<Probabilities>,
}

/// A window that a round computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The job by its turn.
    pub(super) job: usize,
    pub(super) tokens: usize,
    text: usize,
    window: usize,
}

impl Job {
    pub(super) fn new(texts: Arc<[String]>, place: Place, reply: Reply) -> Self {
        Self {
            wanted: texts.len(),
            texts,
            tokenized: 0,
            begun: VecDeque::new(),
            next: (0, 0),
            ready_tokens: 0,
            scores: Vec::new(),
            answer: Answer::Open { reply, place },
        }
    }

    /// One text, or windows of none, that is tokenized already.
    pub(super) fn of_tokenized(tokenized: Tokenized, place: Place, reply: Reply) -> Self {
        let mut job = Self::new(Arc::new([]), place, reply);
        job.wanted = 1;
        job.begin(tokenized);
        job
    }

    /// Whether nobody waits for the scores any more.
    pub(super) fn is_given_up(&self) -> bool {
        match &self.answer {
            Answer::Open { reply, .. } => reply.is_closed(),
            Answer::Failed => true,
        }
    }

    /// The text that is `ahead` places after the first that is not tokenized.
    pub(super) fn untokenized(&self, ahead: usize) -> Option<&str> {
        self.texts.get(self.tokenized + ahead).map(String::as_str)
    }

    /// Tokens that can be computed now.
    pub(super) fn ready_tokens(&self) -> usize {
        self.ready_tokens
    }

    /// About how many tokens a text has.
    pub(super) fn estimate(text: &str) -> usize {
        text.len() / 4 + 2
    }

    /// About how many tokens are left to compute.
    pub(super) fn estimated_tokens(&self) -> usize {
        let untokenized = self.texts[self.tokenized..].iter();
        self.ready_tokens + untokenized.map(|text| Self::estimate(text)).sum::<usize>()
    }

    /// Takes in the first untokenized text, tokenized.
    pub(super) fn push_tokenized(&mut self, tokenized: Tokenized) {
        self.tokenized += 1;
        self.begin(tokenized);
    }

    fn begin(&mut self, tokenized: Tokenized) {
        let lengths: Vec<usize> = tokenized.lengths().collect();
        self.ready_tokens += lengths.iter().sum::<usize>();
        self.begun.push_back(BegunText { tokenized, lengths, computed: Vec::new() });
        self.skip_exhausted();
        self.score_computed();
    }

    /// How long the next window is that nobody has taken.
    pub(super) fn next_window_tokens(&self) -> Option<usize> {
        let (text, window) = self.next;
        self.begun.get(text)?.lengths.get(window).copied()
    }

    /// Takes the next window; `job` is this job's turn.
    pub(super) fn take_window(&mut self, job: usize) -> Option<Taken> {
        let tokens = self.next_window_tokens()?;
        let (text, window) = self.next;
        self.next.1 += 1;
        self.ready_tokens -= tokens;
        self.skip_exhausted();
        Some(Taken { job, tokens, text, window })
    }

    /// The tokens of a taken window, without special ones.
    pub(super) fn content(&self, taken: &Taken) -> Option<&[u32]> {
        self.begun.get(taken.text)?.tokenized.contents().nth(taken.window)
    }

    /// Takes in what was computed for the first taken window that has nothing yet.
    pub(super) fn push_computed(&mut self, probabilities: Probabilities) {
        let waiting = self.begun.iter_mut().find(|text| text.computed.len() < text.lengths.len());
        if let Some(text) = waiting {
            text.computed.push(probabilities);
        }
    }

    /// Whether all texts are scored, or there is nothing to wait for.
    pub(super) fn is_complete(&mut self) -> bool {
        self.score_computed();
        self.scores.len() == self.wanted || matches!(self.answer, Answer::Failed)
    }

    /// Tells the caller that its texts cannot be scored.
    pub(super) fn fail(&mut self, error: ScoringError) {
        if let Answer::Open { reply, place } = std::mem::replace(&mut self.answer, Answer::Failed) {
            drop(place);
            let _ = reply.send(Err(error));
        }
    }

    /// Gives the caller its scores.
    pub(super) fn finish(self) {
        if let Answer::Open { reply, place } = self.answer {
            // Before the answer, so that who asks again at once finds room.
            drop(place);
            // The caller may have left meanwhile.
            let _ = reply.send(Ok(self.scores));
        }
    }

    /// Moves on from texts whose windows are all taken.
    fn skip_exhausted(&mut self) {
        while self.begun.get(self.next.0).is_some_and(|text| self.next.1 >= text.lengths.len()) {
            self.next = (self.next.0 + 1, 0);
        }
    }

    /// Scores the first texts whose windows are all computed, and lets their tokens go.
    fn score_computed(&mut self) {
        while let Some(text) =
            self.begun.pop_front_if(|text| text.computed.len() == text.lengths.len())
        {
            self.scores.extend(text.tokenized.scores(text.computed));
            self.next.0 = self.next.0.saturating_sub(1);
        }
    }
}
