//! Measures scores and a policy against labels, and chooses thresholds by them.
//!
//! Everything here is a pure function of scores and labels: [`Report::new`] gives all figures of a
//! labelled set, [`Ranking`], [`Confusion`] and [`Reliability`] single ones, [`choose`] a threshold.
//!
//! ```
//! use dignity::evaluate::Ranking;
//!
//! let ranking = Ranking::new([(0.9, true), (0.6, false), (0.4, true), (0.2, false)]);
//! assert_eq!(ranking.roc_auc(), Some(0.75));
//! ```

mod bootstrap;
mod confusion;
#[cfg(feature = "cli")]
mod document;
#[cfg(feature = "cli")]
mod html;
mod labels;
#[cfg(feature = "cli")]
pub(crate) mod page;
#[cfg(feature = "cli")]
pub(crate) mod plot;
mod ranking;
mod reliability;
mod report;
#[cfg(feature = "cli")]
mod table;
mod tune;

pub use {
    bootstrap::{Bootstrap, Figure, Interval, MINIMUM},
    confusion::Confusion,
    labels::{Group, Labels, LabelsError},
    ranking::Ranking,
    reliability::{Reliability, ReliabilityBin},
    report::{
        CurvePoint, DecisionFigures, GroupFigures, LabelFigures, Labelled, RankingFigures, Report,
        SliceDecision, SliceFigures, WAY_THRESHOLD,
    },
    tune::{Choice, FEW, TuneError, Wish, choose},
};
#[cfg(feature = "cli")]
pub(crate) use {
    document::{Document, Named},
    html::html,
    report::decision_figures,
    table::write_table,
};
