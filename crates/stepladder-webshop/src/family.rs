//! The environment family of this crate.

use std::sync::Arc;

use stepladder_env::family::{BenchRequest, DataSet, Measured, Reachable, ReachableRequest, VerifyRequest};
use stepladder_env::transcript::Report;
use stepladder_env::{EnvError, Family, OptionSpec, Options, Reader, Values};

use crate::codec::WebshopCodec;
use crate::expert::WebshopExpert;
use crate::files::{self, Size};
use crate::generated::{self, FEWEST_PRODUCTS, MOST_PRODUCTS, Pages};
use crate::noise::WebshopNoise;
use crate::pages::Form;
use crate::segment::WebshopSegmenter;
use crate::tasks::{Choices, SPEC, WebShop};
use crate::{bench, reachable, verify};

/// Default number of steps of a benchmark.
const STEPS: u64 = 200_000;

const OBSERVATION: &str = "observation";
const GOALS: &str = "goals";
const SEED: &str = "seed";
const NOUNS: &str = "nouns";
const CATALOGUE: &str = "catalogue";
const PRODUCTS: &str = "products";
const SHOP_SEED: &str = "shop_seed";
const PAGES: &str = "pages";

/// Rewards of a replay.
const STUB: &str = "rewards with the official tagger's nouns (the episodes were recorded with a simple rule in its place, nouns=stub, and so \
                    were these rewards computed)";

const READERS: &[Reader] = &[Reader::Play, Reader::Bench];

/// Also for the report, which compares both lengths of pages.
const SHOP_READERS: &[Reader] = &[Reader::Play, Reader::Bench, Reader::Generate];

/// Environment family `webshop`.
pub static FAMILY: Family = Family {
    options: &[
        OptionSpec {
            name: OBSERVATION,
            values: Values::OneOf(&["text", "text_rich"]),
            meaning: "form of pages: strings with separators, or lines with marks of buttons and clicks",
            default: Some("text"),
            readers: READERS,
        },
        OptionSpec {
            name: GOALS,
            values: Values::OneOf(&["synthetic", "human"]),
            meaning: "official instructions: made from templates, or written by people",
            default: Some("synthetic"),
            readers: READERS,
        },
        OptionSpec {
            name: SEED,
            values: Values::Whole(0, u32::MAX as u64),
            meaning: "seed of official prices and price limits, and of the order of goals in verl-agent's splits",
            default: Some("42"),
            readers: READERS,
        },
        OptionSpec {
            name: NOUNS,
            values: Values::OneOf(&["table", "stub"]),
            meaning: "nouns in names of official products, for rewards: the official tagger's, or those of a simple rule",
            default: Some("table"),
            readers: READERS,
        },
        OptionSpec {
            name: CATALOGUE,
            values: Values::OneOf(&["small", "full"]),
            meaning: "official products: the first 1,000, or all",
            default: Some("small"),
            readers: READERS,
        },
        OptionSpec {
            name: PRODUCTS,
            values: Values::Whole(FEWEST_PRODUCTS as u64, MOST_PRODUCTS as u64),
            meaning: "products of the generated shop (train, dev, test)",
            default: Some("1000"),
            readers: SHOP_READERS,
        },
        OptionSpec {
            name: SHOP_SEED,
            values: Values::Whole(0, u32::MAX as u64),
            meaning: "seed of the generated shop",
            default: Some("0"),
            readers: SHOP_READERS,
        },
        OptionSpec {
            name: PAGES,
            values: Values::OneOf(&["full", "short"]),
            meaning: "pages of the generated shop: as long as the official ones, or of at most about 200 tokens",
            default: Some("full"),
            readers: READERS,
        },
    ],
    expert: Some(|| Box::new(WebshopExpert)),
    noise: Some(|| Box::new(WebshopNoise)),
    segmenter: Some(|| Box::new(WebshopSegmenter)),
    bench: Some(measure),
    verify: Some(replay),
    reachable: Some(count_reachable),
    report: Some(|data_root, options| {
        let Choices { products, shop_seed, .. } = choices(options);
        generated::report(data_root, products, shop_seed)
    }),
    data: &[DataSet {
        name: "webshop",
        place: files::DIRECTORY,
        origin: "the files that setup.sh of github.com/princeton-nlp/WebShop downloads (items_shuffle_1000.json, items_ins_v2_1000.json, \
                 items_human_ins.json; without _1000 for all products), and the nouns of their names",
        licence: "texts of Amazon's product pages, published with WebShop (MIT) for research",
        state: files::state,
        archives: &[],
    }],
    ..Family::new(
        &SPEC,
        |data_root, options| Ok(Box::new(WebShop::new(data_root, choices(options)))),
        || Arc::new(WebshopCodec),
    )
};

/// Reads the choices of a task set from options.
pub fn choices(options: &Options) -> Choices {
    let default = Choices::default();
    let is = |name: &str, value: &str| options.get(name) == Some(value);
    Choices {
        form: if is(OBSERVATION, "text_rich") { Form::Rich } else { Form::Text },
        human: is(GOALS, "human"),
        seed: options.whole(SEED).unwrap_or(default.seed),
        stub: is(NOUNS, "stub"),
        size: if is(CATALOGUE, "full") { Size::Full } else { Size::Small },
        products: options.whole(PRODUCTS).and_then(|count| count.try_into().ok()).unwrap_or(default.products),
        shop_seed: options.whole(SHOP_SEED).unwrap_or(default.shop_seed),
        pages: if is(PAGES, "short") { Pages::Short } else { Pages::Full },
    }
}

/// Benchmarks the goals of a split.
fn measure(request: &BenchRequest<'_>) -> Result<Measured, EnvError> {
    let set = WebShop::new(request.data_root, choices(request.options));
    let split = request.split.unwrap_or(SPEC.splits[0]);
    let report = bench::bench(&set, split, request.steps.unwrap_or(STEPS), request.seed)?;
    let summary = format!(
        "{}: {:.0} steps/s with {:.0} % searches, {:.0} resets/s on one core, start in {:.2} s; {} goals, {}, checksum {}",
        SPEC.id,
        report.steps_per_second,
        report.searches * 100.0,
        report.resets_per_second,
        report.start_seconds,
        report.games,
        report.policy,
        report.checksum
    );
    let json = serde_json::to_string(&report)
        .map_err(|error| EnvError::Backend { env: SPEC.id, reason: error.to_string() })?;
    Ok(Measured { json, summary })
}

/// Counts the goals of a split that can be reached.
fn count_reachable(request: &ReachableRequest<'_>) -> Result<Reachable, EnvError> {
    reachable::count(&WebShop::new(request.data_root, choices(request.options)), request.split)
}

/// Replays recorded episodes in the shop in which they were recorded.
fn replay(request: &VerifyRequest<'_>) -> Result<Report, EnvError> {
    let set = WebShop::new(request.data_root, Choices { stub: true, ..Choices::default() });
    let mut report = Report::default();
    for file in request.transcripts {
        report.merge(verify::verify(file, &set)?);
    }
    report.skipped_fields.push(STUB.to_owned());
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_without_data_and_says_what_is_missing() {
        let none = FAMILY.options(Reader::Play, []).unwrap();
        assert_eq!(choices(&none), Choices::default());
        let given =
            [(OBSERVATION, "text_rich"), (SEED, "7"), (PRODUCTS, "50"), (PAGES, "short"), (SHOP_SEED, "3")];
        let options = FAMILY.options(Reader::Play, given).unwrap();
        let short = Choices { products: 50, shop_seed: 3, pages: Pages::Short, ..Choices::default() };
        assert_eq!(choices(&options), Choices { form: Form::Rich, seed: 7, ..short });
        let set = FAMILY.open(None, &options).unwrap();
        assert_eq!(set.spec(), FAMILY.spec);
        let error = set.tasks("paper-test").unwrap_err().to_string();
        assert!(
            error.starts_with("webshop: no data root for the official catalogue: set STEPLADDER_DATA or "),
            "{error}"
        );
        let error = set.tasks("paper").unwrap_err().to_string();
        assert!(error.starts_with("webshop has no split `paper`; it has "), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error =
            FAMILY.open(Some(empty.path()), &options).unwrap().tasks("verl-val").unwrap_err().to_string();
        assert!(
            error.contains("webshop/items_shuffle_1000.json: this file of the official catalogue is missing"),
            "{error}"
        );
        assert_eq!((FAMILY.data[0].state)(empty.path()), "absent");
        std::fs::create_dir(empty.path().join("webshop")).unwrap();
        std::fs::write(empty.path().join("webshop/items_shuffle_1000.json"), "[]").unwrap();
        assert_eq!(
            (FAMILY.data[0].state)(empty.path()),
            "1,000 products without items_ins_v2_1000.json, items_human_ins.json, nouns_en_core_web_sm_3.8.0.json; all products absent"
        );
    }

    #[test]
    fn recordings_are_replayed_with_their_own_options() {
        let error = FAMILY.options(Reader::Verify, [(NOUNS, "table")]).unwrap_err().to_string();
        assert_eq!(error, "option `nouns` of webshop is for playing, env bench, not for env verify");
        assert!(FAMILY.options(Reader::Play, [(CATALOGUE, "medium")]).is_err());
    }
}
