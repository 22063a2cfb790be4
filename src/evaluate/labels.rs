//! What people said of a text: the fields of a labelled row.

use std::fmt;

use enum_map::{Enum, EnumMap};
use serde::{Deserialize, Serialize, Serializer};

use crate::taxonomy::{Category, Way};

/// A group that a text mentions, as the codebook divides them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Group {
    /// A group of a protected category.
    Category(Category),
    /// Another kind of group: a party, a profession, fans.
    Other,
    /// An individual, not by way of a group.
    Individual,
}

impl Group {
    /// Every group, in the order of the codebook.
    pub fn all() -> impl Iterator<Item = Self> {
        Category::ALL.into_iter().map(Self::Category).chain([Self::Other, Self::Individual])
    }

    /// The code that annotations use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Category(Category::Religion) => "rel",
            Self::Category(Category::Caste) => "cas",
            Self::Category(Category::Age) => "age",
            Self::Category(Category::Disability) => "dis",
            Self::Category(Category::SeriousDisease) => "sick",
            Self::Category(Category::NationalOrigin) => "nat",
            Self::Category(Category::Race) => "rac",
            Self::Category(Category::Ethnicity) => "eth",
            Self::Category(Category::Gender) => "gen",
            Self::Category(Category::SexualOrientation) => "ori",
            Self::Other => "oth",
            Self::Individual => "ind",
        }
    }

    /// The stable snake_case name, as serialized.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Category(category) => category.name(),
            Self::Other => "other",
            Self::Individual => "individual",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The letter that annotations use for a way.
const fn way_code(way: Way) -> char {
    match way {
        Way::Animal => 'a',
        Way::DiseaseOrFilth => 'd',
        Way::ObjectOrMachine => 'o',
        Way::MonsterOrSubhuman => 'm',
        Way::DenialOfMindOrWorth => 'n',
    }
}

/// The labels of one text.
///
/// Deserializes from an object with the fields `dehum` (1 or 0), and where known `hate` (1, 0 or
/// null), `ways` (letters `a d o m n`), `groups` (codes `rel cas age dis sick nat rac eth gen ori oth
/// ind`), `function` and `category` (any strings). Codes stand in an array or in one string; the
/// names of the taxonomy are read as well; `-` is none. Other fields are passed over.
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// use dignity::{Category, evaluate::Labels};
///
/// let labels: Labels = serde_json::from_str(r#"{"dehum": 1, "ways": "ad", "groups": ["nat"]}"#)?;
/// assert_eq!(labels.category(Category::NationalOrigin), Some(true));
/// assert_eq!(labels.hate, None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Labels {
    /// Whether the text dehumanizes people on account of a protected category.
    pub dehumanization: bool,
    /// Whether it attacks a protected group in any manner, where that is known.
    pub hate: Option<bool>,
    /// The ways of dehumanizing, where they are known.
    pub ways: Option<EnumMap<Way, bool>>,
    /// The groups that the text mentions (dehumanized or not), where they are known.
    pub groups: Option<EnumMap<Group, bool>>,
    /// The function of a functional test that the text belongs to.
    pub function: Option<String>,
    /// A division of the data that its author chose.
    pub category: Option<String>,
}

impl Labels {
    /// Whether the text dehumanizes on account of `category`; none where that is not known. A text
    /// that does not dehumanize does so on account of no category.
    pub fn category(&self, category: Category) -> Option<bool> {
        self.part(self.groups.map(|groups| groups[Group::Category(category)]))
    }

    /// Whether the text dehumanizes in this `way`; none where that is not known.
    pub fn way(&self, way: Way) -> Option<bool> {
        self.part(self.ways.map(|ways| ways[way]))
    }

    fn part(&self, labelled: Option<bool>) -> Option<bool> {
        if self.dehumanization { labelled } else { Some(false) }
    }
}

#[derive(Deserialize)]
struct Fields {
    dehum: Truth,
    hate: Option<Truth>,
    ways: Option<Codes>,
    groups: Option<Codes>,
    function: Option<String>,
    category: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "a label is 1 or 0")]
enum Truth {
    Bool(bool),
    Number(f64),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "codes stand in a string or in an array of strings")]
enum Codes {
    Text(String),
    List(Vec<String>),
}

/// Why the labels of a row cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelsError {
    /// A label that is neither 1 nor 0.
    #[error("the field {field:?} is {value}; a label is 1 or 0")]
    NotBinary {
        /// The field.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// A code that the codebook does not have.
    #[error("the field {field:?} has the unknown code {code:?}")]
    UnknownCode {
        /// The field.
        field: &'static str,
        /// The code.
        code: String,
    },
}

impl Truth {
    fn read(self, field: &'static str) -> Result<bool, LabelsError> {
        match self {
            Self::Bool(value) => Ok(value),
            Self::Number(0.0) => Ok(false),
            Self::Number(1.0) => Ok(true),
            Self::Number(value) => Err(LabelsError::NotBinary { field, value }),
        }
    }
}

impl Codes {
    /// The codes one by one.
    fn words(&self) -> Vec<&str> {
        let separators = |c: char| c.is_whitespace() || c == ',' || c == ';';
        let texts = match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(list) => list,
        };
        let words = texts.iter().flat_map(|text| text.split(separators));
        words.filter(|word| !word.is_empty() && *word != "-").collect()
    }

    fn ways(&self) -> Result<EnumMap<Way, bool>, LabelsError> {
        let mut ways = EnumMap::default();
        for word in self.words() {
            if let Some(way) = Way::ALL.into_iter().find(|way| way.name() == word) {
                ways[way] = true;
                continue;
            }
            // Letters may stand together: "ad" is animal and disease.
            for letter in word.chars() {
                let way = Way::ALL.into_iter().find(|&way| way_code(way) == letter);
                let unknown = || LabelsError::UnknownCode { field: "ways", code: word.to_owned() };
                ways[way.ok_or_else(unknown)?] = true;
            }
        }
        Ok(ways)
    }

    fn groups(&self) -> Result<EnumMap<Group, bool>, LabelsError> {
        let mut groups = EnumMap::default();
        for word in self.words() {
            let group = Group::all().find(|group| [group.code(), group.name()].contains(&word));
            let unknown = || LabelsError::UnknownCode { field: "groups", code: word.to_owned() };
            groups[group.ok_or_else(unknown)?] = true;
        }
        Ok(groups)
    }
}

impl TryFrom<Fields> for Labels {
    type Error = LabelsError;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        Ok(Self {
            dehumanization: fields.dehum.read("dehum")?,
            hate: fields.hate.map(|hate| hate.read("hate")).transpose()?,
            ways: fields.ways.as_ref().map(Codes::ways).transpose()?,
            groups: fields.groups.as_ref().map(Codes::groups).transpose()?,
            function: fields.function,
            category: fields.category,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Labels, String> {
        serde_json::from_str(json).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn codes_are_read_from_arrays_strings_and_names() {
        let forms = [
            r#"{"dehum":1,"ways":["a","m"],"groups":["rel","sick","ind"],"hate":1}"#,
            r#"{"dehum":1.0,"ways":"am","groups":"rel sick ind","hate":true,"text":"x","n":{}}"#,
            r#"{"dehum":true,"ways":"animal, monster_or_subhuman","groups":"religion;serious_disease,individual","hate":1}"#,
        ];
        for form in forms {
            let labels = read(form).unwrap();
            assert_eq!(labels, read(forms[0]).unwrap());
            let ways: Vec<_> = Way::ALL.map(|way| labels.way(way)).into();
            assert_eq!(ways, [true, false, false, true, false].map(Some));
            assert_eq!(labels.category(Category::Religion), Some(true));
            assert_eq!(labels.category(Category::SeriousDisease), Some(true));
            assert_eq!(labels.category(Category::Caste), Some(false));
            assert!(labels.groups.unwrap()[Group::Individual]);
        }
        assert_eq!(read(r#"{"dehum":1,"ways":"-"}"#).unwrap().way(Way::Animal), Some(false));
    }

    #[test]
    fn what_is_not_labelled_is_not_known_but_for_texts_that_do_not_dehumanize() {
        let positive = read(r#"{"dehum":1,"hate":null}"#).unwrap();
        assert_eq!((positive.hate, positive.way(Way::Animal)), (None, None));
        assert_eq!(positive.category(Category::Age), None);
        let negative = read(r#"{"dehum":0,"groups":["age"]}"#).unwrap();
        assert_eq!(negative.way(Way::Animal), Some(false));
        assert_eq!(negative.category(Category::Age), Some(false), "mentioned, not dehumanized");
    }

    #[test]
    fn faults_are_named() {
        let fault = |json| read(json).unwrap_err();
        assert!(fault("{}").contains("missing field `dehum`"));
        assert!(fault(r#"{"dehum":2}"#).contains("the field \"dehum\" is 2"));
        assert!(fault(r#"{"dehum":null}"#).contains("1 or 0"));
        assert!(fault(r#"{"dehum":1,"hate":"no"}"#).contains("1 or 0"));
        assert!(fault(r#"{"dehum":1,"ways":"ax"}"#).contains("unknown code \"ax\""));
        assert!(fault(r#"{"dehum":1,"groups":["xyz"]}"#).contains("unknown code \"xyz\""));
        assert!(fault(r#"{"dehum":1,"groups":3}"#).contains("array of strings"));
    }

    #[test]
    fn every_group_has_a_code_of_its_own() {
        let codes: std::collections::BTreeSet<_> = Group::all().map(Group::code).collect();
        assert_eq!(codes.len(), 12);
        assert_eq!(Group::all().count(), EnumMap::<Group, ()>::default().len());
    }
}
