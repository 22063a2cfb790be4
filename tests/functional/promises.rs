//! What the model that ships must reach, under its own policy.

use std::{collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use dignity::{Category, Classifier, Decision, Policy, Scores, WindowScores, evaluate::Labels};
use fastrand::Rng;

use crate::{
    hurried::{Hurry, hurried},
    suite::{
        Case, Kind, PLACES, cases, harmless_page, january_2021, masked, obfuscated, ordinary,
        planted, posts, settings,
    },
};

/// How many words of harmless text a planted sentence is hidden in.
const PAGE_WORDS: usize = 3_000;
/// How many such texts are made for each place.
const PAGES: u64 = 4;

static CLASSIFIER: LazyLock<Classifier> = LazyLock::new(|| Classifier::shipped().unwrap());
/// The whole suite, scored once for all tests.
static SCORED: LazyLock<Vec<Scored>> = LazyLock::new(|| scored(cases()));

fn policy() -> &'static Policy {
    CLASSIFIER.policy().unwrap()
}

/// A case and what the classifier says of it.
struct Scored {
    case: Case,
    scores: Scores,
    flagged: bool,
    because: Vec<Category>,
}

impl Scored {
    fn is_right(&self) -> bool {
        self.flagged == self.case.dehumanizing
    }
}

fn scored(cases: Vec<Case>) -> Vec<Scored> {
    let texts: Vec<_> = cases.iter().map(|case| &case.text).collect();
    let scores = CLASSIFIER.score(&texts).unwrap();
    assert_eq!(scores.len(), cases.len());
    let judge = |(case, scores): (Case, Scores)| {
        let verdict = policy().verdict(&scores);
        let flagged = verdict.decision == Decision::Flag;
        Scored { case, scores, flagged, because: verdict.because }
    };
    cases.into_iter().zip(scores).map(judge).collect()
}

/// The share of those `among` that are `counted`.
fn share<'s>(among: impl Iterator<Item = &'s Scored>, counted: impl Fn(&Scored) -> bool) -> f64 {
    let (mut all, mut hits) = (0_u32, 0_u32);
    for scored in among {
        all += 1;
        hits += u32::from(counted(scored));
    }
    assert!(all > 0, "there is nothing to count");
    f64::from(hits) / f64::from(all)
}

/// The share that is flagged among the cases of each category that are, or are not, dehumanizing.
fn flagged_by_category(dehumanizing: bool) -> BTreeMap<Category, f64> {
    let of = |category| {
        let among = SCORED.iter().filter(move |scored| {
            scored.case.category == Some(category) && scored.case.dehumanizing == dehumanizing
        });
        (category, share(among, |scored| scored.flagged))
    };
    Category::ALL.into_iter().map(of).collect()
}

/// What a failed test prints: accuracy by function and by category, with masked examples.
fn report(scored: &[Scored]) -> String {
    let mut by_function = BTreeMap::<_, Vec<&Scored>>::new();
    let mut by_category = BTreeMap::<_, Vec<&Scored>>::new();
    for one in scored {
        by_function.entry((!one.case.dehumanizing, one.case.function)).or_default().push(one);
        let category = one.case.category.map_or("no category", Category::name);
        by_category.entry((!one.case.dehumanizing, category)).or_default().push(one);
    }
    let mut text = String::new();
    for (title, table) in [("by function", by_function), ("by category", by_category)] {
        let _ = writeln!(text, "\nright {title}:");
        for ((harmless, name), among) in table {
            let right = share(among.iter().copied(), Scored::is_right) * 100.0;
            let kind = if harmless { "not to flag" } else { "to flag" };
            let _ = writeln!(text, "{right:6.1} % of {:4} {kind:11} {name}", among.len());
            for wrong in among.iter().filter(|one| !one.is_right()).take(3) {
                let (p, masked) = (wrong.scores.dehumanization(), masked(&wrong.case.text));
                let _ = writeln!(text, "           {p:.3} {}: {masked}", wrong.case.id);
            }
        }
    }
    text
}

#[test]
fn dehumanizing_texts_are_flagged_whatever_the_category() {
    let among = SCORED.iter().filter(|scored| scored.case.dehumanizing);
    let recall = share(among, |scored| scored.flagged);
    let by_category = flagged_by_category(true);
    let worst = by_category.values().copied().fold(1.0, f64::min);
    assert!(
        recall >= 0.90 && worst >= 0.85,
        "recall {recall:.3}, worst {worst:.3} of {by_category:.3?}\n{}",
        report(&SCORED)
    );
}

#[test]
fn other_texts_are_rarely_flagged_and_alike_in_every_category() {
    let among = SCORED.iter().filter(|scored| !scored.case.dehumanizing);
    let alarms = share(among, |scored| scored.flagged);
    let by_category = flagged_by_category(false);
    let worst = by_category.values().copied().fold(0.0, f64::max);
    let spread = worst - by_category.values().copied().fold(1.0, f64::min);
    assert!(
        alarms <= 0.08 && worst <= 0.12 && spread <= 0.05,
        "false alarms {alarms:.3}, worst {worst:.3}, spread {spread:.3} of {by_category:.3?}\n{}",
        report(&SCORED)
    );
}

#[test]
fn speech_against_and_about_dehumanization_is_let_be() {
    let functions = ["quoted_and_condemned", "news_report", "research_report", "negated"];
    let right = functions.map(|function| {
        let among = SCORED.iter().filter(|scored| scored.case.function == function);
        (function, share(among, Scored::is_right))
    });
    assert!(
        right.iter().all(|(_, share)| *share >= 0.85),
        "right {right:.3?}\n{}",
        report(&SCORED)
    );
}

#[test]
fn naming_a_group_is_not_hate() {
    let functions = ["neutral_mention", "everyday_mention", "positive_mention"];
    let among = SCORED.iter().filter(|scored| functions.contains(&scored.case.function));
    let is_hate = |scored: &Scored| scored.scores.hate() > 0.5;
    let hate = share(among.clone(), is_hate);
    let examples: Vec<_> =
        among.filter(|one| is_hate(one)).take(10).map(|one| masked(&one.case.text)).collect();
    assert!(hate <= 0.10, "{hate:.3} have a hate score above one half: {examples:#?}");
}

#[test]
fn hiding_the_telling_words_hides_little() {
    let explicit = || SCORED.iter().filter(|scored| scored.case.is_explicit());
    let plain = share(explicit(), |scored| scored.flagged);
    // Else there would be little to lose.
    assert!(plain >= 0.90, "recall of explicit cases {plain:.3}\n{}", report(&SCORED));
    let mut rng = Rng::with_seed(5);
    let copies: Vec<_> = Kind::ALL
        .into_iter()
        .flat_map(|kind| explicit().map(move |scored| (kind, &scored.case)))
        .map(|(kind, case)| {
            let id = format!("{}-{kind}", case.id);
            Case { id, text: obfuscated(&case.text, kind, &mut rng), ..case.clone() }
        })
        .collect();
    let copies = scored(copies);
    let mut lost = BTreeMap::new();
    let mut examples = String::new();
    for kind in Kind::ALL {
        let ending = format!("-{kind}");
        let among = || copies.iter().filter(|one| one.case.id.ends_with(&ending));
        lost.insert(kind.to_string(), plain - share(among(), |one| one.flagged));
        for missed in among().filter(|one| !one.flagged).take(3) {
            // Masking cannot find hidden words: only what the case is like is told.
            let _ = writeln!(examples, "{:.3} {}", missed.scores.dehumanization(), missed.case.id);
        }
    }
    assert!(
        lost.values().all(|lost| *lost <= 0.05),
        "of recall {plain:.3} are lost {lost:.3?}\n{examples}"
    );
}

#[test]
fn typing_in_a_hurry_changes_little() {
    let rates = |scored: &[Scored]| {
        [true, false].map(|dehumanizing| {
            let among = scored.iter().filter(|one| one.case.dehumanizing == dehumanizing);
            share(among, |one| one.flagged)
        })
    };
    let [recall, alarms] = rates(&SCORED);
    let mut rng = Rng::with_seed(5);
    let mut changed = BTreeMap::new();
    for hurry in Hurry::ALL {
        let copy = |case: Case| Case { text: hurried(&case.text, hurry, &mut rng), ..case };
        let [with, alarms_with] = rates(&scored(cases().into_iter().map(copy).collect()));
        changed.insert(hurry, (recall - with, alarms_with - alarms));
    }
    // A mistyped word is another word to the tokenizer, or none.
    let most = |hurry: &Hurry| if *hurry == Hurry::Typos { (0.07, 0.04) } else { (0.03, 0.025) };
    assert!(
        changed.iter().all(|(hurry, (lost, more))| {
            let (most_lost, most_more) = most(hurry);
            *lost <= most_lost && *more <= most_more
        }),
        "of recall {recall:.3} are lost, and to false alarms {alarms:.3} are added: {changed:.3?}"
    );
}

#[test]
fn the_post_of_january_2021_is_flagged_and_its_contrasts_are_not() {
    let among = scored(january_2021());
    let causes = [Category::Ethnicity, Category::Religion, Category::Gender];
    let is_right = |one: &Scored| {
        let named = one.because.iter().any(|category| causes.contains(category));
        one.is_right() && (named || !one.case.dehumanizing)
    };
    let wrong: Vec<_> = among
        .iter()
        .filter(|one| !is_right(one))
        .map(|one| (one.scores.dehumanization(), &one.because, masked(&one.case.text)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} are wrong: {wrong:#.3?}", wrong.len(), among.len());
}

#[test]
fn ordinary_sentences_are_rarely_flagged() {
    let sentences = ordinary();
    assert!(sentences.len() >= 700, "{}", sentences.len());
    let scores = CLASSIFIER.score(&sentences).unwrap();
    let precise = CLASSIFIER.policy_named("high-precision").unwrap();
    for (policy, most) in [(policy(), 0.02), (precise, 0.003)] {
        let mut flagged = Vec::new();
        for (sentence, scores) in sentences.iter().zip(&scores) {
            if policy.verdict(scores).decision == Decision::Flag {
                flagged.push(format!("{:.3} {sentence}", scores.dehumanization()));
            }
        }
        let share = flagged.len() as f64 / sentences.len() as f64;
        assert!(share <= most, "{share:.3}: {flagged:#?}");
    }
}

/// The share that is flagged of the texts whose labels are `counted`.
fn flagged(texts: &[(Scores, Labels)], counted: impl Fn(&Labels) -> bool) -> f64 {
    let decisions: Vec<_> = texts
        .iter()
        .filter(|(_, labels)| counted(labels))
        .map(|(scores, _)| policy().verdict(scores).decision == Decision::Flag)
        .collect();
    decisions.iter().filter(|flagged| **flagged).count() as f64 / decisions.len() as f64
}

fn scored_with_labels(texts: Vec<(String, Labels)>) -> Vec<(Scores, Labels)> {
    let (texts, labels): (Vec<_>, Vec<_>) = texts.into_iter().unzip();
    CLASSIFIER.score(&texts).unwrap().into_iter().zip(labels).collect()
}

/// Posts in the manner of social networks, of no template.
#[test]
fn posts_that_no_training_saw_are_told_apart() {
    let posts = scored_with_labels(posts());
    assert!(posts.len() >= 1_199, "{}", posts.len());
    let of_kind = |kinds: &[&str]| {
        flagged(&posts, |labels| kinds.contains(&labels.function.as_deref().unwrap()))
    };
    let recall = of_kind(&["explicit", "implicit"]);
    assert!(recall >= 0.83, "{recall:.3}");
    let (hateful, harmless) = (of_kind(&["hateful"]), of_kind(&["harmless"]));
    assert!(hateful <= 0.08 && harmless <= 0.11, "{hateful:.3} {harmless:.3}");
}

#[test]
fn in_every_setting_what_dehumanizes_is_told_from_hatred_and_from_what_is_harmless() {
    let texts = scored_with_labels(settings());
    assert!(texts.len() >= 579, "{}", texts.len());
    let is_harmless = |labels: &Labels| !labels.dehumanization && labels.hate == Some(false);
    for setting in ["comments", "chats", "official", "forums"] {
        let of = |counted: &dyn Fn(&Labels) -> bool| {
            flagged(&texts, |labels| labels.function.as_deref() == Some(setting) && counted(labels))
        };
        let (recall, harmless) = (of(&|labels| labels.dehumanization), of(&is_harmless));
        assert!(recall >= 0.87 && harmless <= 0.15, "{setting}: {recall:.3} {harmless:.3}");
    }
    let (recall, harmless) =
        (flagged(&texts, |labels| labels.dehumanization), flagged(&texts, is_harmless));
    let hateful = flagged(&texts, |labels| !labels.dehumanization && labels.hate == Some(true));
    assert!(
        recall >= 0.91 && harmless <= 0.1 && hateful <= 0.03,
        "{recall:.3} {harmless:.3} {hateful:.3}"
    );
}

#[test]
fn windows_of_long_harmless_texts_are_rarely_flagged() {
    let pages: Vec<_> = (0..PAGES * 5).map(|page| harmless_page(PAGE_WORDS, page)).collect();
    let scores = CLASSIFIER.score(&pages).unwrap();
    let mut windows = Vec::new();
    for (page, scores) in pages.iter().zip(&scores) {
        assert!(scores.windows.len() > 5, "the text is long");
        windows.extend(scores.windows.iter().map(|window| (page, window)));
    }
    let precise = CLASSIFIER.policy_named("high-precision").unwrap();
    for (policy, most) in [(policy(), 0.01), (precise, 0.005)] {
        let mut flagged = Vec::new();
        for (page, WindowScores { bytes, probabilities, .. }) in &windows {
            if policy.decide(probabilities) == Decision::Flag {
                let (p, text) = (probabilities.dehumanization, &page[bytes.clone()]);
                flagged.push(format!("{p:.3} {text}"));
            }
        }
        let share = flagged.len() as f64 / windows.len() as f64;
        assert!(share <= most, "{share:.3}: {flagged:#?}");
    }
}

#[test]
fn a_sentence_hidden_in_a_long_text_is_flagged_and_found() {
    let places: Vec<_> = (0..PAGES).flat_map(|page| PLACES.map(|place| (page, place))).collect();
    let planted: Vec<_> =
        places.iter().map(|&(page, place)| planted(PAGE_WORDS, place, page)).collect();
    let texts: Vec<_> = planted.iter().map(|(text, _)| text).collect();
    let mut missed = Vec::new();
    for (((page, place), (text, range)), scores) in
        places.iter().zip(&planted).zip(CLASSIFIER.score(&texts).unwrap())
    {
        assert!(scores.windows.len() > 5, "the text is long");
        let flagged = policy().verdict(&scores).decision == Decision::Flag;
        let of = |at: usize| scores.windows[at].probabilities.dehumanization;
        let highest = (0..scores.windows.len()).max_by(|a, b| of(*a).total_cmp(&of(*b))).unwrap();
        let bytes = scores.windows[highest].bytes.clone();
        let found = bytes.start < range.end && range.start < bytes.end;
        if !flagged || !found {
            let case = masked(&text[range.clone()]);
            let score = of(highest);
            missed.push(format!(
                "{page} at {place}: {range:?}, highest {bytes:?} ({score:.3}): {case}"
            ));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
