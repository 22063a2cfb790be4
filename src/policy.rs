//! From scores to a decision: a versioned [`Policy`] of thresholds gives a [`Verdict`].

use std::{collections::BTreeMap, fmt, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    model::Labels,
    scores::{Probabilities, Scores},
    taxonomy::{Category, Role},
};

/// The policy format that this version of dignity reads.
const FORMAT: u32 = 1;

/// Thresholds that turn [`Scores`] into a [`Verdict`], read from TOML.
///
/// ```toml
/// format = 1                # of this file
/// name = "balanced"
/// version = "2026-11-22"
/// model = "dignity-small-en"   # whose scores the thresholds were chosen on
/// model_digest = "sha256:…"    # exactly which (optional)
///
/// [data]                    # that the thresholds were chosen on (optional)
/// name = "dev.jsonl"
/// digest = "sha256:…"
/// rows = 2174
/// positives = 519
/// bad_rows = 0
///
/// [flag]
/// dehumanization = 0.7      # flag at this probability or above
/// hate = 0.9                # or at this one of hate (optional; one of the two must be there)
/// chosen = "how this was chosen"
///
/// [review]
/// dehumanization = 0.3      # at this or above, a person should look
/// hate = 0.6
///
/// [because]
/// default = 0.4             # a category at this or above is named as a cause
/// [because.categories]
/// caste = 0.3               # its own threshold, in place of the default
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    file: PolicyFile,
    digest: Digest,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    format: u32,
    name: String,
    version: String,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PolicyData>,
    flag: Level,
    review: Level,
    because: Because,
}

/// The labelled texts that a policy's thresholds were chosen on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyData {
    /// The file's name.
    pub name: String,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// How many rows were labelled and scored.
    pub rows: usize,
    /// How many of them dehumanize.
    pub positives: usize,
    /// How many rows could not be used.
    pub bad_rows: usize,
}

/// A decision's threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// The decision is taken at this probability of dehumanization or above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dehumanization: Option<f32>,
    /// Or at this probability of hate or above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hate: Option<f32>,
    /// How the threshold was chosen: on which data, by which rule, with what result.
    #[serde(default)]
    pub chosen: String,
}

impl Level {
    /// A decision at this probability of dehumanization or above.
    pub fn at_dehumanization(threshold: f32, chosen: impl Into<String>) -> Self {
        Self { dehumanization: Some(threshold), hate: None, chosen: chosen.into() }
    }

    /// What the decision is taken by, each with its threshold.
    pub fn thresholds(&self) -> impl Iterator<Item = (Role, f32)> + use<> {
        let both = [(Role::Dehumanization, self.dehumanization), (Role::Hate, self.hate)];
        both.into_iter().filter_map(|(role, threshold)| Some((role, threshold?)))
    }

    fn reached(&self, probabilities: &Probabilities) -> bool {
        self.thresholds().any(|(role, threshold)| probabilities.of(role) >= threshold)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (role, threshold)) in self.thresholds().enumerate() {
            let or = if index == 0 { "" } else { " or " };
            write!(f, "{or}{role} {threshold}")?;
        }
        Ok(())
    }
}

/// Which categories are named as the cause of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Because {
    default: f32,
    #[serde(default)]
    chosen: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    categories: BTreeMap<Category, f32>,
}

/// What to do about a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing to do.
    Allow,
    /// A person should look at it.
    Review,
    /// It breaks the policy with the certainty that the policy asks for.
    Flag,
}

impl Decision {
    /// The stable snake_case name, as serialized.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Review => "review",
            Self::Flag => "flag",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A decision and the categories that caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What to do about the text.
    pub decision: Decision,
    /// The categories that caused the decision, most probable first. Empty for
    /// [`Decision::Allow`]; otherwise, where no category reaches its own threshold, the most probable
    /// one is named. A model without categories names none.
    pub because: Vec<Category>,
}

impl Policy {
    /// Reads a policy from its TOML text.
    ///
    /// # Errors
    /// When the text is not TOML, has unknown or missing fields, is of another format version, or
    /// has a threshold outside `[0, 1]` or a review threshold above the flag threshold.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let file: PolicyFile = toml::from_str(text).map_err(Box::new)?;
        file.check(text)?;
        Ok(Self { file, digest: Digest::of(text.as_bytes()) })
    }

    /// Reads a policy from a TOML file.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Policy::from_toml`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        Self::from_toml(&fs::read_to_string(path)?)
    }

    /// A policy's TOML text with other thresholds and with what they were chosen on. The thresholds
    /// of categories stay as they are here.
    ///
    /// # Errors
    /// As [`Policy::from_toml`], which reads the text.
    pub fn retuned(&self, tuning: Tuning) -> Result<String, PolicyError> {
        tuning.with(self.file.because.clone())
    }

    /// The policy's name.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// The policy's own version, as its author wrote it.
    pub fn version(&self) -> &str {
        &self.file.version
    }

    /// The name of the model whose scores the thresholds were chosen on.
    pub fn model(&self) -> &str {
        &self.file.model
    }

    /// The digest of that model, where the policy tells it.
    pub fn model_digest(&self) -> Option<Digest> {
        self.file.model_digest
    }

    /// What the thresholds were chosen on, where the policy tells it.
    pub fn data(&self) -> Option<&PolicyData> {
        self.file.data.as_ref()
    }

    /// SHA-256 of the policy's text.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// When a text is flagged.
    pub fn flag(&self) -> &Level {
        &self.file.flag
    }

    /// When a person should look.
    pub fn review(&self) -> &Level {
        &self.file.review
    }

    /// The probability at which `category` is named as a cause.
    pub fn because(&self, category: Category) -> f32 {
        let because = &self.file.because;
        because.categories.get(&category).copied().unwrap_or(because.default)
    }

    /// How the thresholds of categories were chosen.
    pub fn because_chosen(&self) -> &str {
        &self.file.because.chosen
    }

    /// Decides by the probabilities that the policy has thresholds for. Thresholds are inclusive.
    pub fn decide(&self, probabilities: &Probabilities) -> Decision {
        if self.file.flag.reached(probabilities) {
            Decision::Flag
        } else if self.file.review.reached(probabilities) {
            Decision::Review
        } else {
            Decision::Allow
        }
    }

    /// Checks that a model gives the scores that the policy decides by.
    ///
    /// # Errors
    /// Names a score that the policy has a threshold for and the model no label.
    pub fn check_labels(&self, labels: &Labels) -> Result<(), PolicyError> {
        match self.file.flag.thresholds().find(|&(role, _)| !labels.has(role)) {
            Some((role, _)) => Err(PolicyError::NoLabel { role }),
            None => Ok(()),
        }
    }

    /// Decides about a text. Thresholds are inclusive. A text without content is allowed.
    pub fn verdict(&self, scores: &Scores) -> Verdict {
        let decision = match scores.unscored {
            Some(_) => Decision::Allow,
            None => self.decide(&scores.probabilities),
        };
        let because = match decision {
            Decision::Allow => Vec::new(),
            Decision::Review | Decision::Flag => self.causes(scores),
        };
        Verdict { decision, because }
    }

    fn causes(&self, scores: &Scores) -> Vec<Category> {
        let known = |category: &Category| scores.labels().has(Role::Category(*category));
        let mut categories: Vec<_> = Category::ALL.into_iter().filter(known).collect();
        // A stable sort: equal probabilities keep the order of `Category::ALL`.
        categories.sort_by(|a, b| scores.category(*b).total_cmp(&scores.category(*a)));
        let reached = |category: &Category| scores.category(*category) >= self.because(*category);
        let mut causes: Vec<_> = categories.iter().copied().filter(reached).collect();
        let most_probable = categories.first().filter(|&&category| scores.category(category) > 0.0);
        if causes.is_empty() {
            causes.extend(most_probable);
        }
        causes
    }
}

/// What a policy rests on, less the thresholds of categories.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The new policy's name.
    pub name: String,
    /// Its version, the date for instance.
    pub version: String,
    /// The name of the model whose scores the thresholds were chosen on.
    pub model: String,
    /// That model's digest.
    pub model_digest: Digest,
    /// The labelled texts that they were chosen on.
    pub data: PolicyData,
    /// When a text is flagged.
    pub flag: Level,
    /// When a person should look.
    pub review: Level,
}

impl Tuning {
    /// The TOML text of a policy of its own, which names categories that are more probable than not.
    ///
    /// # Errors
    /// As [`Policy::from_toml`], which reads the text.
    pub fn into_toml(self) -> Result<String, PolicyError> {
        let chosen = "more probable than not; not tuned".to_owned();
        self.with(Because { default: 0.5, chosen, categories: BTreeMap::new() })
    }

    fn with(self, because: Because) -> Result<String, PolicyError> {
        let file = PolicyFile {
            format: FORMAT,
            name: self.name,
            version: self.version,
            model: self.model,
            model_digest: Some(self.model_digest),
            data: Some(self.data),
            flag: self.flag,
            review: self.review,
            because,
        };
        let text = toml::to_string(&file)?;
        Policy::from_toml(&text)?;
        Ok(text)
    }
}

impl PolicyFile {
    /// `text` is where the file was read from, to tell the lines of faults.
    fn check(&self, text: &str) -> Result<(), PolicyError> {
        if self.format != FORMAT {
            return Err(PolicyError::Format { found: self.format });
        }
        let roles = |level: &Level| level.thresholds().map(|(role, _)| role).collect::<Vec<_>>();
        if roles(&self.flag).is_empty() || roles(&self.flag) != roles(&self.review) {
            return Err(PolicyError::Levels);
        }
        let levels = [("flag", &self.flag), ("review", &self.review)];
        let levels = levels.into_iter().flat_map(|(name, level)| {
            level.thresholds().map(move |(role, value)| (format!("{name}.{role}"), value))
        });
        let overrides =
            self.because.categories.iter().map(|(category, &threshold)| {
                (format!("because.categories.{category}"), threshold)
            });
        let default = ("because.default".to_owned(), self.because.default);
        for (field, value) in levels.chain([default]).chain(overrides) {
            // Written so that NaN, which TOML can spell, is refused too.
            if !(0.0..=1.0).contains(&value) {
                let line = line_of(text, &field);
                return Err(PolicyError::Threshold { field, value, line });
            }
        }
        for ((role, flag), (_, review)) in self.flag.thresholds().zip(self.review.thresholds()) {
            if review > flag {
                let line = line_of(text, &format!("review.{role}"));
                return Err(PolicyError::Order { role, review, flag, line });
            }
        }
        Ok(())
    }
}

/// The line, from 1, on which the value of a dotted `field` stands; 1 where it cannot be told.
fn line_of(text: &str, field: &str) -> usize {
    let value = |table: toml::Spanned<toml::de::DeTable<'_>>| {
        let mut names = field.split('.');
        let mut value = table.get_ref().get(names.next()?)?;
        for name in names {
            value = value.get_ref().as_table()?.get(name)?;
        }
        Some(value.span().start)
    };
    let start = toml::de::DeTable::parse(text).ok().and_then(value).unwrap_or_default();
    text[..start].matches('\n').count() + 1
}

/// Why a policy could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file could not be read.
    #[error("the policy file could not be read: {0}")]
    Read(#[from] std::io::Error),
    /// The text is not TOML of the documented form.
    #[error("the policy is not of the documented form: {0}")]
    Toml(#[from] Box<toml::de::Error>),
    /// The policy is of a format that this version does not know.
    #[error("the policy has format {found}; this version of dignity reads format {FORMAT}")]
    Format {
        /// The `format` field.
        found: u32,
    },
    /// The policy cannot be written as TOML.
    #[error("the policy cannot be written: {0}")]
    Write(#[from] toml::ser::Error),
    /// A threshold is not a probability.
    #[error(
        "the policy's {field} is {value} (line {line}); a threshold is a probability between 0 and 1"
    )]
    Threshold {
        /// The field's name in the file.
        field: String,
        /// Its value.
        value: f32,
        /// The line it stands on, from 1.
        line: usize,
    },
    /// A level has no threshold, or one that the other has not.
    #[error(
        "the policy's flag and review must have thresholds for the same scores: dehumanization, \
         hate, or both"
    )]
    Levels,
    /// The model gives no score that the policy decides by.
    #[error(
        "the policy decides by {role}, which the model has no label for; give one of its labels \
         that role, or take another policy"
    )]
    NoLabel {
        /// The score.
        role: Role,
    },
    /// A text would be flagged before it is reviewed.
    #[error(
        "the policy's review threshold {review} for {role} (line {line}) is above its flag \
         threshold {flag}; lower it"
    )]
    Order {
        /// The score.
        role: Role,
        /// Its threshold under `review`.
        review: f32,
        /// Its threshold under `flag`.
        flag: f32,
        /// The line that the review threshold stands on, from 1.
        line: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::{TextView, Unscored, WindowScores};

    const POLICY: &str = r#"
        format = 1
        name = "test"
        version = "1"
        model = "tiny"
        [flag]
        dehumanization = 0.75
        [review]
        dehumanization = 0.25
        [because]
        default = 0.5
        [because.categories]
        caste = 0.125
    "#;

    fn scores(dehumanization: f32, categories: &[(Category, f32)]) -> Scores {
        let mut probabilities = Probabilities { dehumanization, ..Probabilities::default() };
        for &(category, probability) in categories {
            probabilities.categories[category] = probability;
        }
        let window = WindowScores { view: TextView::Raw, bytes: 0..1, probabilities };
        Scores::from_windows(vec![window], &Default::default())
    }

    #[test]
    fn thresholds_are_inclusive_and_the_next_number_below_is_not() {
        let policy = Policy::from_toml(POLICY).unwrap();
        let decision = |p: f32| policy.verdict(&scores(p, &[])).decision;
        assert_eq!(decision(0.75), Decision::Flag);
        assert_eq!(decision(0.75_f32.next_down()), Decision::Review);
        assert_eq!(decision(0.25), Decision::Review);
        assert_eq!(decision(0.25_f32.next_down()), Decision::Allow);
        assert_eq!(decision(0.0), Decision::Allow);
        assert_eq!(decision(1.0), Decision::Flag);
    }

    #[test]
    fn causes_are_the_categories_over_their_thresholds_or_the_most_probable() {
        let policy = Policy::from_toml(POLICY).unwrap();
        let because = |s: &Scores| policy.verdict(s).because;
        let two = scores(0.9, &[(Category::Caste, 0.125), (Category::Race, 0.5)]);
        assert_eq!(because(&two), [Category::Race, Category::Caste]);
        let none_reaches = scores(0.9, &[(Category::Age, 0.4), (Category::Race, 0.3)]);
        assert_eq!(because(&none_reaches), [Category::Age]);
        let allowed = scores(0.1, &[(Category::Race, 0.9)]);
        assert!(because(&allowed).is_empty());
    }

    #[test]
    fn hate_decides_where_the_policy_says_so() {
        let both = POLICY
            .replace("dehumanization = 0.75", "dehumanization = 0.75\nhate = 0.9")
            .replace("dehumanization = 0.25", "dehumanization = 0.25\nhate = 0.6");
        let policy = Policy::from_toml(&both).unwrap();
        let decision = |dehumanization, hate| {
            policy.decide(&Probabilities { dehumanization, hate, ..Probabilities::default() })
        };
        assert_eq!(decision(0.0, 0.9), Decision::Flag);
        assert_eq!(decision(0.3, 0.5), Decision::Review);
        assert_eq!(decision(0.0, 0.6), Decision::Review);
        assert_eq!(decision(0.2, 0.5), Decision::Allow);
        assert_eq!(policy.flag().to_string(), "dehumanization 0.75 or hate 0.9");
        // A model without categories names none.
        let mut hateful = scores(0.0, &[]);
        hateful.probabilities.hate = 0.95;
        assert!(policy.verdict(&hateful).because.is_empty());
    }

    #[test]
    fn a_text_without_content_is_allowed_even_where_everything_is_flagged() {
        let all = POLICY.replace("0.75", "0.0").replace("0.25", "0.0");
        let policy = Policy::from_toml(&all).unwrap();
        assert_eq!(policy.verdict(&scores(0.0, &[])).decision, Decision::Flag);
        let blank = Scores::without_content(Unscored::Blank, &Default::default());
        assert_eq!(policy.verdict(&blank).decision, Decision::Allow);
    }

    #[test]
    fn bad_policies_are_refused_by_name_of_the_fault() {
        let error = |from: &str, to: &str| {
            assert!(POLICY.contains(from));
            Policy::from_toml(&POLICY.replace(from, to)).unwrap_err().to_string()
        };
        assert!(error("format = 1", "format = 2").contains("format 2"));
        assert!(error("0.75", "1.5").contains("flag.dehumanization is 1.5 (line 7)"));
        assert!(error("0.75", "nan").contains("flag.dehumanization is NaN"));
        assert!(error("0.125", "-0.1").contains("because.categories.caste is -0.1"));
        let above = error("0.25", "0.8");
        assert!(above.contains("review threshold 0.8 for dehumanization (line 9) is above"));
        assert!(error("dehumanization = 0.25", "hate = 0.25").contains("for the same scores"));
        assert!(error("dehumanization = 0.25", "").contains("for the same scores"));
        assert!(error("caste = 0.125", "casts = 0.125").contains("casts"));
        assert!(error("version = \"1\"", "").contains("version"));
        assert!(error("[review]", "[revue]").contains("revue"));
    }

    #[test]
    fn the_digest_is_of_the_text() {
        let policy = Policy::from_toml(POLICY).unwrap();
        let other = Policy::from_toml(&POLICY.replace("\"test\"", "\"other\"")).unwrap();
        assert_ne!(policy.digest(), other.digest());
    }
}
