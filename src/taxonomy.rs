//! What a score is about: its [`Role`], the protected [`Category`] and the [`Way`] of dehumanizing.
//!
//! Both follow the codebook that the training labels were made by; their names are stable and are
//! the keys of every serialized form.

use std::{fmt, str::FromStr};

use enum_map::Enum;
use serde::{Deserialize, Serialize};

/// A category on account of which people are protected from dehumanizing language.
///
/// Eight are named by the policy that dignity serves; [`Gender`](Category::Gender) and
/// [`SexualOrientation`](Category::SexualOrientation) stand beside them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enum, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Category {
    /// Muslims, Jews, Hindus, Christians, Sikhs, atheists and others.
    Religion,
    /// Dalits, lower or upper castes, named castes.
    Caste,
    /// Old people, teenagers, children as a group.
    Age,
    /// Physical and mental disability, autism, deafness, blindness and others.
    Disability,
    /// People with HIV, cancer, leprosy, tuberculosis and others.
    SeriousDisease,
    /// Nationality and migration: immigrants, refugees, foreigners, named nationalities.
    NationalOrigin,
    /// Black, white, Asian, brown or mixed people.
    Race,
    /// Jews as a people, Arabs, Roma, Latinos, Indigenous peoples, Kurds, Uyghurs and others.
    Ethnicity,
    /// Women, men, trans people.
    Gender,
    /// Gay, lesbian, bisexual or queer people.
    SexualOrientation,
}

impl Category {
    /// Every category, in the order of the model's card and of every output.
    pub const ALL: [Self; 10] = [
        Self::Religion,
        Self::Caste,
        Self::Age,
        Self::Disability,
        Self::SeriousDisease,
        Self::NationalOrigin,
        Self::Race,
        Self::Ethnicity,
        Self::Gender,
        Self::SexualOrientation,
    ];

    /// The stable snake_case name, as serialized.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Religion => "religion",
            Self::Caste => "caste",
            Self::Age => "age",
            Self::Disability => "disability",
            Self::SeriousDisease => "serious_disease",
            Self::NationalOrigin => "national_origin",
            Self::Race => "race",
            Self::Ethnicity => "ethnicity",
            Self::Gender => "gender",
            Self::SexualOrientation => "sexual_orientation",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A way of denying people their humanity.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enum, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Way {
    /// Compared to animals, vermin or livestock, or given the verbs of animals.
    Animal,
    /// Called a disease, an infection, filth or refuse.
    DiseaseOrFilth,
    /// Treated as things, property, products or machines.
    ObjectOrMachine,
    /// Called subhuman, savages, creatures, demons.
    MonsterOrSubhuman,
    /// Said to have no mind, no feelings, no soul, or lives worth nothing.
    DenialOfMindOrWorth,
}

impl Way {
    /// Every way, in the order of every output.
    pub const ALL: [Self; 5] = [
        Self::Animal,
        Self::DiseaseOrFilth,
        Self::ObjectOrMachine,
        Self::MonsterOrSubhuman,
        Self::DenialOfMindOrWorth,
    ];

    /// The stable snake_case name, as serialized.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Animal => "animal",
            Self::DiseaseOrFilth => "disease_or_filth",
            Self::ObjectOrMachine => "object_or_machine",
            Self::MonsterOrSubhuman => "monster_or_subhuman",
            Self::DenialOfMindOrWorth => "denial_of_mind_or_worth",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What one score of a text is about. Written `dehumanization`, `hate`, `categories.religion`,
/// `ways.animal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The text, in its author's voice, dehumanizes people on account of a protected category.
    Dehumanization,
    /// The text attacks a protected group in any manner.
    Hate,
    /// It dehumanizes on account of this category.
    Category(Category),
    /// It dehumanizes in this way.
    Way(Way),
}

impl Role {
    /// Every role, in the order of every output.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Dehumanization, Self::Hate]
            .into_iter()
            .chain(Category::ALL.map(Self::Category))
            .chain(Way::ALL.map(Self::Way))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dehumanization => f.write_str("dehumanization"),
            Self::Hate => f.write_str("hate"),
            Self::Category(category) => write!(f, "categories.{category}"),
            Self::Way(way) => write!(f, "ways.{way}"),
        }
    }
}

/// The text names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no role; write dehumanization, hate, categories.NAME or ways.NAME, as outputs name them"
)]
pub struct ParseRoleError(String);

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |role: &Self| role.to_string() == text;
        Self::all().find(named).ok_or_else(|| ParseRoleError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use enum_map::EnumMap;

    use super::*;

    #[test]
    fn names_are_the_serialized_ones_and_in_the_order_of_the_enums() {
        for (index, category) in Category::ALL.into_iter().enumerate() {
            assert_eq!(category.into_usize(), index);
            assert_eq!(serde_json::to_value(category).unwrap(), category.name());
        }
        for (index, way) in Way::ALL.into_iter().enumerate() {
            assert_eq!(way.into_usize(), index);
            assert_eq!(serde_json::to_value(way).unwrap(), way.name());
        }
        assert_eq!(Category::ALL.len(), EnumMap::<Category, ()>::default().len());
        assert_eq!(Way::ALL.len(), EnumMap::<Way, ()>::default().len());
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in Role::all() {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("categories.caste".parse(), Ok(Role::Category(Category::Caste)));
        assert!("caste".parse::<Role>().is_err());
    }
}
