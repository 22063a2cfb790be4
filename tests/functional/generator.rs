//! The generator itself: what it makes, and that it shares nothing with training.

use std::collections::{BTreeMap, BTreeSet};

use dignity::Category;
use fastrand::Rng;

use crate::suite::{
    Kind, PLACES, cases, groups, harmless, january_2021, masked, obfuscated, planted, telling,
    templates, words,
};

const TRAINING_GROUPS: &str = include_str!("../../models/training/groups.tsv");

#[test]
fn the_cases_are_the_same_every_time_and_none_comes_twice() {
    let texts = |_| cases().into_iter().map(|case| (case.id, case.text)).collect::<Vec<_>>();
    let [first, second] = [(); 2].map(texts);
    assert_eq!(first, second);
    assert!(first.len() > 2_000, "{}", first.len());
    let mut ids = BTreeSet::new();
    let mut different = BTreeSet::new();
    for (id, text) in &first {
        assert!(ids.insert(id), "{id} comes twice");
        assert!(different.insert(text), "{id} repeats a text");
        assert!(!text.contains(['{', '}', '~', '\t']), "{id} has a slot left");
    }
}

#[test]
fn every_function_and_every_category_is_there_and_the_labels_agree() {
    let mut templates_of = BTreeMap::<_, usize>::new();
    for template in templates() {
        *templates_of.entry(template.function).or_default() += 1;
        assert_eq!(template.dehumanizing, !template.ways.is_empty(), "{}", template.text);
    }
    assert_eq!(templates_of.len(), 36);
    for (function, count) in &templates_of {
        assert!(*count >= 8, "{function} has only {count} templates");
    }
    let mut counts = BTreeMap::<_, usize>::new();
    for case in cases() {
        *counts.entry((case.function, case.category)).or_default() += 1;
        assert!(!case.dehumanizing || case.hate == Some(true), "{}", case.id);
    }
    for function in templates_of.keys() {
        for category in Category::ALL {
            let count = counts.get(&(function, Some(category))).copied().unwrap_or(0);
            assert!(count >= 2, "{function} of {category}: {count}");
        }
    }
}

#[test]
fn names_are_used_evenly() {
    let mut uses = BTreeMap::<_, usize>::new();
    for case in cases() {
        *uses.entry(case.group).or_default() += 1;
    }
    for category in Category::ALL {
        let of: Vec<_> = groups()
            .into_iter()
            .filter(|group| group.categories[0] == category)
            .map(|group| uses[&Some(group.plural)])
            .collect();
        assert_eq!(of.len(), 6, "{category}");
        let (least, most) = (of.iter().min().unwrap(), of.iter().max().unwrap());
        assert!(most - least <= 3, "{category}: {of:?}");
    }
}

#[test]
fn no_name_is_one_that_training_saw() {
    let trained: BTreeSet<_> = TRAINING_GROUPS
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|cells| cells[4] == "train")
        .flat_map(|cells| [cells[1].to_lowercase(), cells[2].to_lowercase()])
        .collect();
    assert!(trained.len() > 100);
    for group in groups() {
        for name in [group.plural, group.singular] {
            assert!(!trained.contains(&name.to_lowercase()), "{name} is a name of training");
        }
    }
    for template in templates().iter().filter(|template| template.dehumanizing) {
        let written: Vec<_> = template.text.split(|c: char| !c.is_alphabetic()).collect();
        for word in ["Muslims", "Jews", "women", "immigrants", "blacks", "gays"] {
            assert!(!written.contains(&word), "{} names a group itself", template.text);
        }
    }
}

#[test]
fn articles_and_capitals_are_right() {
    for case in cases() {
        for wrong in [" a a", " a e", " a i", " a o", " an m", " an p", " an t", "  "] {
            let lower = case.text.replace("HIV", "hiv");
            assert!(!lower.contains(wrong), "{}: {wrong:?}", case.id);
        }
        let first = case.text.trim_start_matches('"').chars().next().unwrap();
        let template = templates().into_iter().find(|template| {
            case.text.ends_with(template.text.rsplit('}').next().unwrap_or_default())
                && template.function == case.function
                && template.text.starts_with('~')
        });
        assert!(first.is_uppercase() || first.is_numeric() || template.is_some(), "{}", case.id);
    }
}

#[test]
fn offensive_words_are_masked_and_names_are_not() {
    let text = "Eritreans are not Vermin, people with cancer no cancer, and rattan is no rat.";
    let masked_text =
        "Eritreans are not V*****, people with cancer no c*****, and rattan is no r**.";
    assert_eq!(masked(text), masked_text);
    assert_eq!(masked("A piece of equipment."), "A p**** ** *********.");
    for case in cases() {
        let masked = masked(&case.text);
        assert_eq!(masked.chars().count(), case.text.chars().count());
        assert!(telling(&masked).is_empty(), "{}", case.id);
    }
}

#[test]
fn obfuscation_changes_every_explicit_case_and_leaves_the_name_alone() {
    for kind in Kind::ALL {
        let mut rng = Rng::with_seed(1);
        for case in cases().iter().filter(|case| case.is_explicit()) {
            let hidden = obfuscated(&case.text, kind, &mut rng);
            assert_ne!(hidden, case.text, "{kind} of {}", case.id);
            let lower = hidden.to_lowercase();
            let group = groups().into_iter().find(|group| Some(group.plural) == case.group);
            let group = group.unwrap();
            let named = [group.plural, group.singular, group.adjective];
            assert!(
                named.iter().any(|name| !name.is_empty() && lower.contains(&name.to_lowercase())),
                "{kind} of {}: {}",
                case.id,
                masked(&case.text)
            );
        }
    }
    let mut rng = Rng::with_seed(7);
    let dotted = obfuscated("They are rats.", Kind::Spacing, &mut rng);
    assert_eq!(dotted.chars().filter(|c| c.is_alphabetic()).collect::<String>(), "Theyarerats");
    assert_eq!(dotted.chars().count(), "They are r.a.t.s.".len());
}

#[test]
fn a_planted_text_is_as_long_as_asked_and_tells_where_the_case_is() {
    assert!(harmless().len() >= 80);
    for sentence in harmless() {
        assert!(sentence.ends_with('.') && telling(sentence).is_empty(), "{sentence}");
    }
    for place in PLACES {
        let (text, range) = planted(3_000, place, 0);
        assert_eq!((text.clone(), range.clone()), planted(3_000, place, 0));
        assert_ne!(text, planted(3_000, place, 1).0);
        let count = text.split_whitespace().count();
        assert!((3_000..3_080).contains(&count), "{count}");
        assert!(cases().iter().any(|case| case.is_explicit() && case.text == text[range.clone()]));
        let middle = (range.start + range.end) as f64 / 2.0 / text.len() as f64;
        assert!((middle - place).abs() < 0.02, "{middle} for {place}");
    }
}

#[test]
fn the_post_has_its_paraphrases_and_contrasts() {
    let texts = january_2021();
    assert_eq!(texts.iter().filter(|case| case.dehumanizing).count(), 6);
    assert_eq!(texts.iter().filter(|case| !case.dehumanizing).count(), 10);
}

#[test]
fn every_slot_is_used_and_every_word_written_once() {
    let used: String = templates().iter().map(|template| template.text).collect();
    for (slot, words) in words() {
        assert!(slot == "telling" || used.contains(&format!("{{{slot}}}")), "{slot} is not used");
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "{slot}");
    }
}
