//! The view with the vocabulary of the shipped model; properties with that of the tiny one, too.

use std::{collections::BTreeSet, sync::LazyLock};

use proptest::prelude::*;

use super::{disguise::letters_of, *};

static TINY: LazyLock<Tokenizer> = LazyLock::new(|| {
    Tokenizer::from_bytes(include_bytes!("../../../tests/fixtures/tiny-bert/tokenizer.json"))
        .unwrap()
});

static SHIPPED: LazyLock<Tokenizer> = LazyLock::new(|| {
    let json = include_bytes!("../../../models/dignity-small-en/tokenizer.json");
    Tokenizer::from_bytes(json).unwrap()
});

fn view(text: &str) -> String {
    NormalizedView::of(text, &SHIPPED).map_or_else(|| text.to_owned(), |view| view.text)
}

#[track_caller]
fn assert_views(texts: &[(&str, &str)]) {
    let wrong: Vec<_> = texts
        .iter()
        .map(|&(text, expected)| (text, view(text), expected))
        .filter(|(_, found, expected)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn invisible_characters_are_left_out() {
    assert_views(&[
        ("ver\u{200b}min", "vermin"),
        ("v\u{ad}er\u{2060}m\u{feff}in", "vermin"),
        ("\u{202e}rats\u{202c}", "rats"),
        ("ra\u{fe0f}ts", "rats"),
        ("\u{1}\u{200b}\u{2066}", "\u{1}"),
        // Persian spells with a non-joiner, Hindi with a joiner.
        ("می\u{200c}خواهم", "می\u{200c}خواهم"),
        ("क्\u{200d}ष", "क्\u{200d}ष"),
    ]);
}

#[test]
fn styled_letters_become_plain_and_piled_marks_go() {
    assert_views(&[
        ("𝓿𝓮𝓻𝓶𝓲𝓷 𝕣𝕒𝕥𝕤 𝐫𝐚𝐭𝐬", "vermin rats rats"),
        ("ｖｅｒｍｉｎ", "vermin"),
        ("ⓡⓐⓣⓢ 🅁🄰🅃🅂 🅡🅐🅣🅢 🆁🅰🆃🆂", "rats RATS RATS RATS"),
        ("⒭⒜⒯⒮", "rats"),
        ("ᵛᵉʳᵐⁱⁿ", "vermin"),
        ("v̶e̶r̶m̶i̶n̶", "vermin"),
        ("v̷̡̛e̴͇͝r̸̲̐m̴̪̿i̵͉̾n̷̰̈", "vermin"),
        ("cafe\u{301}", "café"),
    ]);
}

#[test]
fn letters_of_other_scripts_that_imitate_become_latin() {
    assert_views(&[
        ("they are v\u{435}rmin and r\u{430}ts", "they are vermin and rats"),
        ("\u{420}\u{430}rasites", "Parasites"),
        ("they are \u{440}\u{435}\u{455}ts", "they are pests"),
        ("ᴠᴇʀᴍɪɴ ᴀʀᴇ ʜᴇʀᴇ", "vermin are here"),
        ("f\u{456}lthy \u{406}mmigrants", "filthy Immigrants"),
    ]);
}

#[test]
fn emoji_are_named() {
    assert_views(&[
        ("they are 🐀!", "they are rat!"),
        ("these🐀🐀🐀are", "these rat are"),
        ("🐀 🪳", "rat cockroach"),
        ("👋🏽 hi", "waving hand hi"),
        ("👩🏽‍🦽", "woman in manual wheelchair"),
        // What is meant, where the name would tell what is drawn.
        ("nothing came 📪", "nothing came mail"),
        ("they are late 🤷🏾‍♀️🙈", "they are late shrugging hands over eyes"),
        ("🏃🏻‍♂️‍➡️ to the door", "running to the door"),
        ("🧟‍♀️ night", "zombie night"),
        ("from 🇳🇴🇸🇪", "from Norway flag Sweden flag"),
        ("🇷🇦🇹🇸", "RATS"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "England flag"),
        ("I ❤️ it", "I red heart it"),
        ("Hey\u{203c}\u{fe0f} Brand\u{2122}\u{fe0f}", "Hey\u{203c} Brand\u{2122}"),
    ]);
}

#[test]
fn leetspeak_and_stretching_are_decoded_where_they_disguise_a_word() {
    assert_views(&[
        ("v3rm1n r@ts, $ubhum4n!", "vermin rats, subhuman!"),
        ("V3RM1N p4r@s1tes anim4ls", "VERMIN parasites animals"),
        ("c0ckr0ach3s; g00d d0gs", "cockroaches; good dogs"),
        ("(b@ct3ria) rat$", "(bacteria) rats"),
        ("verrrrmin raaaats animaaaals", "vermin rats animals"),
        ("goooood sooooo coooool nooo", "good so cool no"),
        ("r@@@@ts", "rats"),
        ("subhummmman", "subhuman"),
        // More digits than letters, two letters for one digit, signs at the ends, "v" for "u".
        ("d3v11s, 3x15t5, f4mi113$", "devils, exists, families"),
        ("!nf0rm@7i0n, !mportant grandm@ 9r@ndm@", "information, important grandm@ grandma"),
        ("b!ack Mus!ims, d!rt", "black Muslims, dirt"),
        ("fvll 0f qv3er h0vrs, dvr1ng", "fvll 0f queer hours, during"),
        ("c0v1d", "covid"),
        // Words that the vocabulary lacks.
        ("f1l7h 5l1m3 l33ch3s", "filth slime leeches"),
    ]);
}

#[test]
fn letters_that_stand_apart_are_joined_where_they_spell() {
    assert_views(&[
        ("v e r m i n", "vermin"),
        ("they are v.e.r.m.i.n!", "they are vermin!"),
        ("v-e-r-m-i-n and r a t s", "vermin and rats"),
        ("R_A_T_S", "RATS"),
        ("a v e r m i n", "a vermin"),
        ("t h e y   r a t s", "they   rats"),
        ("t h e y a r e r a t s", "they are rats"),
        ("r * a * t * s", "rats"),
        ("v e r m 1 n", "vermin"),
        ("all f i l t h, l.e.e.c.h.e.s", "all filth, leeches"),
    ]);
}

#[test]
fn disguises_come_together() {
    assert_views(&[
        ("𝐯𝟑𝐫𝐦𝟏𝐧", "vermin"),
        ("v\u{200b} e\u{200b} r m i n", "vermin"),
        ("they are r\u{430}\u{430}\u{430}ts", "they are rats"),
        ("🇷 🇦 🇹 🇸", "RATS"),
    ]);
}

#[test]
fn most_words_are_known_in_leetspeak_and_most_codes_are_not_taken_for_words() {
    let mut random = fastrand::Rng::with_seed(5);
    let text = include_str!("../../../tests/functional/ordinary.txt");
    let words: BTreeSet<_> =
        text.split(|char: char| !char.is_ascii_lowercase()).filter(|word| word.len() > 4).collect();
    let (mut disguised, mut known) = (0, 0);
    for word in words {
        let substituted: String = word
            .chars()
            .map(|char| {
                let substitutes: Vec<_> =
                    "013456789!@$".chars().filter(|&s| letters_of(s).contains(&char)).collect();
                random.choice(substitutes).filter(|_| random.u8(..10) < 7).unwrap_or(char)
            })
            .collect();
        if substituted != word {
            disguised += 1;
            known += usize::from(view(&format!("a {substituted} b")) == format!("a {word} b"));
        }
    }
    assert!(disguised > 2_000 && known * 5 > disguised * 4, "{known} of {disguised}");

    let alphabet = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut read = 0;
    for _ in 0..10_000 {
        let length = random.usize(4..11);
        let code: String =
            (0..length).map(|_| random.choice(alphabet).unwrap()).map(char::from).collect();
        read += usize::from(view(&code) != code);
    }
    assert!(read < 100, "{read}");
}

/// Texts that are what they seem.
const CLEAN: &[&str] = &[
    "",
    " ",
    "Go away at 5 and be back by 7pm on the 3rd, 21st or 30th.",
    "B2B, B2C, p2p and e2e; mp3s, mp4, 3d, 4k, 1080p60.",
    "A4-1750 and BC547, LM317T, AT91SAM, H264, USB3.1, x86-64, A320neo.",
    "N1MaxP4, f8e4m3, armv7a, thumbv7a, V1 and v2.1a, 0b1101, 0xdecade, UInt16Array",
    "h1n1 and covid19, COVID-19, H5N1, CD4, p53, IL6, vitamin B12, CO2, H2O, C6H12O6.",
    "the U.S.A., the U.S., the E.U., N.A.T.O. and the U.S.S.R.",
    "5 0 2 7 and 0 1 1 0 and A B C D E F and a, b, c, d and a e i o u, and a s d f g",
    "gr8, m8, l8r, b4, 2day, 4ever, sk8er",
    "i18n, l10n, a11y and k8s in v1.2.3b4 and 3.5e10",
    "d41d8cd98f00b204e9800998ecf8427e 4f8a9c1 b4d5e77 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "https://example.com/w4tch?v=d0gs&t=5s and www.g00gle.com/r4ts, me@ex4mple.org",
    "@r4ts and @v3rm1n_x said #win10 to user_n4me",
    "$5, $5k, US$500, 5$ and $AAPL, $TSLA rose 3%",
    "Sector5, group5, Windows7, iPhone5, player1, Area51, June5, test5",
    "the 747s, the 1990s, AK47s, F16s, V8s, B52s, 50kg, 100km, 9am",
    "wow!nice, oh no!!!!11, C++, 18+, and/or, 24/7, 1/2, w/o, yes|no, cats@home",
    "www, XXX, III, XVIII, zzz, hmm, IEEE, BBB, AAA",
    "“Curly” quotes — dashes… bullets • ½ ² µm ™ © № 5 ºC £5 €7 ¥9",
    "Café, naïve, Zürich, Łódź, Đặng, œuvre, İstanbul, ñandú.",
    "Честный русский текст, слово сор и нос.",
    "An English text with one Russian word, хорошо, and one Greek, καλημέρα.",
    "TNFα and σx, 5 kΩ, Δt, π, λ and β-blockers",
    "你好，世界！ カタカナ ひらがな 한국어 テスト",
    "مرحبا بالعالم שלום עולם नमस्ते สวัสดี",
    "I a m and J. R. R. Tolkien, G A T T A C A",
    "It's a good day. I'm at A. B. Smith's.",
    "GPT4o, Llama3.1, R2D2, C3PO, 6ix9ine, U2, 4chan, 7Eleven, 9gag, 1Password",
];

#[test]
fn clean_texts_are_their_own_view() {
    for text in CLEAN {
        assert_eq!(&view(text), text);
    }
}

#[test]
fn offsets_lead_back() {
    let text = "Oh, v e r\u{200b} m i n 🐀 r\u{430}aaats!";
    let view = NormalizedView::of(text, &SHIPPED).unwrap();
    assert_eq!(view.text(), "Oh, vermin rat rats!");
    let original = |word: &str| {
        let start = view.text().find(word).unwrap();
        &text[view.original(start..start + word.len())]
    };
    assert_eq!(original("Oh"), "Oh");
    assert_eq!(original("vermin"), "v e r\u{200b} m i n");
    assert_eq!(original("rat"), "🐀");
    assert_eq!(original("rats"), "r\u{430}aaats");
    assert_eq!(original("ats"), "\u{430}aaats");
    assert_eq!(&text[view.original(0..view.text().len())], text);
    assert!(view.original(3..3).is_empty() && view.original(90..99).is_empty());
}

#[test]
fn a_long_text_is_taken_in_pieces_and_leads_back() {
    let text = "An honest r@ts line. ".repeat(10_000);
    let view = NormalizedView::of(&text, &SHIPPED).unwrap();
    assert_eq!(view.text(), text.replace('@', "a"));
    let last = view.text().rfind("rats").unwrap();
    assert_eq!(&text[view.original(last..last + 4)], "r@ts");
}

/// Text with much of what the steps look for.
fn odd_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z]{1,8}",
        "[a-zA-Z0-9@$!|+. -]{1,12}",
        "[аеорсухіѕАВЕКМНОРСТα-ω]{1,6}",
        "[ratsveminRATS13@4$]{3,8}",
        "([ratsvemin][ .-]){3,8}",
        "[rats]{1,3}a{1,5}t{1,4}s",
        "[\u{300}-\u{36f}\u{200b}-\u{200f}\u{fe0f}\u{ad}]{1,4}",
        "[🐀🐁🪳👩👋🏽🇳🇴🇷\u{200d}\u{fe0f}❤☠1\u{20e3}]{1,6}",
        "[𝐚-𝓩ａ-ｚⓐ-ⓩ🅐-🅩ᴀ-ᴢ]{1,6}",
        "\\PC{0,8}",
        any::<String>(),
        Just(" ".to_owned()),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_quick_look_lets_no_text_pass_that_changes(text in odd_text()) {
        for tokenizer in [&*TINY, &*SHIPPED] {
            if !suspicion::is_suspicious(&text) {
                let view: String = collect(&normalize(&text, tokenizer));
                prop_assert_eq!(&view, &text);
            }
        }
    }

    #[test]
    fn the_view_of_a_view_is_itself(text in odd_text()) {
        for tokenizer in [&*TINY, &*SHIPPED] {
            if let Some(view) = NormalizedView::of(&text, tokenizer) {
                prop_assert_ne!(view.text(), &text);
                let again = NormalizedView::of(view.text(), tokenizer);
                prop_assert_eq!(again.as_ref().map(|again| again.text()), None);
            }
        }
    }

    #[test]
    fn every_part_of_a_view_leads_back_in_order(text in odd_text()) {
        if let Some(view) = NormalizedView::of(&text, &SHIPPED) {
            let parts: Vec<_> = view.text().char_indices()
                .map(|(at, char)| view.original(at..at + char.len_utf8())).collect();
            for part in &parts {
                prop_assert!(text.get(part.clone()).is_some_and(|part| !part.is_empty()));
            }
            for pair in parts.windows(2) {
                prop_assert!(pair[0].start <= pair[1].start && pair[0].end <= pair[1].end);
            }
            let all = view.original(0..view.text().len());
            if let (Some(first), Some(last)) = (parts.first(), parts.last()) {
                prop_assert_eq!(all, first.start..last.end);
            }
        }
    }
}
