//! Texts as windows of tokens, between the two halves of scoring.

use std::sync::Arc;

use crate::{
    model::Labels,
    scores::{Probabilities, Scores, TextView, Unscored, WindowScores},
    text::{Tokens, Window},
};

/// Texts as windows of tokens; made by
/// [`Classifier::tokenize`](crate::Classifier::tokenize) and good for that classifier.
#[derive(Debug)]
pub struct Tokenized {
    pub(crate) texts: Vec<WindowedText>,
    pub(crate) special_tokens: usize,
    /// Of the classifier.
    pub(crate) labels: Arc<Labels>,
}

#[derive(Debug)]
pub(crate) struct WindowedText {
    /// The raw text's, then the normalized view's; at least one unless unscored.
    pub(crate) readings: Vec<Reading>,
    pub(super) unscored: Option<Unscored>,
}

/// One form of a text as the model reads it.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) view: TextView,
    pub(crate) tokens: Tokens,
    pub(crate) windows: Vec<Window>,
}

impl Reading {
    /// The ids of a window's tokens.
    pub(crate) fn content(&self, window: &Window) -> &[u32] {
        &self.tokens.ids[window.tokens.clone()]
    }
}

impl WindowedText {
    fn windows(&self) -> impl Iterator<Item = (&Reading, &Window)> {
        self.readings
            .iter()
            .flat_map(move |reading| reading.windows.iter().map(move |window| (reading, window)))
    }
}

impl Tokenized {
    /// The length in tokens of every window of every text, special tokens included: what the model
    /// reads, and what scoring costs.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.windows().map(|(_, window)| window.tokens.len() + self.special_tokens)
    }

    /// The tokens of every window of every text, without special ones, in order; each text's are
    /// neighbours.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &[u32]> {
        self.windows().map(|(reading, window)| reading.content(window))
    }

    /// The scores of every text, given the probabilities of every window.
    pub(crate) fn scores(
        &self,
        probabilities: impl IntoIterator<Item = Probabilities>,
    ) -> Vec<Scores> {
        let mut probabilities = probabilities.into_iter();
        let texts = self.texts.iter().map(|text| match text.unscored {
            Some(reason) => Scores::without_content(reason, &self.labels),
            None => {
                let windows = text.windows().zip(probabilities.by_ref());
                let scored = windows.map(|((reading, window), probabilities)| WindowScores {
                    view: reading.view,
                    bytes: window.bytes.clone(),
                    probabilities,
                });
                Scores::from_windows(scored.collect(), &self.labels)
            }
        });
        texts.collect()
    }

    /// Each text by itself, in order.
    #[cfg(feature = "server")]
    pub(crate) fn into_texts(self) -> impl Iterator<Item = Self> {
        let Self { texts, special_tokens, labels } = self;
        let alone =
            move |text| Self { texts: vec![text], special_tokens, labels: Arc::clone(&labels) };
        texts.into_iter().map(alone)
    }

    /// Windows of tokens that are of no text; their scores, in order, are those of one text's windows.
    #[cfg(feature = "server")]
    pub(crate) fn of_windows(
        contents: &[&[u32]],
        special_tokens: usize,
        labels: &Arc<Labels>,
    ) -> Self {
        let mut ids = Vec::new();
        let windows = contents.iter().map(|content| {
            let start = ids.len();
            ids.extend_from_slice(content);
            Window { tokens: start..ids.len(), bytes: 0..0 }
        });
        let windows = windows.collect();
        let tokens = Tokens { ids, offsets: Vec::new() };
        let reading = Reading { view: TextView::Raw, tokens, windows };
        let text = WindowedText { readings: vec![reading], unscored: None };
        Self { texts: vec![text], special_tokens, labels: Arc::clone(labels) }
    }

    fn windows(&self) -> impl Iterator<Item = (&Reading, &Window)> {
        self.texts.iter().flat_map(WindowedText::windows)
    }
}
