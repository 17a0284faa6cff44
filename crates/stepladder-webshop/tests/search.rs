//! Search beside the original's: answers of Lucene for texts of ours, and recorded pages of results.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;
use stepladder_core::seed::fingerprint;
use stepladder_env::transcript::read_rows;
use stepladder_testing::data_root;
use stepladder_webshop::search::{Index, Scratch, analyze, contents};
use stepladder_webshop::{Catalogue, Files, Tagger};

/// Printed by `parity/webshop_search/compare.py golden`.
#[derive(Deserialize)]
struct Golden {
    /// Texts and their terms.
    analysis: Vec<(String, Vec<String>)>,
    /// Identifiers and texts of a small shop.
    shop: Vec<(String, String)>,
    /// Queries, and the best 50 products of the small shop.
    searches: Vec<(String, Vec<String>)>,
    /// Fingerprint of the answers of the drawn shop.
    drawn: Vec<Vec<String>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("search.json")).unwrap()
}

type Documents = Vec<(String, String)>;

/// The shop and the queries of `drawn` in `compare.py`.
fn drawn(documents: usize, queries: usize) -> (Documents, Vec<String>) {
    let mut state = 1u64;
    let mut below = move |limit: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % limit
    };
    let words = |below: &mut dyn FnMut(u64) -> u64, length: u64| {
        let word = |_| {
            let most = below(400) + 1;
            format!("w{}", below(most))
        };
        (0..length).map(word).collect::<Vec<_>>().join(" ")
    };
    let document = |number| {
        let asin = format!("B{:05X}{number:04X}", below(1 << 20));
        let length = 1 + below(30);
        (asin, words(&mut below, length))
    };
    let shop = (0..documents).map(document).collect();
    let query = |_| {
        let length = 1 + below(6);
        words(&mut below, length)
    };
    (shop, (0..queries).map(query).collect())
}

fn asins<'d>(documents: &'d Documents, found: &[u32]) -> Vec<&'d str> {
    found.iter().map(|&number| documents[number as usize].0.as_str()).collect()
}

#[test]
fn terms_are_those_of_lucene() {
    let golden = golden();
    assert_eq!(golden.analysis.len(), 11);
    for (text, terms) in golden.analysis {
        assert_eq!(analyze(&text), terms, "{text:?}");
    }
}

#[test]
fn ranks_are_those_of_lucene() {
    let golden = golden();
    let index = Index::build(golden.shop.iter().map(|(asin, text)| (asin, text)));
    assert_eq!((index.len(), golden.searches.len()), (11, 13));
    for (query, expected) in &golden.searches {
        assert_eq!(asins(&golden.shop, &index.search(query, 50)), *expected, "{query:?}");
        assert_eq!(
            asins(&golden.shop, &index.search(query, 2)),
            expected[..expected.len().min(2)],
            "{query:?}"
        );
        assert!(index.search(query, 0).is_empty());
    }
}

#[test]
fn ranks_of_a_shop_of_several_windows_are_those_of_lucene() {
    let (shop, queries) = drawn(5000, 300);
    let index = Index::build(shop.iter().map(|(asin, text)| (asin, text)));
    let (mut scratch, mut found) = (Scratch::default(), vec![7]);
    let answers: Vec<String> = queries
        .iter()
        .map(|query| {
            index.search_with(&mut scratch, query, 50, &mut found);
            assert_eq!(found, index.search(query, 50), "the buffers are not clean for {query:?}");
            asins(&shop, &found).join(" ")
        })
        .collect();
    assert_eq!(format!("{:016x}", fingerprint(&answers.join("\n")).swap_bytes()), golden().drawn[0][0]);
}

#[test]
fn the_best_of_few_are_the_first_of_all() {
    let (shop, queries) = drawn(9000, 60);
    let index = Index::build(shop.iter().take(5000).map(|(asin, text)| (asin, text)));
    let larger = Index::build(shop.iter().map(|(asin, text)| (asin, text)));
    let mut scratch = Scratch::default();
    for query in &queries {
        // One scratch serves both.
        for index in [&index, &larger] {
            let (mut all, mut few) = (Vec::new(), Vec::new());
            index.search_with(&mut scratch, query, usize::MAX, &mut all);
            for limit in [1, 10, 50, 300] {
                index.search_with(&mut scratch, query, limit, &mut few);
                assert_eq!(few, all[..all.len().min(limit)], "best {limit} for {query:?}");
            }
        }
    }
}

#[test]
fn an_empty_shop_has_no_hits() {
    let index = Index::build([("", ""); 0]);
    assert!(index.is_empty());
    assert!(index.search("mug", 50).is_empty());
    assert!(Index::build([("B1", "the")]).search("the mug", 50).is_empty());
}

const TEXT: &str =
    "\\PC{0,40}|([a-z']{1,9}[ _.,:]?){0,9}|[#1aé\u{5d0}\"'\u{200d}\u{fe0f}\u{20e3}😀🏽\u{e0067}]{0,9}";

proptest! {
    #[test]
    fn a_space_separates_terms_and_a_text_finds_itself(one in TEXT, other in TEXT) {
        let both = format!("{one} {other}");
        let terms = [analyze(&one), analyze(&other)].concat();
        prop_assert!(terms.iter().all(|term| !term.is_empty() && !term.contains(' ')));
        prop_assert_eq!(analyze(&both), &terms[..]);
        let index = Index::build([("B2", "other"), ("B1", &both)]);
        prop_assert_eq!(index.search(&both, 50).contains(&1), !terms.is_empty());
    }
}

fn catalogue(root: &Path) -> Catalogue {
    let file = |name: &str| root.join("webshop").join(name);
    let files = Files {
        products: file("items_shuffle_1000.json"),
        attributes: file("items_ins_v2_1000.json"),
        human: None,
        nouns: Tagger::Stub,
    };
    Catalogue::load(&files, None).unwrap()
}

#[test]
fn texts_of_the_official_products_are_those_that_the_original_indexes() {
    let Some(root) = data_root("webshop/documents_1k.jsonl") else { return };
    let catalogue = catalogue(&root);
    let documents = read_rows(&root.join("webshop/documents_1k.jsonl")).unwrap();
    assert_eq!((documents.len(), catalogue.products.len()), (1000, 1000));
    for document in &documents {
        let product = catalogue.find(document["id"].as_str().unwrap()).unwrap();
        assert_eq!(contents(&catalogue.products[product as usize]), document["contents"].as_str().unwrap());
    }
}

#[test]
fn recorded_pages_of_results_list_the_products_in_our_order() {
    const ROWS: &str = "transcripts/webshop_1k_synthetic.jsonl.zst";
    let (Some(root), Some(_)) = (data_root(ROWS), data_root("webshop/items_shuffle_1000.json")) else {
        return;
    };
    let products = catalogue(&root).products;
    let index = Index::of(&products);
    let known: HashMap<&str, u32> =
        (0..).zip(&products).map(|(number, product)| (&*product.asin, number)).collect();
    let (mut query, mut first_pages, mut further_pages) = (String::new(), 0, 0);
    for row in read_rows(&root.join(ROWS)).unwrap() {
        let command = row["command"].as_str().unwrap_or_default();
        if let Some(words) = command.strip_prefix("search[").and_then(|rest| rest.strip_suffix(']')) {
            query = words.to_lowercase();
        }
        let observation = row["observation"].as_str().unwrap();
        let Some((_, shown)) = observation.split_once(" [SEP] Page ") else { continue };
        let (page, shown) = shown.split_once(" (Total results: ").unwrap();
        let (total, shown) = shown.split_once(')').unwrap();
        let page: usize = page.parse().unwrap();
        let found = index.search(&query, 50);
        assert_eq!(found.len().to_string(), total, "{query:?}");
        let listed: Vec<u32> = shown.split(" [SEP] ").filter_map(|text| known.get(text).copied()).collect();
        let expected: Vec<u32> = found.into_iter().skip(10 * (page - 1)).take(10).collect();
        assert_eq!(listed, expected, "page {page} of {query:?}");
        if page == 1 { first_pages += 1 } else { further_pages += 1 }
    }
    assert_eq!((first_pages, further_pages), (90, 41));
}
