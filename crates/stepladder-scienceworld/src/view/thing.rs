//! Parser of the simulator's descriptions of things: name, state and contents.
//!
//! ```text
//! thing = [article] name [ " (" title ") titled " words ] { suffix }
//! suffix = ", which is " state
//!        | ", currently reading a temperature of " number " degrees celsius"
//!        | " (containing " things ")"
//!        | " (" state ")"
//!        | ". The " name " door is " ("open" | "closed") "."
//!        | (". In the " | ". On the ") name (" is: " | " you see: ") things "."
//! ```

/// One visible thing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Thing {
    /// Name without article: `glass cup`, `sodium chloride`, `apple tree in the adult stage`.
    pub name: String,
    /// Whether it is printed as `a substance called NAME`.
    pub substance: bool,
    /// `turned off`, `off`, `deactivated`, `open`, …; empty if none is printed.
    pub state: String,
    /// Temperature that it shows, in degrees Celsius.
    pub reading: Option<i32>,
    /// Whether its door is open; `None` without a door.
    pub door: Option<bool>,
    /// Visible things in or on it.
    pub contents: Vec<Self>,
    /// Whether its contents are mentioned, even as empty.
    pub holds: bool,
}

impl Thing {
    /// Whether it is a device that is on.
    pub fn is_on(&self) -> bool {
        matches!(self.state.as_str(), "on" | "turned on" | "activated")
    }

    /// Whether an action may refer to it by this name: its own, for a fruit also without the colour (`orange
    /// apricot`).
    pub fn is_called(&self, name: &str) -> bool {
        let before = self.name.strip_suffix(name);
        before.is_some_and(|before| before.is_empty() || COLOURS.contains(&before))
    }

    /// Visits the thing and everything in it, outermost first, each with its direct container.
    pub fn walk<'a>(&'a self, inside: Option<&'a Self>, visit: &mut impl FnMut(&'a Self, Option<&'a Self>)) {
        visit(self, inside);
        for thing in &self.contents {
            thing.walk(Some(self), visit);
        }
    }
}

/// Colours that are printed before the name of a fruit.
const COLOURS: [&str; 7] = ["red ", "orange ", "yellow ", "green ", "blue ", "purple ", "brown "];

/// Text after a wire's name in the inventory, without a space between.
const TERMINALS: &str = "its terminal 1 is connected to";

/// Parses a comma-separated list of things.
pub(super) fn things(text: &str) -> Vec<Thing> {
    Reader { rest: text }.list()
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn eat(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn until(&mut self, ends: &[&str]) -> &'a str {
        let end = ends.iter().filter_map(|end| self.rest.find(end)).min().unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn list(&mut self) -> Vec<Thing> {
        let mut things = Vec::new();
        loop {
            let thing = self.thing();
            if thing.name != "nothing" && !thing.name.is_empty() {
                things.push(thing);
            }
            if !self.eat(", ") {
                return things;
            }
        }
    }

    /// Skips a book's title in brackets, with the space before it and its repetition; returns the title.
    fn title(&mut self) -> Option<&'a str> {
        let (inside, rest) = self.rest.split_once(") titled ")?;
        if inside.strip_prefix(" (")?.contains(['(', ')']) {
            return None;
        }
        let title = &self.rest[..=inside.len()];
        self.rest = rest;
        self.until(&[", ", ".", ")"]);
        Some(title)
    }

    fn thing(&mut self) -> Thing {
        let named = self.until(&[", ", " (", ".", ")"]).trim();
        let named = named.split_once(TERMINALS).map_or(named, |(name, _)| name);
        let (name, substance) = bare(named);
        let mut thing = Thing { name: name.to_owned(), substance, ..Thing::default() };
        if let Some(title) = self.title() {
            thing.name.push_str(title);
        }
        loop {
            if self.eat(", which is ") {
                thing.state = self.until(&[",", ".", ")"]).to_owned();
            } else if self.eat(", currently reading a temperature of ") {
                thing.reading = self.until(&[" "]).parse().ok();
                self.eat(" degrees celsius");
            } else if self.eat(" (containing ") {
                thing.holds = true;
                thing.contents.extend(self.list());
                self.eat(")");
            } else if self.eat(" (") {
                thing.state = self.until(&[")"]).to_owned();
                self.eat(")");
            } else if self.rest.starts_with(". The ") && self.rest.contains(" door is ") {
                self.until(&[" door is "]);
                self.eat(" door is ");
                thing.door = Some(self.until(&["."]) == "open");
            } else if self.rest.starts_with(". In the ") || self.rest.starts_with(". On the ") {
                self.until(&[": "]);
                self.eat(": ");
                thing.holds = true;
                thing.contents.extend(self.list());
                self.eat(".");
                self.eat(" ");
                if self.rest.starts_with("In the ") || self.rest.starts_with("On the ") {
                    // A second list of the same thing; its full stop has already been consumed.
                    self.until(&[": "]);
                    self.eat(": ");
                    thing.contents.extend(self.list());
                    self.eat(".");
                }
            } else {
                return thing;
            }
        }
    }
}

fn bare(named: &str) -> (&str, bool) {
    for prefix in ["a substance called ", "A substance called "] {
        if let Some(name) = named.strip_prefix(prefix) {
            return (name, true);
        }
    }
    let name =
        ["a ", "an ", "the ", "some ", "A ", "An "].iter().find_map(|article| named.strip_prefix(article));
    (name.unwrap_or(named), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Thing {
        let [thing] = things(text).try_into().unwrap();
        thing
    }

    fn names(things: &[Thing]) -> Vec<&str> {
        things.iter().map(|thing| thing.name.as_str()).collect()
    }

    #[test]
    fn furniture_holds_things_that_hold_things() {
        let counter =
            one("a counter. On the counter is: a bowl (containing a red apple, a banana), a drawer.");
        assert_eq!((counter.name.as_str(), names(&counter.contents)), ("counter", vec!["bowl", "drawer"]));
        assert_eq!(names(&counter.contents[0].contents), ["red apple", "banana"]);
        let bed = one("a bed. On the bed is: a mattress. On the mattress is: a white pillow..");
        assert_eq!(names(&bed.contents[0].contents), ["white pillow"]);
        let chair = one("a chair. On the chair is: nothing.");
        assert!(chair.holds && chair.contents.is_empty());
    }

    #[test]
    fn devices_have_states_and_doors() {
        let furnace = one(
            "a blast furnace, which is turned on. The blast furnace door is open. In the blast furnace is: a metal pot (containing a substance called lead).",
        );
        assert!(furnace.is_on());
        assert_eq!((furnace.door, names(&furnace.contents)), (Some(true), vec!["metal pot"]));
        assert!(furnace.contents[0].contents[0].substance);
        let fridge = one("a fridge. The fridge door is closed. ");
        assert_eq!((fridge.door, fridge.holds), (Some(false), false));
        let table = one(
            "a table. On the table is: a battery, a switch, which is off, a red light bulb, which is on.",
        );
        assert_eq!(names(&table.contents), ["battery", "switch", "red light bulb"]);
        assert_eq!(table.contents[2].state, "on");
        assert_eq!(
            one("a thermometer, currently reading a temperature of -10 degrees celsius").reading,
            Some(-10)
        );
    }

    #[test]
    fn books_have_titles_and_wires_have_terminals() {
        let shelf = one(
            "a book shelf (containing A book (Moby Dick) titled Moby Dick by Herman Melville, A book (Beowulf) titled Beowulf by Beowulf poet)",
        );
        assert_eq!(names(&shelf.contents), ["book (Moby Dick)", "book (Beowulf)"]);
        let wire = &things(
            "a black wireits terminal 1 is connected to: nothing. its terminal 2 is connected to: nothing. ",
        )[0];
        assert_eq!(wire.name, "black wire");
        let fruit = one("a orange apricot");
        assert!(
            fruit.is_called("apricot") && fruit.is_called("orange apricot") && !fruit.is_called("orange")
        );
    }

    #[test]
    fn plants_bear_fruit_and_flowers() {
        let pot = one(
            "a flower pot 3 (containing a apple tree in the reproducing stage. On the apple tree you see: a apple, a flower. , soil, a substance called water)",
        );
        assert_eq!(names(&pot.contents), ["apple tree in the reproducing stage", "soil", "water"]);
        assert_eq!(names(&pot.contents[0].contents), ["apple", "flower"]);
        let dry =
            one("a flower pot 3 (containing a apple tree in the seedling stage (that looks unwell), soil)");
        assert_eq!(names(&dry.contents), ["apple tree in the seedling stage", "soil"]);
    }
}
