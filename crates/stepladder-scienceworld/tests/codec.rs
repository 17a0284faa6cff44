//! The codec on recorded texts of the simulator.

use std::collections::BTreeSet;

use stepladder_core::Codec;
use stepladder_env::transcript;
use stepladder_scienceworld::ScienceWorldCodec;

#[test]
fn every_text_of_the_transcripts_comes_back_and_is_small() {
    let file = "transcripts/scienceworld_hashcode2.jsonl.zst";
    let Some(root) = stepladder_testing::data_root(file) else { return };
    let mut contexts = BTreeSet::new();
    let mut answers = BTreeSet::new();
    let mut actions = BTreeSet::new();
    for row in transcript::read_rows(&root.join(file)).unwrap() {
        let text = |field: &str| row[field].as_str().unwrap().to_owned();
        contexts.insert(format!("{}\n{}", text("look"), text("inventory")));
        answers.insert(text("observation"));
        actions.insert(text("command"));
    }
    for (name, texts, most) in [("context", contexts, 60), ("answer", answers, 60), ("action", actions, 12)] {
        let mut lengths = Vec::new();
        let mut before = 0;
        for text in &texts {
            let compact = ScienceWorldCodec.encode(text);
            assert_eq!(ScienceWorldCodec.decode(&compact), *text, "{compact}");
            before += text.split_whitespace().count();
            lengths.push(compact.split(' ').count());
        }
        lengths.sort_unstable();
        let (median, longest) = (lengths[lengths.len() / 2], lengths[lengths.len() - 1]);
        eprintln!(
            "{name}: {} texts of {} words, {} tokens; median {median}, longest {longest}",
            texts.len(),
            before,
            lengths.iter().sum::<usize>()
        );
        assert!(longest <= most, "{name}: {longest}");
    }
}
