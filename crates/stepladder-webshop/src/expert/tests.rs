//! Replies of every role on pages written by hand.

use proptest::prelude::*;

use super::*;

const TASK: &str = "Find me easy clean, stackable design boxes with strong lid with color: red, and size: 2 in, and price lower than 20.00 dollars";

fn head(task: &str) -> String {
    format!("Instruction: [SEP] {task} [SEP] Back to Search")
}

pub(crate) fn start(task: &str) -> String {
    format!("WebShop [SEP] Instruction: [SEP] {task} [SEP] Search")
}

/// The first page of results, of 50.
pub(crate) fn results(task: &str, listed: &[(&str, &str, &str)]) -> String {
    let mut text = format!("{} [SEP] Page 1 (Total results: 50) [SEP] Next >", head(task));
    for (asin, title, price) in listed {
        text.push_str(&format!(" [SEP] {asin} [SEP] {title} [SEP] {price}"));
    }
    text
}

pub(crate) fn item(task: &str, choices: &str, title: &str, price: &str) -> String {
    let choices = if choices.is_empty() { String::new() } else { format!("{choices} [SEP] ") };
    format!(
        "{} [SEP] < Prev [SEP] {choices}{title} [SEP] Price: {price} [SEP] Rating: N.A. [SEP] Description [SEP] Features [SEP] Reviews \
         [SEP] Buy Now",
        head(task)
    )
}

pub(crate) fn sub(task: &str, text: &str) -> String {
    format!("{} [SEP] < Prev [SEP] {text}", head(task))
}

fn observe(page: &str) -> Observation {
    Observation { feedback: page.to_owned(), context: String::new() }
}

fn plan(earlier: &[&str], progress: &str, page: &str) -> String {
    let earlier = earlier.iter().map(|text| (*text).to_owned()).collect();
    let query = Query::Planner {
        task: TASK.to_owned(),
        earlier,
        progress: progress.to_owned(),
        observation: observe(page),
    };
    WebshopExpert.reply(&query).unwrap()
}

fn act(subtask: &str, progress: &str, page: &str) -> String {
    let query = Query::Executor {
        subtask: subtask.to_owned(),
        observation: observe(page),
        progress: progress.to_owned(),
    };
    WebshopExpert.reply(&query).unwrap()
}

fn record(subtask: &str, progress: &str, action: &str, page: &str) -> String {
    let query = Query::Progress {
        subtask: subtask.to_owned(),
        progress: progress.to_owned(),
        action: action.to_owned(),
        observation: observe(page),
    };
    WebshopExpert.reply(&query).unwrap()
}

const OPEN: &str = "open a fitting product";
const CHOICES: &str = "color [SEP] red [SEP] blue [SEP] size [SEP] 1 in [SEP] 2 in";

fn list() -> String {
    results(
        TASK,
        &[
            ("B01", "Plastic bag", "$15.0"),
            ("B02", "Stackable Design Box", "$12.0 to $30.0"),
            ("B03", "Boxes", "$45.0"),
        ],
    )
}

#[test]
fn the_planner_searches_opens_chooses_and_buys() {
    let page = item(TASK, CHOICES, "A box", "$12.0");
    assert_eq!(plan(&[], "None", &start(TASK)), "search for boxes");
    assert_eq!(plan(&["search for boxes"], "50 results", &list()), OPEN);
    let at = "at B02: all there";
    assert_eq!(plan(&["search for boxes", OPEN], at, &page), "choose color: red");
    let chosen = ["search for boxes", OPEN, "choose color: red", "choose size: 2 in"];
    assert_eq!(plan(&chosen[..3], "chose color: red", &page), "choose size: 2 in");
    assert_eq!(plan(&chosen, "chose size: 2 in", &page), "buy the product");
    // A wrong click is repaired; an option that the product lacks is left out, one of the same color is taken.
    assert_eq!(plan(&chosen[..3], "chose blue", &page), "choose color: red");
    assert_eq!(plan(&chosen, "None", &sub(TASK, "")), "choose size: 2 in");
    let near = item(TASK, "color [SEP] dark red [SEP] height [SEP] 2 in", "A box", "$12.0");
    assert_eq!(plan(&chosen[..2], at, &near), "choose color: dark red");
    assert_eq!(plan(&[OPEN, "choose color: dark red"], "chose color: dark red", &near), "buy the product");
    // A product opened anew has nothing chosen.
    assert_eq!(plan(&[OPEN, "choose color: red", OPEN], at, &page), "choose color: red");
    assert_eq!(plan(&[], "None", &page), OPEN);
    assert_eq!(plan(&chosen, "None", "nonsense"), OPEN);
}

#[test]
fn the_executor_compares_products() {
    assert_eq!(
        act("search for boxes", "None", &start(TASK)),
        "search[boxes red 2 in easy clean stackable design strong lid red 2 in]; True"
    );
    // The name decides over the place; too dear a product is never opened.
    assert_eq!(act(OPEN, "None", &list()), "click[B02]; False");
    let checked = "no fitting product yet || [Checked: B02 no size]";
    assert_eq!(act(OPEN, checked, &list()), "click[B01]; False");
    let page = item(TASK, CHOICES, "A box", "$12.0");
    let bare = item(TASK, "color [SEP] red", "A box", "$12.0");
    assert_eq!(act(OPEN, "at B02: no size", &bare), "click[< Prev]; False");
    assert_eq!(act(OPEN, "at B02: to check easy clean, strong lid", &page), "click[Features]; False");
    let features = sub(TASK, "Easy to clean");
    assert_eq!(act(OPEN, "at B02: all there", &features), "click[< Prev]; True");
    assert_eq!(act(OPEN, "at B02: lacks strong lid", &features), "click[< Prev]; False");
    assert_eq!(act(OPEN, "at B02: lacks strong lid", &page), "click[< Prev]; False");
    // The best product is opened again when no other is left, or when no steps are left for another.
    let both = "no fitting product yet || [Checked: B02 lacks 1, B01 lacks 2]";
    assert_eq!(act(OPEN, both, &list()), "click[B02]; True");
    let spent = "at B02: lacks strong lid || [Checked: B04 no size, B05 no color, B06 no size]";
    assert_eq!(act(OPEN, spent, &features), "click[< Prev]; True");
    let late = "no fitting product yet || [Checked: B04 no size, B05 no color, B06 no size, B07 no size, B08 no size]";
    assert_eq!(act(OPEN, late, &list()), "click[B02]; True");
}

#[test]
fn the_executor_chooses_and_buys() {
    let page = item(TASK, CHOICES, "A box", "$12.0");
    assert_eq!(act("choose color: red", "None", &page), "click[red]; True");
    assert_eq!(act("choose color: red", "None", &sub(TASK, "x")), "click[< Prev]; False");
    assert_eq!(act("choose color: red", "None", &list()), "click[Back to Search]; True");
    assert_eq!(act("buy the product", "None", &page), "click[Buy Now]; True");
    assert_eq!(act("buy the product", "None", &sub(TASK, "x")), "click[< Prev]; False");
    assert_eq!(act("nonsense", "None", &page), "click[Back to Search]; True");
}

#[test]
fn progress_holds_what_the_comparison_needs() {
    let page = item(TASK, CHOICES, "A box, stackable by design", "$12.0");
    assert_eq!(record("search for boxes", "None", "search[boxes]", &list()), "50 results");
    let opened = record(OPEN, "None", "click[B02]", &page);
    assert_eq!(opened, "at B02: to check easy clean, strong lid");
    let read = record(OPEN, &opened, "click[Features]", &sub(TASK, "Easy to clean. [SEP] Strong."));
    assert_eq!(read, "at B02: lacks strong lid");
    assert_eq!(record(OPEN, &read, "click[< Prev]", &page), read);
    let left = record(OPEN, &read, "click[< Prev]", &list());
    assert_eq!(left, "no fitting product yet || [Checked: B02 lacks 1]");
    let other = record(OPEN, &left, "click[B01]", &item(TASK, "color [SEP] red", "A bag", "$12.0"));
    assert_eq!(other, "at B01: no size || [Checked: B02 lacks 1]");
    // Opening a known product again keeps what is known of it; a wrong click on an option opens nothing.
    assert_eq!(record(OPEN, &left, "click[B02]", &page), "at B02: lacks 1 || [Checked: B02 lacks 1]");
    assert_eq!(record(OPEN, &opened, "click[blue]", &page), opened);
    assert_eq!(record("choose color: red", "None", "click[red]", &page), "chose color: red");
    assert_eq!(record("choose color: red", "None", "click[blue]", &page), "chose blue");
    assert_eq!(record("choose color: red", "None", "click[Features]", &sub(TASK, "")), "None");
}

#[test]
fn the_flat_role_remembers_what_the_hierarchy_would() {
    let page = item(TASK, CHOICES, "Stackable Design Box", "$12.0");
    let steps: Vec<(&str, String)> = vec![
        ("", start(TASK)),
        ("search[boxes red 2 in easy clean stackable design strong lid red 2 in]", list()),
        ("click[B02]", page.clone()),
        ("click[Features]", sub(TASK, "Easy to clean [SEP] With a strong lid")),
        ("click[< Prev]", page.clone()),
        ("click[red]", page.clone()),
        ("click[2 in]", page),
    ];
    let history: Vec<(String, String)> =
        steps.into_iter().map(|(action, answer)| (action.to_owned(), answer)).collect();
    for length in 1..=history.len() {
        let query = Query::Flat {
            task: TASK.to_owned(),
            context: String::new(),
            history: history[..length].to_vec(),
        };
        let expected = history.get(length).map_or("click[Buy Now]", |(action, _)| action);
        assert_eq!(WebshopExpert.reply(&query).unwrap(), expected);
    }
}

/// Texts that pages, progress texts and histories are made of.
fn scrap() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        start(TASK),
        list(),
        item(TASK, CHOICES, "A box", "$12.0"),
        sub(TASK, "Easy to clean"),
        "Thank you for shopping with us!".to_owned(),
        "at B02: lacks 1 || [Checked: B01 no size]".to_owned(),
        OPEN.to_owned(),
        "choose color: red".to_owned(),
        "click[B01]".to_owned(),
        "chose color: red".to_owned(),
    ]);
    prop_oneof![4 => known, 1 => ".{0,30}"]
}

proptest! {
    #[test]
    fn every_query_has_one_reply(
        (task, subtask, progress, action, page) in (scrap(), scrap(), scrap(), scrap(), scrap()),
        earlier in prop::collection::vec(scrap(), 0..5),
        history in prop::collection::vec((scrap(), scrap()), 0..6),
    ) {
        let observation = observe(&page);
        for query in [
            Query::Planner { task: task.clone(), earlier, progress: progress.clone(), observation: observation.clone() },
            Query::Executor { subtask: subtask.clone(), observation: observation.clone(), progress: progress.clone() },
            Query::Progress { subtask, progress, action, observation },
            Query::Flat { task, context: page, history },
        ] {
            let reply = WebshopExpert.reply(&query);
            prop_assert_eq!(reply.is_some(), WebshopExpert.answers(query.role()));
            prop_assert_eq!(&reply, &WebshopExpert.reply(&query.clone()));
            prop_assert!(reply.is_some_and(|reply| stepladder_core::reply::parses(query.role(), &reply) || query.role() == Role::Progress));
        }
    }
}

#[test]
fn a_sub_goal_that_is_given_back_is_not_completed() {
    let (page, first) = (item(TASK, CHOICES, "A box", "$12.0"), start(TASK));
    let ends = |subgoal: &str, page: &str| {
        let said = act(subgoal, "None", page);
        let action = said.strip_suffix("; True").unwrap();
        WebshopExpert.completes(subgoal, &observe(page), action, "")
    };
    assert!(ends("choose color: red", &page) && ends("buy the product", &page));
    assert!(ends("search for boxes", &first));
    assert!(!ends("nonsense", &page) && !ends("choose color: red", &list()));
    assert!(!ends("nonsense", &first) && !ends("buy the product", &first));
}
