//! Pages as the agent reads them.
//!
//! The original fills a template, reads the page back with BeautifulSoup and writes the visible strings (`convert_html_to_text` in
//! `web_agent_text_env.py`). A string of ASCII white space alone becomes one space, or is left out if it holds a line end.

use crate::pages::{Page, Store, Sub, Visit, asin};
use crate::product::Product;
use crate::python;

/// Form of observations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// `text`: the strings of the page, separated by ` [SEP] `.
    #[default]
    Text,
    /// `text_rich`: one string a line, with marks of buttons and of what was clicked.
    Rich,
}

const NONE: &str = "None";

impl Visit {
    /// Writes the page.
    pub fn text(&self, store: &dyn Store, form: Form) -> String {
        let mut out = Strings { out: String::with_capacity(2048), form, clicked: String::new() };
        match self.page() {
            Page::Search => {
                out.plain("WebShop");
                out.plain("Instruction: ");
                out.plain(&self.goal.instruction);
                out.button("Search");
            }
            Page::Results => self.results(store, &mut out),
            Page::Item => self.item_page(store, &mut out),
            Page::Sub(sub) => self.sub(store, sub, &mut out),
            Page::Done(reward) => self.done(store, reward, &mut out),
        }
        out.finish()
    }

    fn head(&self, out: &mut Strings) {
        out.plain("Instruction:");
        out.plain(&self.goal.instruction);
        out.button("Back to Search");
    }

    fn results(&self, store: &dyn Store, out: &mut Strings) {
        self.head(out);
        out.plain(&format!("Page {} (Total results: {})", self.number, self.results.len()));
        if self.number > 1 {
            out.button("< Prev");
        }
        out.button("Next >");
        let mut price = String::new();
        for &number in self.shown(store) {
            let product = &store.products()[number as usize];
            out.product(&product.asin, self.seen.contains(&number));
            out.plain(&product.title);
            price.clear();
            price_tag(product, &mut price);
            out.plain(&price);
        }
    }

    fn item_page(&self, store: &dyn Store, out: &mut Strings) {
        let product = self.product(store);
        self.head(out);
        out.button("< Prev");
        let address = if out.form == Form::Rich { self.address() } else { String::new() };
        let mut quoted = String::new();
        for choice in &product.options {
            out.plain(&choice.name);
            for value in &choice.values {
                quoted.clear();
                quoted.extend(["\"", value, "\""]);
                out.option(value, address.contains(&quoted));
            }
        }
        out.plain(&product.title);
        let mut price = "Price: ".to_owned();
        price_tag(product, &mut price);
        out.plain(&price);
        out.plain("Rating: N.A.");
        for button in ["Description", "Features", "Reviews", "Buy Now"] {
            out.button(button);
        }
    }

    /// Part of the address in which the original looks for the values of options, in quotation marks. Values with a quotation mark or with
    /// other characters than ASCII stand there in another form: they never look clicked.
    fn address(&self) -> String {
        if self.chosen.is_empty() && !self.query.contains('"') {
            return String::new();
        }
        let mut address = self.query.replace(' ', "+");
        address.push_str(&format!("/{}/", self.number));
        python::json(&self.chosen, false, &mut address);
        address
    }

    fn sub(&self, store: &dyn Store, sub: Sub, out: &mut Strings) {
        let product = self.product(store);
        self.head(out);
        out.button("< Prev");
        let lines = match sub {
            Sub::Description => return out.plain(&product.description),
            Sub::Features => &product.bullets,
            Sub::Reviews => return,
            Sub::Attributes => &product.attributes,
        };
        for line in lines {
            out.plain(&format!(" {line}"));
        }
        if sub == Sub::Attributes {
            for text in [&product.category, &product.query, &product.product_category] {
                out.plain(text);
            }
        }
    }

    fn done(&self, store: &dyn Store, reward: f64, out: &mut Strings) {
        // The filter sorts by name.
        let mut chosen = self.chosen.clone();
        chosen.sort();
        let (mut options, mut score) = (String::new(), String::new());
        python::json(&chosen, true, &mut options);
        python::float(reward, &mut score);
        for text in
            ["Thank you for shopping with us!", "Your code: ", NONE, " (Paste it in your MTurk interface.)"]
        {
            out.plain(text);
        }
        for text in ["Purchased", "asin", asin(store, self.product), "options", &options, "attrs", NONE] {
            out.plain(text);
        }
        for text in ["category", NONE, "query", NONE, "product category", NONE, "Target", "asin", "options"] {
            out.plain(text);
        }
        for text in ["attrs", "price upper", "instuction text", "category", "product category", "query"] {
            out.plain(text);
        }
        for text in
            ["Goal ", NONE, "Reward", "Your score (min 0.0, max 1.0)", &score, "Reward Details ", NONE]
        {
            out.plain(text);
        }
    }
}

/// Writes the listed price, or the range.
fn price_tag(product: &Product, out: &mut String) {
    for (number, price) in product.pricing.iter().take(2).enumerate() {
        out.push_str(if number == 0 { "$" } else { " to $" });
        python::float(*price, out);
    }
}

/// Visible strings of a page, as they are written.
struct Strings {
    out: String,
    form: Form,
    /// Lines about clicked options, which stand above the page.
    clicked: String,
}

impl Strings {
    fn plain(&mut self, text: &str) {
        self.write("", text, "");
    }

    fn button(&mut self, text: &str) {
        self.write("[button] ", text, " [button_]");
    }

    fn product(&mut self, asin: &str, seen: bool) {
        let (before, after) =
            if seen { ("\n[clicked button] ", " [clicked button_]") } else { ("\n[button] ", " [button_]") };
        self.write(before, asin, after);
    }

    fn option(&mut self, value: &str, clicked: bool) {
        let (before, after) = if clicked {
            ("  [clicked button] ", " [clicked button_]")
        } else {
            ("  [button] ", " [button_]")
        };
        let Some(value) = self.write(before, value, after) else { return };
        if clicked {
            // The last clicked option of the page comes first.
            self.clicked.insert_str(0, &format!("You have clicked {value}.\n"));
        }
    }

    /// Writes a string, and returns it as BeautifulSoup reads it; `None` if it is left out.
    fn write<'a>(&mut self, before: &str, text: &'a str, after: &str) -> Option<&'a str> {
        let mut text = text;
        if text.bytes().all(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\x0c' | b'\r')) {
            if text.is_empty() || text.contains('\n') {
                return None;
            }
            text = " ";
        }
        match self.form {
            Form::Text => {
                if !self.out.is_empty() {
                    self.out.push_str(" [SEP] ");
                }
                self.out.push_str(python::strip(text));
            }
            Form::Rich => self.out.extend([before, text, after, "\n"]),
        }
        Some(text)
    }

    fn finish(self) -> String {
        if self.clicked.is_empty() || self.form == Form::Text { self.out } else { self.clicked + &self.out }
    }
}
