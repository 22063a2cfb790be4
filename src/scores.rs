//! What the classifier says of one text.

use std::{fmt, ops::Range, sync::Arc};

use enum_map::EnumMap;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    model::Labels,
    taxonomy::{Category, Role, Way},
};

/// Calibrated probabilities, each in `[0, 1]`: of a whole text or of one window of it.
///
/// They are independent of one another (a sigmoid each, no softmax): a text may dehumanize on
/// account of several categories and in several ways. A model of another maker has labels of its
/// own, calibrated or not, and gives those of dignity's scores that [`Roles`](crate::Roles) name;
/// the others are 0, see [`Labels::has`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probabilities {
    /// That the text, in its author's voice, dehumanizes people on account of a protected category.
    pub dehumanization: f32,
    /// That the text attacks a protected group in any manner (auxiliary).
    pub hate: f32,
    /// That it dehumanizes on account of this category.
    pub categories: EnumMap<Category, f32>,
    /// That it dehumanizes in this way.
    pub ways: EnumMap<Way, f32>,
    /// Of the labels that go by names of their own, in the order of [`Labels::names`].
    pub labels: Box<[f32]>,
}

impl Probabilities {
    /// The probability that has this role.
    pub fn of(&self, role: Role) -> f32 {
        match role {
            Role::Dehumanization => self.dehumanization,
            Role::Hate => self.hate,
            Role::Category(category) => self.categories[category],
            Role::Way(way) => self.ways[way],
        }
    }

    pub(crate) fn of_mut(&mut self, role: Role) -> &mut f32 {
        match role {
            Role::Dehumanization => &mut self.dehumanization,
            Role::Hate => &mut self.hate,
            Role::Category(category) => &mut self.categories[category],
            Role::Way(way) => &mut self.ways[way],
        }
    }

    /// The larger of the two, label by label.
    fn max(&self, other: &Self) -> Self {
        Self {
            dehumanization: self.dehumanization.max(other.dehumanization),
            hate: self.hate.max(other.hate),
            categories: EnumMap::from_fn(|c| self.categories[c].max(other.categories[c])),
            ways: EnumMap::from_fn(|w| self.ways[w].max(other.ways[w])),
            labels: self.labels.iter().zip(&other.labels).map(|(a, b)| a.max(*b)).collect(),
        }
    }
}

/// Which form of a text was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TextView {
    /// The text as it is.
    #[default]
    Raw,
    /// The [normalized view](crate::NormalizedView), where it gives the model something else to
    /// read.
    Normalized,
}

/// The scores of one window of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowScores {
    /// Which form of the text the window is of.
    pub view: TextView,
    /// The bytes of the original text that the window covers, on character boundaries.
    pub bytes: Range<usize>,
    /// The window's own probabilities.
    pub probabilities: Probabilities,
}

/// Why a text has no scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unscored {
    /// The text has no bytes.
    Empty,
    /// The text is white space only.
    Blank,
    /// The tokenizer drops every character of the text (control characters, for instance).
    NoTokens,
}

impl fmt::Display for Unscored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the text is empty",
            Self::Blank => "the text is blank",
            Self::NoTokens => "the text has no character that the model reads",
        })
    }
}

/// The scores of one text.
///
/// A text of any length is scored whole, in one window or several: nothing is cut off. A text's
/// probability for a label is the **largest** of its windows': one dehumanizing sentence makes a
/// page dehumanizing, however harmless the rest, where a mean would dilute it. The price is that a
/// long harmless text has more chances of a false alarm than a short one; [`Scores::windows`] tells
/// where the score comes from.
///
/// A text in disguise (invisible characters, letters of other scripts, "v3rm1n", "v e r m i n", emoji)
/// is read twice, as it is and as its [normalized view](crate::NormalizedView), and the larger
/// probability counts for each label. Where the model's vocabulary knows all of the view, windows of
/// the text as it is that have what it does not know are left out.
///
/// Serializes to the object that output rows carry: `dehumanization`, `hate`, `categories`, `ways`
/// (those that the model has labels for), `labels` (of a model whose labels go by names of their own),
/// `windows` (their count, of both forms) and `highest` (`start` and `end`, in bytes, of the
/// [highest window](Scores::highest_window)), probabilities with at most six decimals; or
/// `{"error": "…"}` for a text that could not be scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The text's probabilities; all zero for a text without content.
    pub probabilities: Probabilities,
    /// Every window's scores, in text order, first those of the raw text, then those of the
    /// normalized view; none for a text without content.
    pub windows: Vec<WindowScores>,
    /// Set where there was nothing to score.
    pub unscored: Option<Unscored>,
    labels: Arc<Labels>,
}

impl Scores {
    /// Joins the scores of a text's windows, label by label, by their maximum.
    ///
    /// Without windows there is nothing to score: see [`Scores::without_content`].
    pub(crate) fn from_windows(windows: Vec<WindowScores>, labels: &Arc<Labels>) -> Self {
        debug_assert!(!windows.is_empty());
        let each = windows.iter().map(|window| window.probabilities.clone());
        let probabilities = each.reduce(|all, window| all.max(&window)).unwrap_or_default();
        Self { probabilities, windows, unscored: None, labels: Arc::clone(labels) }
    }

    /// The mark of a text without content.
    pub(crate) fn without_content(reason: Unscored, labels: &Arc<Labels>) -> Self {
        Self {
            probabilities: Probabilities::default(),
            windows: Vec::new(),
            unscored: Some(reason),
            labels: Arc::clone(labels),
        }
    }

    /// The labels of the model that scored the text.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Probability that the text, in its author's voice, dehumanizes people on account of a
    /// protected category.
    pub fn dehumanization(&self) -> f32 {
        self.probabilities.dehumanization
    }

    /// The window that [`Scores::dehumanization`] comes from, of several the first: a raw one, where the raw text scores as
    /// high as its normalized view. None for a text without content, and where the model gives no such score.
    pub fn highest_window(&self) -> Option<&WindowScores> {
        let here = |window: &&WindowScores| {
            window.probabilities.dehumanization >= self.probabilities.dehumanization
        };
        self.windows.iter().find(here).filter(|_| self.labels.has(Role::Dehumanization))
    }

    /// Probability that the text attacks a protected group in any manner.
    pub fn hate(&self) -> f32 {
        self.probabilities.hate
    }

    /// Probability that the text dehumanizes on account of `category`.
    pub fn category(&self, category: Category) -> f32 {
        self.probabilities.categories[category]
    }

    /// Probability that the text dehumanizes in this `way`.
    pub fn way(&self, way: Way) -> f32 {
        self.probabilities.ways[way]
    }
}

impl Scores {
    /// The entries that stand before those of a verdict.
    pub(crate) fn serialize_probabilities<M: SerializeMap>(
        &self,
        map: &mut M,
    ) -> Result<(), M::Error> {
        let Self { probabilities, labels, .. } = self;
        let rounded = |role| labels.has(role).then(|| six_decimals(probabilities.of(role)));
        for role in [Role::Dehumanization, Role::Hate] {
            if let Some(probability) = rounded(role) {
                map.serialize_entry(&role.to_string(), &probability)?;
            }
        }
        let categories = Category::ALL.map(|c| (c.name(), rounded(Role::Category(c))));
        serialize_group(map, "categories", &categories)?;
        serialize_group(map, "ways", &Way::ALL.map(|way| (way.name(), rounded(Role::Way(way)))))?;
        let named = labels.names().zip(&probabilities.labels);
        let named: Vec<_> = named.map(|(name, &p)| (name, Some(six_decimals(p)))).collect();
        serialize_group(map, "labels", &named)
    }

    /// The entries that stand after those of a verdict.
    pub(crate) fn serialize_windows<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        #[derive(Serialize)]
        struct Bytes {
            start: usize,
            end: usize,
        }
        map.serialize_entry("windows", &self.windows.len())?;
        if let Some(WindowScores { bytes, .. }) = self.highest_window() {
            map.serialize_entry("highest", &Bytes { start: bytes.start, end: bytes.end })?;
        }
        Ok(())
    }
}

/// An object of the probabilities that there are, if there are any.
fn serialize_group<M: SerializeMap>(
    map: &mut M,
    key: &str,
    group: &[(&str, Option<f64>)],
) -> Result<(), M::Error> {
    struct Group<'a>(&'a [(&'a str, Option<f64>)]);
    impl Serialize for Group<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().filter_map(|(key, p)| Some((key, (*p)?))))
        }
    }
    match group.iter().any(|(_, probability)| probability.is_some()) {
        true => map.serialize_entry(key, &Group(group)),
        false => Ok(()),
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(reason) = self.unscored {
            map.serialize_entry("error", &reason.to_string())?;
        } else {
            self.serialize_probabilities(&mut map)?;
            self.serialize_windows(&mut map)?;
        }
        map.end()
    }
}

/// A probability as outputs print it: rounded to six decimals.
pub(crate) fn six_decimals(probability: f32) -> f64 {
    (f64::from(probability) * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(bytes: Range<usize>, dehumanization: f32, animal: f32) -> WindowScores {
        let mut probabilities = Probabilities { dehumanization, ..Probabilities::default() };
        probabilities.ways[Way::Animal] = animal;
        WindowScores { view: TextView::Raw, bytes, probabilities }
    }

    #[test]
    fn windows_join_by_the_maximum_of_each_label() {
        let mut windows = vec![window(0..10, 0.9, 0.1), window(5..15, 0.2, 0.8)];
        windows[0].probabilities.labels = Box::new([0.3, 0.6]);
        windows[1].probabilities.labels = Box::new([0.4, 0.5]);
        let scores = Scores::from_windows(windows, &Arc::default());
        assert_eq!(*scores.probabilities.labels, [0.4, 0.6]);
        assert_eq!(scores.dehumanization(), 0.9);
        assert_eq!(scores.way(Way::Animal), 0.8);
        assert_eq!(scores.way(Way::DiseaseOrFilth), 0.0);
        assert_eq!(scores.windows[1].bytes, 5..15);
    }

    #[test]
    fn the_highest_window_is_the_first_that_scores_as_the_text() {
        let windows =
            vec![window(0..9, 0.2, 0.9), window(4..12, 0.6, 0.1), window(8..16, 0.6, 0.1)];
        let scores = Scores::from_windows(windows, &Arc::default());
        assert_eq!(scores.highest_window(), Some(&scores.windows[1]));
        let blank = Scores::without_content(Unscored::Blank, &Arc::default());
        assert_eq!(blank.highest_window(), None);
    }

    #[test]
    fn serializes_in_the_documented_form() {
        let scores = Scores::from_windows(vec![window(0..3, 0.123_456_78, 1.0)], &Arc::default());
        let json = serde_json::to_string(&scores).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"dehumanization":0.123457,"hate":0.0,"categories":{"religion":0.0,"caste":0.0,"#,
                r#""age":0.0,"disability":0.0,"serious_disease":0.0,"national_origin":0.0,"#,
                r#""race":0.0,"ethnicity":0.0,"gender":0.0,"sexual_orientation":0.0},"#,
                r#""ways":{"animal":1.0,"disease_or_filth":0.0,"object_or_machine":0.0,"#,
                r#""monster_or_subhuman":0.0,"denial_of_mind_or_worth":0.0},"windows":1,"#,
                r#""highest":{"start":0,"end":3}}"#
            )
        );
        let blank =
            serde_json::to_string(&Scores::without_content(Unscored::Blank, &Arc::default()));
        let blank = blank.unwrap();
        assert_eq!(blank, r#"{"error":"the text is blank"}"#);
    }
}
