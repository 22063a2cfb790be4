//! The cases: every template for every category, with names and fillers dealt by a seeded rotation.
//!
//! Deterministic. Shared by the tests of this folder and by `examples/functional_suite.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
};

use dignity::{Category, Way, evaluate::Labels};
use fastrand::Rng;
use serde::Deserialize;

const GROUPS: &str = include_str!("groups.tsv");
const WORDS: &str = include_str!("words.tsv");
const TEMPLATES: &str = include_str!("templates.tsv");
const HARMLESS: &str = include_str!("harmless.txt");
const ORDINARY: &str = include_str!("ordinary.txt");
const POSTS: &str = include_str!("posts.jsonl");
const SETTINGS: &str = include_str!("settings.jsonl");
const JANUARY_2021: &str = include_str!("january_2021.tsv");

const SEED: u64 = 0xd161;
/// Where in a long text a case is planted: at its beginning, in between and at its end.
pub(crate) const PLACES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// How many cases a template without a group makes, one for each category elsewhere.
const GROUPLESS_CASES: usize = Category::ALL.len();
/// The slots of `words.tsv` that hold no offensive word.
const HARMLESS_SLOTS: [&str; 2] = ["other", "someone"];

/// One text of the suite and what is true of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Function, number of the template within it and category: `negated-03-caste`.
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) dehumanizing: bool,
    pub(crate) ways: Vec<Way>,
    pub(crate) function: &'static str,
    /// The category whose name stands in the text; none where no group is mentioned.
    pub(crate) category: Option<Category>,
    /// The name, in the plural.
    pub(crate) group: Option<&'static str>,
    /// Codes of the codebook for the groups attacked or mentioned.
    pub(crate) codes: Vec<&'static str>,
    /// Whether the text attacks a protected group in any manner; none where undecided.
    pub(crate) hate: Option<bool>,
}

impl Case {
    /// Whether it is one of the plainest cases, which stay plain when obfuscated.
    pub(crate) fn is_explicit(&self) -> bool {
        self.function.ends_with("_explicit")
    }
}

/// The name of a group, as the templates need it.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The first is the one that the group stands for in the suite.
    pub(crate) categories: Vec<Category>,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    /// Empty where none reads naturally.
    pub(crate) adjective: &'static str,
}

/// A line of `templates.tsv`.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) function: &'static str,
    pub(crate) dehumanizing: bool,
    pub(crate) ways: Vec<Way>,
    pub(crate) text: &'static str,
    categories: &'static str,
}

impl Template {
    fn names_a_group(&self) -> bool {
        ["{plural}", "{singular}", "{adjective}"].iter().any(|slot| self.text.contains(slot))
    }

    /// An empty list means every category; an entry after `!` is one left out.
    fn fits(&self, category: Category) -> bool {
        let mut listed = self.categories.split(',').filter(|entry| !entry.is_empty()).peekable();
        let Some(first) = listed.peek() else { return true };
        if first.starts_with('!') {
            listed.all(|entry| entry.trim_start_matches('!') != category.name())
        } else {
            listed.any(|entry| entry == category.name())
        }
    }
}

/// The cells of each line after the header.
fn rows(file: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    file.lines().skip(1).map(|line| line.split('\t').collect())
}

fn category(name: &str) -> Category {
    let found = Category::ALL.into_iter().find(|category| category.name() == name);
    found.unwrap_or_else(|| panic!("no category {name}"))
}

fn way(letter: char) -> Way {
    let at = "adomn".find(letter).unwrap_or_else(|| panic!("no way {letter}"));
    Way::ALL[at]
}

/// The letter of a way in the codebook.
pub(crate) fn letter(way: Way) -> &'static str {
    match way {
        Way::Animal => "a",
        Way::DiseaseOrFilth => "d",
        Way::ObjectOrMachine => "o",
        Way::MonsterOrSubhuman => "m",
        Way::DenialOfMindOrWorth => "n",
        _ => "?",
    }
}

/// The code of a category in the codebook.
fn code(category: Category) -> &'static str {
    match category {
        Category::Religion => "rel",
        Category::Caste => "cas",
        Category::Age => "age",
        Category::Disability => "dis",
        Category::SeriousDisease => "sick",
        Category::NationalOrigin => "nat",
        Category::Race => "rac",
        Category::Ethnicity => "eth",
        Category::Gender => "gen",
        Category::SexualOrientation => "ori",
        _ => "?",
    }
}

pub(crate) fn groups() -> Vec<Group> {
    rows(GROUPS)
        .map(|cells| Group {
            categories: cells[0].split(',').map(category).collect(),
            plural: cells[1],
            singular: cells[2],
            adjective: cells[3],
        })
        .collect()
}

pub(crate) fn templates() -> Vec<Template> {
    rows(TEMPLATES)
        .map(|cells| Template {
            function: cells[0],
            dehumanizing: cells[1] == "1",
            ways: cells[2].chars().filter(|letter| *letter != '-').map(way).collect(),
            text: cells[3],
            categories: cells[4],
        })
        .collect()
}

/// The fillers by slot.
pub(crate) fn words() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut slots = BTreeMap::<_, Vec<_>>::new();
    for cells in rows(WORDS) {
        slots.entry(cells[0]).or_default().push(cells[1]);
    }
    slots
}

/// Deals its items in random order, all of them before any comes again.
struct Deck<T> {
    items: Vec<T>,
    left: Vec<usize>,
}

impl<T: Clone> Deck<T> {
    fn new(items: Vec<T>) -> Self {
        assert!(!items.is_empty());
        Self { items, left: Vec::new() }
    }

    /// The next item that `fits`; those passed over keep their turn.
    fn deal(&mut self, rng: &mut Rng, fits: impl Fn(&T) -> bool) -> Option<T> {
        if !self.left.iter().any(|at| fits(&self.items[*at])) {
            let mut again: Vec<_> = (0..self.items.len()).collect();
            rng.shuffle(&mut again);
            self.left.extend(again);
        }
        let place = self.left.iter().position(|at| fits(&self.items[*at]))?;
        Some(self.items[self.left.remove(place)].clone())
    }
}

/// Fillers, dealt for each category apart.
struct Fillers {
    words: BTreeMap<&'static str, Vec<&'static str>>,
    decks: BTreeMap<(&'static str, Option<usize>), Deck<&'static str>>,
}

impl Fillers {
    fn deal(&mut self, slot: &str, of: Option<usize>, rng: &mut Rng) -> &'static str {
        let Some((slot, words)) = self.words.get_key_value(slot) else {
            panic!("no slot {slot} in words.tsv")
        };
        let deck = self.decks.entry((slot, of)).or_insert_with(|| Deck::new(words.clone()));
        deck.deal(rng, |_| true).unwrap_or_default()
    }
}

/// Whether "a" before the word becomes "an".
fn takes_an(word: &str) -> bool {
    let sounds_as_consonant = ["uni", "use", "eu", "one"];
    let lower = word.to_lowercase();
    word.starts_with("HIV")
        || (lower.starts_with(['a', 'e', 'i', 'o', 'u'])
            && !sounds_as_consonant.iter().any(|start| lower.starts_with(start)))
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(characters).collect()
}

/// The template with its slots filled; a slot that comes twice has the same filler. A leading `~`
/// keeps the writer's small letters.
fn filled(template: &str, mut filler: impl FnMut(&str) -> String) -> String {
    let (template, casual) = match template.strip_prefix('~') {
        Some(rest) => (rest, true),
        None => (template, false),
    };
    let mut chosen = BTreeMap::<String, String>::new();
    let mut text = String::new();
    for (index, piece) in template.split('{').enumerate() {
        let rest = match piece.split_once('}') {
            Some((slot, rest)) if index > 0 => {
                let word = chosen.entry(slot.to_owned()).or_insert_with(|| filler(slot));
                if takes_an(word) && (text.ends_with(" a ") || text == "A " || text == "a ") {
                    text.insert(text.len() - 1, 'n');
                }
                let before = text.trim_end_matches([' ', '"']);
                let starts = before.is_empty() || before.ends_with(['.', '!', '?']);
                text.push_str(&if starts && !casual { capitalized(word) } else { word.clone() });
                rest
            }
            _ => piece,
        };
        text.push_str(rest);
    }
    text
}

/// Every case, in the order of the templates.
pub(crate) fn cases() -> Vec<Case> {
    let mut rng = Rng::with_seed(SEED);
    let all = groups();
    let mut names: Vec<_> = Category::ALL
        .into_iter()
        .map(|category| {
            let of = all.iter().filter(|group| group.categories[0] == category);
            Deck::new(of.cloned().collect())
        })
        .collect();
    let mut fillers = Fillers { words: words(), decks: BTreeMap::new() };
    let mut numbers = BTreeMap::<&str, usize>::new();
    let mut cases = Vec::new();
    for template in templates() {
        let number = numbers.entry(template.function).and_modify(|n| *n += 1).or_insert(1);
        let stem = format!("{}-{number:02}", template.function);
        if !template.names_a_group() {
            let mut texts = BTreeSet::new();
            while texts.len() < GROUPLESS_CASES {
                texts.insert(filled(template.text, |slot| {
                    fillers.deal(slot, None, &mut rng).to_owned()
                }));
            }
            cases.extend(
                texts
                    .into_iter()
                    .enumerate()
                    .map(|(index, text)| case(&template, format!("{stem}-{index}"), text, None)),
            );
            continue;
        }
        let needs_adjective = template.text.contains("{adjective}");
        for (index, category) in Category::ALL.into_iter().enumerate() {
            let fits = |group: &Group| !needs_adjective || !group.adjective.is_empty();
            if !template.fits(category) {
                continue;
            }
            let Some(group) = names[index].deal(&mut rng, fits) else { continue };
            let text = filled(template.text, |slot| match slot {
                "plural" => group.plural.to_owned(),
                "singular" => group.singular.to_owned(),
                "adjective" => group.adjective.to_owned(),
                slot => fillers.deal(slot, Some(index), &mut rng).to_owned(),
            });
            cases.push(case(&template, format!("{stem}-{category}"), text, Some(&group)));
        }
    }
    cases
}

fn case(template: &Template, id: String, text: String, group: Option<&Group>) -> Case {
    let codes = match (template.function, group) {
        ("non_protected_target", _) => vec!["oth"],
        ("individual_not_by_group", _) | (_, None) => vec!["ind"],
        (_, Some(group)) => group.categories.iter().copied().map(code).collect(),
    };
    let hate = match template.function {
        _ if template.dehumanizing => Some(true),
        "plain_hatred" => Some(true),
        "quoted_and_condemned" => None,
        _ => Some(false),
    };
    Case {
        id,
        text,
        dehumanizing: template.dehumanizing,
        ways: template.ways.clone(),
        function: template.function,
        category: group.map(|group| group.categories[0]),
        group: group.map(|group| group.plural),
        codes,
        hate,
    }
}

/// The post of January 2021, paraphrases of it, and contrasts to them.
pub(crate) fn january_2021() -> Vec<Case> {
    rows(JANUARY_2021)
        .enumerate()
        .map(|(index, cells)| {
            let dehumanizing = cells[0] == "1";
            Case {
                id: format!("january_2021-{:02}-{}", index + 1, cells[1]),
                text: cells[2].to_owned(),
                dehumanizing,
                ways: if dehumanizing { vec![Way::ObjectOrMachine] } else { Vec::new() },
                function: "january_2021",
                category: Some(Category::Ethnicity),
                group: None,
                codes: vec!["rel", "eth", "gen"],
                hate: if cells[1] == "condemned" { None } else { Some(dehumanizing) },
            }
        })
        .collect()
}

/// Where `phrases` stand in the text as words of their own, whatever their case, the longest first.
fn occurrences(text: &str, phrases: impl Iterator<Item = &'static str>) -> Vec<Range<usize>> {
    let mut phrases: Vec<_> = phrases.map(str::to_ascii_lowercase).collect();
    phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::<Range<usize>>::new();
    for phrase in &phrases {
        for (start, _) in lower.match_indices(phrase) {
            let end = start + phrase.len();
            let apart = !lower[..start].ends_with(char::is_alphanumeric)
                && !lower[end..].starts_with(char::is_alphanumeric);
            if apart && found.iter().all(|other| end <= other.start || other.end <= start) {
                found.push(start..end);
            }
        }
    }
    found.sort_by_key(|range| range.start);
    found
}

/// The names of groups in the text, which are neither masked nor obfuscated.
fn name_ranges(text: &str) -> Vec<Range<usize>> {
    let names = groups().into_iter().flat_map(|group| [group.plural, group.singular]);
    occurrences(text, names)
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// The offensive words of `words.tsv` that stand in the text.
pub(crate) fn telling(text: &str) -> Vec<Range<usize>> {
    let names = name_ranges(text);
    let words = words();
    let offensive = words.iter().filter(|(slot, _)| !HARMLESS_SLOTS.contains(slot));
    let mut found = occurrences(text, offensive.flat_map(|(_, words)| words.iter().copied()));
    found.retain(|range| !names.iter().any(|name| overlap(name, range)));
    found
}

/// The text with each of `ranges` rewritten.
fn rewritten(
    text: &str,
    ranges: &[Range<usize>],
    mut rewrite: impl FnMut(&str) -> String,
) -> String {
    let mut result = String::new();
    let mut end = 0;
    for range in ranges {
        result.push_str(&text[end..range.start]);
        result.push_str(&rewrite(&text[range.clone()]));
        end = range.end;
    }
    result + &text[end..]
}

/// The text as reports print it: of offensive words only the first letter is left.
pub(crate) fn masked(text: &str) -> String {
    rewritten(text, &telling(text), |word| {
        let mask = |(index, c): (usize, char)| if index == 0 || c == ' ' { c } else { '*' };
        word.chars().enumerate().map(mask).collect()
    })
}

/// A way in which writers hide words from filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Digits and signs for letters.
    Leet,
    /// Letters set apart.
    Spacing,
    /// Characters of no width between letters.
    ZeroWidth,
    /// Cyrillic letters that look Latin.
    Homoglyphs,
    /// One letter many times.
    Stretched,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Leet, Self::Spacing, Self::ZeroWidth, Self::Homoglyphs, Self::Stretched];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Leet => "leet",
            Self::Spacing => "spacing",
            Self::ZeroWidth => "zero_width",
            Self::Homoglyphs => "homoglyphs",
            Self::Stretched => "stretched",
        })
    }
}

/// The text with its telling words hidden; where it has none, its two longest words that are no
/// part of a group's name.
pub(crate) fn obfuscated(text: &str, kind: Kind, rng: &mut Rng) -> String {
    let mut ranges = telling(text);
    if ranges.is_empty() {
        let names = name_ranges(text);
        let mut start = 0;
        for word in text.split_inclusive(|c: char| !c.is_ascii_alphabetic()) {
            let length = word.chars().take_while(char::is_ascii_alphabetic).count();
            ranges.push(start..start + length);
            start += word.len();
        }
        ranges.retain(|range| !names.iter().any(|name| overlap(name, range)));
        ranges.sort_by_key(|range| std::cmp::Reverse(range.len()));
        ranges.truncate(2);
        ranges.sort_by_key(|range| range.start);
    }
    rewritten(text, &ranges, |word| hidden(word, kind, rng))
}

fn hidden(word: &str, kind: Kind, rng: &mut Rng) -> String {
    match kind {
        Kind::Leet => substituted(word, leet, rng),
        Kind::Homoglyphs => substituted(word, homoglyph, rng),
        Kind::Spacing => {
            let between = *rng.choice(&[' ', '.', '-', '_']).unwrap_or(&' ');
            joined(word, |_| Some(between))
        }
        Kind::ZeroWidth => {
            let marks = ['\u{200b}', '\u{200c}', '\u{2060}', '\u{ad}'];
            joined(word, |index| {
                (index == 0 || rng.bool()).then(|| *rng.choice(&marks).unwrap_or(&marks[0]))
            })
        }
        Kind::Stretched => {
            let letters: Vec<_> = word.char_indices().filter(|(_, c)| c.is_alphabetic()).collect();
            let vowels: Vec<_> =
                letters.iter().filter(|(_, c)| "aeiou".contains(*c)).copied().collect();
            let among = if vowels.is_empty() { &letters } else { &vowels };
            let Some(&(at, letter)) = rng.choice(among) else { return word.to_owned() };
            let stretch = letter.to_string().repeat(rng.usize(2..6));
            format!("{}{stretch}{}", &word[..at], &word[at..])
        }
    }
}

/// The word with something put after some of its letters, by their number.
fn joined(word: &str, mut between: impl FnMut(usize) -> Option<char>) -> String {
    let letters: Vec<_> = word.chars().collect();
    let mut result = String::new();
    for (index, letter) in letters.iter().enumerate() {
        result.push(*letter);
        let inside = letters.get(index + 1).is_some_and(|next| *next != ' ') && *letter != ' ';
        result.extend(between(index).filter(|_| inside));
    }
    result
}

/// The word with most of the letters that have a substitute replaced, at least one of them.
fn substituted(word: &str, substitutes: fn(char) -> &'static [char], rng: &mut Rng) -> String {
    let open: Vec<_> =
        word.chars().enumerate().filter(|(_, c)| !substitutes(*c).is_empty()).collect();
    let Some(&(certain, _)) = rng.choice(&open) else { return word.to_owned() };
    let substitute = |(index, letter)| {
        let replaced = index == certain || rng.f32() < 0.6;
        rng.choice(substitutes(letter)).filter(|_| replaced).copied().unwrap_or(letter)
    };
    word.chars().enumerate().map(substitute).collect()
}

fn leet(letter: char) -> &'static [char] {
    match letter.to_ascii_lowercase() {
        'a' => &['4', '@'],
        'e' => &['3'],
        'g' => &['9'],
        'i' => &['1', '!'],
        'l' => &['1'],
        'o' => &['0'],
        's' => &['5', '$'],
        't' => &['7'],
        'u' => &['v'],
        _ => &[],
    }
}

fn homoglyph(letter: char) -> &'static [char] {
    match letter {
        'a' => &['а'],
        'c' => &['с'],
        'e' => &['е'],
        'i' => &['і'],
        'o' => &['о'],
        'p' => &['р'],
        's' => &['ѕ'],
        'u' => &['υ'],
        'x' => &['х'],
        'y' => &['у'],
        _ => &[],
    }
}

/// The sentences of `harmless.txt`.
pub(crate) fn harmless() -> Vec<&'static str> {
    HARMLESS.lines().collect()
}

/// The sentences of `ordinary.txt`.
pub(crate) fn ordinary() -> Vec<&'static str> {
    ORDINARY.lines().collect()
}

/// The labelled posts of `posts.jsonl`; their function is what kind they are.
pub(crate) fn posts() -> Vec<(String, Labels)> {
    labelled(POSTS)
}

/// The labelled texts of `settings.jsonl`; their function is where they could stand.
pub(crate) fn settings() -> Vec<(String, Labels)> {
    labelled(SETTINGS)
}

fn labelled(lines: &str) -> Vec<(String, Labels)> {
    #[derive(Deserialize)]
    struct Row {
        text: String,
        #[serde(flatten)]
        labels: Labels,
    }
    let row = |line| match serde_json::from_str(line) {
        Ok(Row { text, labels }) => (text, labels),
        Err(error) => panic!("{error}: {line}"),
    };
    lines.lines().map(row).collect()
}

/// The sentences of a harmless text of about `words` words, shuffled, and over again when all are used up.
fn page(words: usize, rng: &mut Rng) -> Vec<&'static str> {
    let mut deck = Deck::new(harmless());
    let mut sentences = Vec::new();
    let mut count = 0;
    while count < words {
        let sentence = deck.deal(rng, |_| true).unwrap_or_default();
        count += sentence.split_whitespace().count();
        sentences.push(sentence);
    }
    sentences
}

/// A harmless text of about `words` words; another `page` is another text.
pub(crate) fn harmless_page(words: usize, page: u64) -> String {
    self::page(words, &mut Rng::with_seed(SEED ^ (words as u64) ^ page)).join(" ")
}

/// A harmless text of about `words` words with one explicit case planted in it, and the bytes of
/// that case. `place` is 0 for the beginning and 1 for the end; another `page` is another text.
pub(crate) fn planted(words: usize, place: f64, page: u64) -> (String, Range<usize>) {
    let mut rng = Rng::with_seed(SEED ^ (words as u64) ^ place.to_bits() ^ page);
    let explicit: Vec<_> = cases().into_iter().filter(Case::is_explicit).collect();
    let planted = &explicit[rng.usize(..explicit.len())].text;
    let sentences = self::page(words, &mut rng);
    let at = (sentences.len() as f64 * place.clamp(0.0, 1.0)).round() as usize;
    let mut text = sentences[..at].join(" ");
    if at > 0 {
        text.push(' ');
    }
    let range = text.len()..text.len() + planted.len();
    text.push_str(planted);
    for sentence in &sentences[at..] {
        text.push(' ');
        text.push_str(sentence);
    }
    (text, range)
}
