//! The codec inverts every text.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use stepladder_alfworld::AlfworldCodec;
use stepladder_core::Codec;
use stepladder_env::transcript;

/// Fragments of texts and encodings, so that near misses are common.
const PIECES: &[&str] = &[
    "mug 2",
    "mug_2",
    "shelf*3",
    "shelf<=2",
    "a shelf 1, a shelf 2",
    "You arrive at shelf 1. On the shelf 1, you see nothing.",
    "On the shelf 1, you see a mug 2, and a pen 1.",
    "You are in the middle of a room. Looking quickly around you, you see a desk 1.",
    "Looking quickly around you, you see a desk 2, and a desk 1.",
    "Searching. || [Checked: shelf 1, shelf 2]",
    " || [Checked: desk 2]",
    "Failed to go to shelf 3.",
    "Holding mug 1.",
    "go to shelf 2",
    "heat mug 1",
    " with microwave 1",
    "; True",
    "; False",
    "find",
    "nothing",
    "locate and pick up a mug",
    "put a hot mug in coffeemachine.",
    "put a hot mug in coffeemachine",
    ", then ",
    ", then",
    "then",
    "examine the mug with the desklamp.",
    "put away the mug",
    "You are facing the shelf 1, and desk 1. Next to it, you see a mug 1.",
    " ",
    "  ",
    "\n",
    "\\",
    "\\x{41}",
    "\u{2003}",
    ",",
    "\u{e9}",
    "None",
];

fn check(text: &str) -> Result<(), TestCaseError> {
    let compact = AlfworldCodec.encode(text);
    prop_assert_eq!(AlfworldCodec.decode(&compact), text, "{}", compact);
    let clean = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
    prop_assert!(compact.is_empty() == text.is_empty());
    prop_assert!(compact.is_empty() || compact.split(' ').all(clean), "{:?}", compact);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_given_back(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn any_mixture_of_pieces_is_given_back(
        pieces in prop::collection::vec((prop::sample::select(PIECES), prop::bool::ANY), 0..7)
    ) {
        let text: String =
            pieces.iter().map(|(piece, space)| format!("{piece}{}", if *space { " " } else { "" })).collect();
        check(&text)?;
    }

    #[test]
    fn any_words_have_a_text(words in prop::collection::vec(word(), 0..12)) {
        let text = AlfworldCodec.decode(&words.join(" "));
        check(&text)?;
        for word in &words {
            prop_assert!(AlfworldCodec.factors(word).len() <= 3);
        }
    }
}

/// Words that a model with this vocabulary could write.
fn word() -> impl Strategy<Value = String> {
    let forms = "put_hot put_two look_under then beside put_away find find_new find_use put go_to open take move put_on use look heat clean \
                 ;True ;False room around at_on at_in at_closed arrive on in opened picked moved heated no_effect \
                 carrying facing checked searching not failed at holding got did_put nothing mug shelf None";
    let forms: Vec<String> = forms.split_whitespace().map(str::to_owned).collect();
    prop_oneof![
        4 => prop::sample::select(forms),
        2 => (prop::sample::select(vec!["mug", "shelf", "desk"]), 0u32..120).prop_map(|(kind, n)| format!("{kind}_{n}")),
        1 => (prop::sample::select(vec!["mug", "shelf"]), 0u32..120).prop_map(|(kind, n)| format!("{kind}*{n}")),
        1 => (prop::sample::select(vec!["mug", "shelf"]), 0u32..120).prop_map(|(kind, n)| format!("{kind}<={n}")),
        1 => Just("\\x{41}".to_owned()),
    ]
}

#[test]
fn recorded_texts_are_given_back_and_short() {
    let file = "transcripts/alfworld_train_seen.jsonl.zst";
    let Some(root) = stepladder_testing::data_root(file) else { return };
    let rows = transcript::read_rows(&root.join(file)).unwrap();
    assert!(rows.len() > 1000);
    for row in &rows {
        let texts = ["command", "observation"].iter().filter_map(|field| row[field].as_str());
        let admissible = row["admissible"].as_array().unwrap().iter().filter_map(|action| action.as_str());
        for text in texts.chain(admissible) {
            let compact = AlfworldCodec.encode(text);
            assert_eq!(AlfworldCodec.decode(&compact), text);
            // Only the welcome text of a reset has line breaks, and no prompt contains it as a whole.
            if !text.contains('\n') {
                assert!(!compact.contains('\\'), "{text} -> {compact}");
                let entities =
                    text.split_whitespace().filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
                assert!(compact.split(' ').count() <= 2 + entities.count(), "{text} -> {compact}");
            }
        }
    }
}
