use super::*;
use crate::product::Choice;

struct Toys(Vec<Product>);

fn product(asin: &str, options: &[(&str, &[&str])]) -> Product {
    let boxed = |texts: &[&str]| texts.iter().map(|text| Box::from(*text)).collect();
    Product {
        asin: asin.into(),
        category: if asin.ends_with('0') { "toys" } else { "garden" }.into(),
        query: "wooden blocks".into(),
        product_category: "Toys › Blocks".into(),
        title: format!("Blocks {asin}").into(),
        description: "  ".into(),
        bullets: boxed(&["Made of <wood>", "", "\n"]),
        pricing: [14.5, 20.0].into(),
        options: options
            .iter()
            .map(|(name, values)| Choice { name: (*name).into(), values: boxed(values) })
            .collect(),
        attributes: boxed(&["solid wood"]),
    }
}

impl Toys {
    fn new() -> Self {
        let mut all: Vec<Product> = (10..37).map(|number| product(&format!("B0{number}"), &[])).collect();
        all[0] = product(
            "B010",
            &[
                ("color", &["red", "blue", "é", "two \"inch\"", "red"]),
                ("size", &["small", "blue", "search", "attributes", "next >", "a [b]"]),
            ],
        );
        Self(all)
    }
}

impl Store for Toys {
    fn products(&self) -> &[Product] {
        &self.0
    }

    /// Finds the first products, as many as the query has words.
    fn search(&self, query: &str) -> Vec<u32> {
        (0..self.0.len() as u32).take(query.split_whitespace().count()).collect()
    }

    fn reward(&self, _goal: &Goal, product: u32, chosen: &[(Box<str>, Box<str>)]) -> f64 {
        (f64::from(product) + chosen.len() as f64) / 3.0
    }
}

/// Plays actions, of which the last may be unknown, and returns the visit.
fn played(actions: &[&str]) -> Visit {
    let goal = Goal {
        product: 0,
        instruction: "Find me blocks".into(),
        attributes: Box::new([]),
        price_upper: 30.0,
        options: Box::new([]),
        weight: 1.0,
    };
    let (store, mut visit) = (Toys::new(), Visit::new(goal, 3));
    for action in actions {
        let known = Action::parse(action).is_some_and(|action| visit.act(&store, &action));
        assert!(known, "{action}");
    }
    visit
}

fn rich(visit: &Visit) -> String {
    visit.text(&Toys::new(), Form::Rich)
}

/// A query of twelve words, and so twelve results.
const TWELVE: &str = "search[a b c d e f g h i j k l]";

#[test]
fn pages_follow_one_another() {
    let shown = |actions: &[&str]| {
        let visit = played(actions);
        (visit.page(), visit.number, visit.shown(&Toys::new()).len())
    };
    assert_eq!(shown(&[]), (Page::Search, 0, 0));
    assert_eq!(shown(&[TWELVE]), (Page::Results, 1, 10));
    assert_eq!(shown(&[TWELVE, "click[Next >]"]), (Page::Results, 2, 2));
    // There is always a next page.
    assert_eq!(shown(&[TWELVE, "click[Next >]", "click[Next >]", "click[Next >]"]), (Page::Results, 4, 0));
    assert_eq!(shown(&[TWELVE, "click[Next >]", "click[< Prev]"]), (Page::Results, 1, 10));
    assert_eq!(shown(&["search[ ]"]), (Page::Results, 1, 0));
    let item = [TWELVE, "click[next >]", "click[b020]"];
    assert_eq!(shown(&item).0, Page::Item);
    let then = |more: &[&str]| shown(&[&item[..], more].concat());
    assert_eq!(then(&["click[Features]"]).0, Page::Sub(Sub::Features));
    assert_eq!(then(&["click[Features]", "click[< prev]"]).0, Page::Item);
    // From the product back to its page of results, and from everywhere to the first page and to another search.
    assert_eq!(then(&["click[Reviews]", "click[< prev]", "click[< prev]"]), (Page::Results, 2, 2));
    assert_eq!(then(&["click[Description]", "click[Back to Search]"]).0, Page::Search);
    assert_eq!(then(&["click[Description]", "search[one]"]), (Page::Results, 1, 1));
    assert_eq!(then(&["click[Buy Now]"]).0, Page::Done(10.0 / 3.0));
}

#[test]
fn what_a_page_does_not_offer_does_nothing() {
    let item = [TWELVE, "click[b010]"];
    for (before, actions) in [
        (&[][..], &["click[search]", "click[back to search]", "click[b010]", "search", "buy now", ""][..]),
        (
            &[TWELVE],
            &[
                "click[< prev]",
                "click[b020]",
                "click[buy now]",
                "click[red]",
                "search[<a> solid wood]",
                "search[<c>]",
            ],
        ),
        (&item, &["click[search]", "click[b010]", "click[a [b]]", "click[green]", "Click[red]"]),
        (&[TWELVE, "click[b010]", "click[features]"], &["click[red]", "click[features]", "click[buy now]"]),
        (&[TWELVE, "click[b010]", "click[buy now]"], &["search[a]", "click[back to search]"]),
    ] {
        let mut visit = played(before);
        let same = visit.clone();
        for action in actions {
            assert!(
                !Action::parse(action).is_some_and(|action| visit.act(&Toys::new(), &action)),
                "{action}"
            );
            assert_eq!(visit, same, "{action}");
        }
    }
}

#[test]
fn every_clickable_but_search_is_understood_and_none_is_listed_twice() {
    let store = Toys::new();
    for actions in [&[][..], &[TWELVE], &[TWELVE, "click[next >]"], &[TWELVE, "click[b010]"]] {
        let visit = played(actions);
        let clickables = visit.clickables(&store);
        for (number, text) in clickables.iter().enumerate() {
            assert!(!clickables[..number].contains(text), "{text}");
            let understood = visit.clone().act(&store, &Action::Click(text.clone()));
            assert_eq!(understood, text != "search", "{text}");
        }
    }
    assert_eq!(
        played(&[TWELVE, "click[b010]"]).clickables(&store).join(", "),
        "back to search, < prev, description, features, reviews, buy now, red, blue, é, two \"inch\", small, search, attributes, next >, a [b]"
    );
    assert_eq!(
        played(&[TWELVE, "click[next >]"]).clickables(&store).join(", "),
        "back to search, < prev, next >, b020, b021"
    );
    assert_eq!(played(&[]).clickables(&store), ["search"]);
}

#[test]
fn options_are_kept_until_the_results_are_shown() {
    let pairs = |visit: &Visit| {
        let pairs = visit.chosen.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    };
    let item = [TWELVE, "click[b010]", "click[small]", "click[red]", "click[Description]", "click[< Prev]"];
    assert_eq!(pairs(&played(&item)), "size=small color=red");
    // Of a value of two options the last one counts; an option with the text of a button of another page is an option.
    assert_eq!(pairs(&played(&[&item[..], &["click[blue]"]].concat())), "size=blue color=red");
    assert_eq!(pairs(&played(&[&item[..], &["click[Next >]"]].concat())), "size=next > color=red");
    assert_eq!(pairs(&played(&[&item[..], &["click[< Prev]", "click[b010]"]].concat())), "");
    assert_eq!(played(&[&item[..], &["click[attributes]"]].concat()).page(), Page::Sub(Sub::Attributes));
}

#[test]
fn chosen_options_are_found_in_the_address() {
    let lines = |actions: &[&str]| {
        let text = rich(&played(actions));
        let clicked = text.lines().filter(|line| line.contains("licked"));
        clicked.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(&["search[a]", "click[b010]", "click[red]", "click[small]"]),
        [
            "You have clicked small.",
            "You have clicked red.",
            // The page lists `red` twice, and so does the report above.
            "You have clicked red.",
            "  [clicked button] red [clicked button_]",
            "  [clicked button] red [clicked button_]",
            "  [clicked button] small [clicked button_]",
        ]
    );
    // Not those that JSON escapes.
    assert_eq!(lines(&["search[a]", "click[b010]", "click[é]"]), [""; 0]);
    assert_eq!(lines(&["search[a]", "click[b010]", "click[two \"inch\"]"]), [""; 0]);
    // The query stands in the address too, and so does the name of an option.
    assert_eq!(lines(&["search[\"red\" \"small\"]", "click[b010]"]).len(), 6);
    assert_eq!(lines(&["search[\"small one\"]", "click[b010]"]), [""; 0]);
}

#[test]
fn products_look_clicked_until_the_first_page_is_shown() {
    let seen = |actions: &[&str]| rich(&played(actions)).matches("[clicked button] B010").count();
    let twice = ["search[a]", "click[b010]", "search[a b]"];
    assert_eq!(seen(&twice), 1);
    assert_eq!(seen(&[&twice[..], &["click[back to search]", "search[a]"]].concat()), 0);
}

#[test]
fn texts_are_those_of_the_original() {
    let simple = |actions: &[&str]| played(actions).text(&Toys::new(), Form::Text);
    assert_eq!(simple(&[]), "WebShop [SEP] Instruction: [SEP] Find me blocks [SEP] Search");
    assert_eq!(rich(&played(&[])), "WebShop\nInstruction: \nFind me blocks\n[button] Search [button_]\n");
    assert_eq!(
        simple(&["search[a]"]),
        "Instruction: [SEP] Find me blocks [SEP] Back to Search [SEP] Page 1 (Total results: 1) [SEP] Next > [SEP] B010 [SEP] Blocks B010 \
         [SEP] $14.5 to $20.0"
    );
    let head = "Instruction:\nFind me blocks\n[button] Back to Search [button_]\n[button] < Prev [button_]\n";
    // An empty line is one space, a line end nothing; so is a text of two spaces.
    assert_eq!(
        rich(&played(&["search[a]", "click[b010]", "click[features]"])),
        format!("{head} Made of <wood>\n \n")
    );
    assert_eq!(rich(&played(&["search[a]", "click[b010]", "click[description]"])), format!("{head} \n"));
    assert_eq!(rich(&played(&["search[a]", "click[b010]", "click[reviews]"])), head);
    assert_eq!(
        rich(&played(&["search[a]", "click[b010]", "click[attributes]"])),
        format!("{head} solid wood\ntoys\nwooden blocks\nToys › Blocks\n")
    );
    assert!(
        simple(&["search[a]", "click[b010]", "click[features]"])
            .ends_with("< Prev [SEP] Made of <wood> [SEP] ")
    );
    let end = simple(&["search[a]", "click[b010]", "click[small]", "click[é]", "click[buy now]"]);
    assert!(end.contains("[SEP] options [SEP] {\"color\": \"\\u00e9\", \"size\": \"small\"} [SEP]"), "{end}");
    assert!(end.ends_with("[SEP] 0.6666666666666666 [SEP] Reward Details [SEP] None"), "{end}");
}

#[test]
fn special_searches_look_products_up() {
    let found = |query: &str| played(&[query]).results;
    assert_eq!(found("search[<c> toys]"), [0, 10, 20]);
    assert_eq!(found("search[<c> toys and more]"), [0, 10, 20]);
    assert_eq!(found("search[<q>  Wooden blocks ]").len(), 27);
    assert_eq!(found("search[<q> wooden]"), [0; 0]);
    // Of 27 products, all are drawn, in another order on the next page.
    let first = found("search[<r>]");
    assert_eq!(first, found("search[<r> red]"));
    let second = played(&["search[<r>]", "click[next >]"]).results;
    assert!(first != second && first.len() == 27 && second.len() == 27);
}

/// The original looks for the names of pages in the address, and so in the query.
#[test]
fn a_query_with_the_name_of_a_page_misleads_the_way_back() {
    let shown = |actions: &[&str]| {
        let visit = played(actions);
        (visit.page(), visit.number, visit.shown(&Toys::new()).to_vec())
    };
    let query = "search[search_results a b c d e f g h i j k]";
    assert_eq!(shown(&[query, "click[b010]", "click[< prev]"]), (Page::Results, 0, vec![]));
    let back = [query, "click[next >]", "click[b020]", "click[< prev]"];
    assert_eq!(shown(&back), (Page::Results, 1, (0..10).collect()));
    let query = "search[item_page]";
    assert_eq!(shown(&[query, "click[b010]", "click[features]", "click[< prev]"]).0, Page::Results);
    assert_eq!(slice(&[0, 1, 2, 3, 4], -4, -2), [1, 2]);
    assert_eq!(slice(&[0, 1, 2], -20, -10), [0; 0]);
}
