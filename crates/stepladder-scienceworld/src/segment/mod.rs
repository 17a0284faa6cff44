//! Cutting a gold path into subtasks, by rules over its actions and answers (spec/algorithms 3.0, step 2).
//!
//! A subtask ends with an action that achieves something; what leads up to it (doors, walking, looking, opening) belongs
//! to it. Names are the expert's where it has one for what is done, and say in which room it is done:
//!
//! | done | name |
//! |---|---|
//! | taken | `get the THING from the ROOM`; a thing that was looked for in several rooms: `get the THING` |
//! | taken and focused on | `get the THING from the ROOM and focus on it` |
//! | focused on | `focus on the THING in the ROOM`, or what the task's family calls it (`find an animal outside`) |
//! | taken, carried and put down | `put the THING in the PLACE in the ROOM`, `take the THING to the ROOM` |
//! | several things taken to be carried | `collect the THING, the THING and the THING` |
//! | held under the tap | `fill the VESSEL with water in the ROOM` |
//! | put in a device, and waited and measured there | `heat the SUBSTANCE on the stove until it boils`, `cool …` |
//! | poured and mixed, and the product focused on | `make PRODUCT from INGREDIENTS in the ROOM` |
//! | wires connected to one part | `connect the PART to the WIRE and the WIRE`, in the end `… and watch the LAMP` |
//! | soil, seeds, water | `fill the POT with soil`, `plant the KIND seed in the POT`, `water the POT` |
//! | waited for plants, before they are watered again | `let the KIND tree grow` |

mod deed;

use stepladder_core::label::{Demonstration, Segment, Segmenter};

use crate::expert::families::{
    chemistry, circuit, find, growing, life_stages, lifespan, matter, paint, thermometer,
};
use crate::expert::{LOOK, common};
use deed::{Deed, Event};

/// The rule-based segmenter of ScienceWorld's gold paths.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScienceWorldSegmenter;

impl Segmenter for ScienceWorldSegmenter {
    fn segment(&self, demonstration: &Demonstration) -> Result<Vec<Segment>, String> {
        let events = deed::events(&demonstration.context, &demonstration.steps);
        let cutter = Cutter { task: &demonstration.task, events: &events, path: Path::default() };
        Ok(cutter.cut())
    }
}

/// What the subtasks so far did that later names need.
#[derive(Debug, Default)]
struct Path<'a> {
    /// How often something was focused on, and mixed.
    focused: usize,
    mixed: usize,
    /// What a recipe said.
    recipe: Option<&'a str>,
    /// The last pot that was planted.
    planted: Option<&'a str>,
    /// The lamp in a circuit, or what else shows that a current flows.
    lamp: Option<&'a str>,
}

struct Cutter<'a> {
    task: &'a str,
    events: &'a [Event<'a>],
    path: Path<'a>,
}

/// A subtask's name, and the number of the action after its last.
type Cut = (String, usize);

impl<'a> Cutter<'a> {
    fn cut(mut self) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        let mut start = 0;
        while let Some((subtask, end)) = self.next(start) {
            // What was turned on for this is turned off after it.
            let end = end + usize::from(self.deed(end) == &Deed::Off);
            segments.push(Segment { subtask, len: end - start });
            start = end;
        }
        let rest = &self.events[start..];
        let walked = rest.iter().rev().find(|event| event.deed == Deed::Walk);
        match (walked, segments.last_mut()) {
            _ if rest.is_empty() => {}
            (Some(event), _) => {
                segments.push(Segment { subtask: common::go_to(event.room), len: rest.len() });
            }
            (None, Some(last)) => last.len += rest.len(),
            (None, None) => segments.push(Segment { subtask: LOOK.to_owned(), len: rest.len() }),
        }
        segments
    }

    fn deed(&self, at: usize) -> &'a Deed<'a> {
        self.events.get(at).map_or(&Deed::Nothing, |event| &event.deed)
    }

    fn room(&self, at: usize) -> &'a str {
        self.events.get(at).map_or("", |event| event.room)
    }

    /// The next action from here on that achieves something.
    fn after(&self, at: usize) -> Option<usize> {
        (at..self.events.len()).find(|at| !self.deed(*at).is_way())
    }

    /// The same, if it is done in the room in which one is.
    fn after_here(&self, at: usize) -> Option<usize> {
        self.after(at).filter(|next| (at..*next).all(|at| *self.deed(at) != Deed::Walk))
    }

    /// The end of a run of actions for which something holds.
    fn run(&self, at: usize, holds: impl Fn(&Deed<'a>) -> bool) -> usize {
        (at..self.events.len()).find(|at| !holds(self.deed(*at))).unwrap_or(self.events.len())
    }

    /// The room of an action; none where more than two rooms were looked through on the way to it.
    fn room_unless_searched(&self, start: usize, at: usize) -> Option<&'a str> {
        let looks = self.events[start..at].iter().filter(|event| event.deed == Deed::Look);
        let mut rooms: Vec<&str> = looks.map(|event| event.room).collect();
        rooms.sort_unstable();
        rooms.dedup();
        (rooms.len() < 3).then(|| self.room(at)).filter(|room| !room.is_empty())
    }

    /// The next subtask; none where nothing more is achieved.
    fn next(&mut self, start: usize) -> Option<Cut> {
        let mut at = self.after(start)?;
        if let Some(goal) = growing::goal(self.task)
            && let Some(wait) = (start..at).find(|at| *self.deed(*at) == Deed::Wait)
        {
            return Some(self.waited(wait, goal.kind));
        }
        // A device that is turned on before something is put into it.
        while let (Deed::On(_), Some(next)) = (self.deed(at), self.after(at + 1)) {
            at = next;
        }
        Some(match *self.deed(at) {
            Deed::Take { thing, content } => self.taken(start, at, thing, content),
            Deed::Put { thing, place } => self.put(at, thing, place),
            Deed::Drop(thing) => {
                let (things, end) = self.list(at, |deed| match deed {
                    Deed::Drop(thing) => Some(thing),
                    _ => None,
                });
                let things = if things.len() > 1 { things.join(", the ") } else { thing.to_owned() };
                (circuit::take(&things, self.room(at)), end)
            }
            Deed::Focus { thing, action } => (self.focused(start, at, thing, action), at + 1),
            Deed::On(device) => (format!("activate the {device} in the {}", self.room(at)), at + 1),
            Deed::Broken => (format!("fill the sink in the {}", self.room(at)), at + 1),
            Deed::Connect(parts) => self.connected(at, parts),
            Deed::Pour { from, content, into } => {
                let mixed = self.run(at, |deed| {
                    matches!(deed, Deed::Pour { .. } | Deed::Nothing | Deed::Examine | Deed::Look)
                });
                match self.deed(mixed) {
                    Deed::Mix { .. } => self.mixed(mixed),
                    _ => (self.poured(at, content.unwrap_or(from), into), at + 1),
                }
            }
            Deed::Mix { .. } => self.mixed(at),
            Deed::Read(list) => self.read(at, list),
            Deed::Measure(thing) => (thermometer::measure(thing, self.room(at)), at + 1),
            Deed::Dig => self.soil(at).unwrap_or_else(|| (common::get("soil", Some(self.room(at))), at + 1)),
            Deed::Hive => {
                let kind = growing::goal(self.task).map_or("grown", |goal| goal.kind);
                (format!("let the bees out to the {kind} trees"), at + 1)
            }
            Deed::Nothing | Deed::Walk | Deed::Look | Deed::Examine | Deed::Wait | Deed::Off => return None,
        })
    }

    /// Things of one kind of action in a row, in one room, and where the row ends.
    fn list(&self, at: usize, of: impl Fn(&Deed<'a>) -> Option<&'a str>) -> (Vec<&'a str>, usize) {
        let mut things = Vec::new();
        let (mut next, mut end) = (Some(at), at);
        while let Some((at, thing)) = next.and_then(|at| Some((at, of(self.deed(at))?))) {
            things.push(thing);
            end = at + 1;
            next = self.after_here(end);
        }
        (things, end)
    }

    fn taken(&mut self, start: usize, at: usize, thing: &'a str, content: Option<&'a str>) -> Cut {
        let (things, end) = self.list(at, |deed| match deed {
            Deed::Take { thing, .. } => Some(thing),
            _ => None,
        });
        if let (Some(dropped), [first @ .., last]) = (self.after(end), &*things)
            && matches!(self.deed(dropped), Deed::Drop(_))
            && !first.is_empty()
        {
            return (format!("collect the {} and the {last}", first.join(", the ")), end);
        }
        if let (true, Some(cut)) = (["shovel", "soil"].contains(&thing), self.soil(at)) {
            return cut;
        }
        let room = self.room_unless_searched(start, at);
        let got = || common::get(content.unwrap_or(thing), room);
        let Some(next) = self.after(at + 1) else { return (got(), at + 1) };
        let here = self.after_here(at + 1).is_some();
        match *self.deed(next) {
            Deed::Read(list) => self.read(next, list),
            Deed::Focus { thing: focused, .. } if here && focused == thing => {
                self.path.focused += 1;
                (thermometer::take(thing, self.room(at)), next + 1)
            }
            Deed::Put { thing: put, place } if put == thing && room.is_some() => self.put(next, thing, place),
            Deed::Drop(dropped) if dropped == thing => (circuit::take(thing, self.room(next)), next + 1),
            Deed::Pour { from, content: poured, into } if from == thing && room.is_some() => {
                (self.poured(next, poured.or(content).unwrap_or(from), into), next + 1)
            }
            _ => (got(), at + 1),
        }
    }

    fn put(&mut self, at: usize, thing: &'a str, place: &'a str) -> Cut {
        let room = self.room(at);
        if place == "sink" {
            return self.filled(at, thing);
        }
        if let Some(name) = self.heated(place) {
            let end = self.run(at + 1, |deed| {
                use Deed::{Broken, Examine, Measure, Nothing, Off, On, Wait};
                matches!(deed, On(_) | Broken | Off | Measure(_) | Wait | Nothing | Examine)
            });
            // Opened doors lead on to something else.
            let last = (at..end).rev().find(|at| *self.deed(*at) != Deed::Nothing).unwrap_or(at);
            return (name, self.taken_back(last + 1, thing));
        }
        if let Some(kind) = thing.strip_suffix(" seed") {
            self.path.planted = Some(place);
            return (format!("plant the {kind} seed in the {place}"), at + 1);
        }
        if thing == "soil" {
            return (format!("fill the {place} with soil"), at + 1);
        }
        (common::put(thing, place, room), self.taken_back(at + 1, place))
    }

    /// A vessel that is taken up again right away, perhaps several times.
    fn taken_back(&self, end: usize, vessel: &str) -> usize {
        let back = |deed: &Deed<'_>| matches!(deed, Deed::Take { thing, .. } if *thing == vessel);
        match self.after_here(end) {
            Some(next) if back(self.deed(next)) => next + 1,
            _ => end,
        }
    }

    /// Held under the tap; a jug is then emptied over a plant.
    fn filled(&self, at: usize, vessel: &'a str) -> Cut {
        let end = self.run(at + 1, |deed| {
            matches!(
                deed,
                Deed::On(_) | Deed::Broken | Deed::Off | Deed::Nothing | Deed::Examine | Deed::Wait
            )
        });
        if let Deed::Pour { from, into, .. } = *self.deed(end)
            && from == vessel
            && into.contains("flower pot")
        {
            return (format!("water the {into}"), end + 1);
        }
        let last = (at..end).rev().find(|at| *self.deed(*at) != Deed::Nothing).unwrap_or(at);
        let name = format!("fill the {vessel} with water in the {}", self.room(at));
        (name, self.taken_back(last + 1, vessel))
    }

    /// The name of what a device is for; none for things that neither heat nor cool.
    fn heated(&self, device: &str) -> Option<String> {
        let number = ["stove", "blast furnace", "freezer"].iter().position(|kind| device.ends_with(kind))?;
        if let Some(goal) = thermometer::goal(self.task).filter(|goal| goal.melting) {
            return Some(thermometer::change(goal.thing, number, goal.limit));
        }
        let (verb, substance) = matter::goal(self.task)?;
        let until = match verb {
            "boil" => "boils",
            "melt" | "freeze" => "melts",
            _ => "changes",
        };
        Some(match number {
            0 => format!("heat the {substance} on the stove until it {until}"),
            1 => matter::heat(substance, until),
            _ => matter::cool(substance),
        })
    }

    /// Soil that is taken up, or dug up, and brought to a pot.
    fn soil(&self, at: usize) -> Option<Cut> {
        let end = self.run(at, |deed| {
            let soil = |thing: &str| ["soil", "shovel"].contains(&thing);
            match deed {
                Deed::Take { thing, .. } | Deed::Drop(thing) => soil(thing),
                other => other.is_way() || *other == Deed::Dig,
            }
        });
        match *self.deed(end) {
            Deed::Put { thing: "soil", place } => Some((format!("fill the {place} with soil"), end + 1)),
            _ => None,
        }
    }

    fn poured(&self, at: usize, content: &str, into: &str) -> String {
        if into.contains("flower pot") {
            return format!("water the {into}");
        }
        common::put(content, into, self.room(at))
    }

    fn read(&mut self, at: usize, list: &'a str) -> Cut {
        self.path.recipe = Some(list);
        let product = chemistry::goal(self.task).map_or("it", |(product, _)| product);
        (format!("read the recipe for {product} in the {}", self.room(at)), at + 1)
    }

    /// Mixed, and the product focused on.
    fn mixed(&mut self, at: usize) -> Cut {
        let Deed::Mix { product, of } = *self.deed(at) else { return (LOOK.to_owned(), at + 1) };
        let room = self.room(at);
        let painted = paint::colour(self.task).and_then(|colour| {
            let subtask = paint::subtasks(colour).into_iter().nth(self.path.mixed)?;
            Some(format!("{}{room}", subtask.strip_suffix(paint::ROOM)?))
        });
        self.path.mixed += 1;
        let name = painted.unwrap_or_else(|| {
            let of = self.path.recipe.map_or_else(|| of.to_lowercase().replace(" and ", ", "), str::to_owned);
            let wanted = chemistry::goal(self.task).map_or(product, |(wanted, _)| wanted);
            chemistry::make(wanted, &of, room)
        });
        match self.after_here(at + 1) {
            Some(next) if matches!(self.deed(next), Deed::Focus { .. }) => {
                self.path.focused += 1;
                (name, next + 1)
            }
            _ => (name, at + 1),
        }
    }

    /// All wires that are connected to one part in a row; where one waits then, one watches the lamp.
    fn connected(&mut self, at: usize, parts: [&'a str; 2]) -> Cut {
        let wire = |part: &str| part.ends_with(" wire");
        let hub = parts.into_iter().find(|part| !wire(part)).unwrap_or(parts[0]);
        let (wires, end) = self.list(at, |deed| match deed {
            Deed::Connect([one, other]) if *one == hub => Some(other),
            Deed::Connect([one, other]) if *other == hub => Some(one),
            _ => None,
        });
        if [" bulb", " motor", " buzzer"].iter().any(|kind| hub.ends_with(kind)) {
            self.path.lamp = Some(hub);
        }
        let name = format!("connect the {hub} to the {}", wires.join(" and the "));
        let started = self.run(end, |deed| matches!(deed, Deed::On(_) | Deed::Nothing | Deed::Look));
        let waited = self.run(started, |deed| matches!(deed, Deed::Wait | Deed::Look));
        let lamp = circuit::goal(self.task).map(|(lamp, _)| lamp).or(self.path.lamp);
        match lamp.filter(|_| waited > started || matches!(self.deed(end), Deed::On(_))) {
            Some(lamp) => (format!("{name} and watch the {lamp}"), waited),
            None => (name, end),
        }
    }

    fn focused(&mut self, start: usize, at: usize, thing: &str, action: &str) -> String {
        let room = self.room_unless_searched(start, at);
        let count = self.path.focused;
        self.path.focused += 1;
        let of_family = if let Some((kind, ..)) = find::goal(self.task) {
            room.map(|room| find::find(kind, room))
        } else if let Some((_, wanted)) = self.task.split_once("find the animal with the ") {
            let longest = wanted.starts_with("longest") && count == 0;
            Some(if longest { lifespan::LONGEST } else { lifespan::SHORTEST }.to_owned())
        } else if let Some(mut subtasks) = life_stages::subtasks(self.task) {
            subtasks.nth(count)
        } else if let (true, Some((_, pot))) = (thing.ends_with(" seed"), action.rsplit_once(" in ")) {
            Some(format!("focus on the {thing} in the {}", self.path.planted.unwrap_or(pot)))
        } else {
            let water = thing == "water" && matter::goal(self.task).is_some();
            water.then(|| format!("focus on the water in the {}", matter::POT))
        };
        of_family.unwrap_or_else(|| common::focus(thing, room))
    }

    /// Waited for plants, with the look at them that follows.
    fn waited(&self, at: usize, kind: &str) -> Cut {
        let end = self.run(at, |deed| matches!(deed, Deed::Wait | Deed::Look | Deed::Examine));
        (growing::let_grow(kind), end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Subtasks of a path that begins in the hallway: names and lengths. Steps are `action | answer`.
    fn cut(task: &str, steps: &[&str]) -> Vec<(String, usize)> {
        let steps = steps.iter().map(|step| step.split_once(" | ").unwrap());
        let demonstration = Demonstration {
            task: task.to_owned(),
            context: "This room is called the hallway. In it, you see: \n\tthe agent\n".to_owned(),
            steps: steps.map(|(action, answer)| (action.to_owned(), answer.to_owned())).collect(),
        };
        let segments = ScienceWorldSegmenter.segment(&demonstration).unwrap();
        let covered: usize = segments.iter().map(|segment| segment.len).sum();
        assert_eq!(covered, demonstration.steps.len());
        segments.into_iter().map(|segment| (segment.subtask, segment.len)).collect()
    }

    fn named(segments: &[(&str, usize)]) -> Vec<(String, usize)> {
        segments.iter().map(|(name, len)| ((*name).to_owned(), *len)).collect()
    }

    const OPEN: &str = "open door to kitchen | The door is now open.";
    const GO: &str = "go to kitchen | You move to the kitchen.";
    const LOOK: &str = "look around | This room is called the kitchen.";

    #[test]
    fn water_is_fetched_and_heated() {
        let task = "Your task is to boil water. For compounds without a boiling point, combusting the substance is also acceptable. First, focus on the substance. Then, take actions that will cause it to change its state of matter.";
        let steps = [
            OPEN,
            GO,
            LOOK,
            "pick up thermometer | You move the thermometer to the inventory.",
            "open cupboard | The cupboard is now open.",
            "pick up metal pot | You move the metal pot to the inventory.",
            LOOK,
            "move metal pot to sink | You move the metal pot to the sink.",
            "activate sink | The sink is now activated.",
            "deactivate sink | The sink is now deactivated.",
            "pick up metal pot | You move the metal pot to the inventory.",
            "focus on substance in metal pot | You focus on the water.",
            "pour metal pot into metal pot | You can't move something into itself.",
            "pick up metal pot | You move the metal pot to the inventory.",
            "move metal pot to stove | You move the metal pot to the stove.",
            "activate stove | The stove appears broken, and can't be activated or deactivated.",
            "pick up metal pot | You move the metal pot to the inventory.",
            "open door to outside | The door is now open.",
            "go to outside | You move to the outside.",
            "go to foundry | You move to the foundry.",
            "open blast furnace | The blast furnace is now open.",
            "move metal pot to blast furnace | You move the metal pot to the blast furnace.",
            "activate blast furnace | The blast furnace is now activated.",
            "examine substance in metal pot | a substance called water",
            "use thermometer in inventory on water | the thermometer measures a temperature of 98 degrees celsius",
        ];
        let segments = [
            ("get the thermometer from the kitchen", 4),
            ("fill the metal pot with water in the kitchen", 7),
            ("focus on the water in the metal pot", 1),
            ("heat the water on the stove until it boils", 5),
            ("heat the water in the blast furnace until it boils", 8),
        ];
        assert_eq!(cut(task, &steps), named(&segments));
    }

    #[test]
    fn both_wires_of_a_part_are_one_subtask() {
        let task = "Your task is to determine if aluminum foil is electrically conductive. The aluminum foil is located around the kitchen. First, focus on the aluminum foil.";
        let steps = [
            OPEN,
            GO,
            "pick up aluminum foil | You move the aluminum foil to the inventory.",
            "focus on aluminum foil | You focus on the aluminum foil.",
            "go to hallway | You move to the hallway.",
            "go to workshop | You move to the workshop.",
            "drop aluminum foil | You move the aluminum foil to the workshop.",
            "look around | This room is called the workshop.",
            "connect battery anode to blue wire terminal 1 | anode on battery is now connected to terminal 1 on blue wire",
            "connect battery cathode to red wire terminal 1 | cathode on battery is now connected to terminal 1 on red wire",
            "connect blue wire terminal 2 to cathode in light | terminal 2 on blue wire is now connected to cathode on green light bulb",
            "connect black wire terminal 2 to anode in light | terminal 2 on black wire is now connected to anode on green light bulb",
            "connect aluminum foil terminal 1 to red wire terminal 2 | terminal 1 on aluminum foil is now connected to terminal 2 on red wire",
            "connect aluminum foil terminal 2 to black wire terminal 1 | terminal 2 on aluminum foil is now connected to terminal 1 on black wire",
            "wait1 | You decide to wait for 1 iterations.",
            "wait1 | You decide to wait for 1 iterations.",
            "look around | This room is called the workshop.",
            "move aluminum foil to red box | (disconnecting aluminum foil)You move the aluminum foil to the red box.",
        ];
        let segments = [
            ("get the aluminum foil from the kitchen and focus on it", 4),
            ("take the aluminum foil to the workshop", 3),
            ("connect the battery to the blue wire and the red wire", 3),
            ("connect the green light bulb to the blue wire and the black wire", 2),
            (
                "connect the aluminum foil to the red wire and the black wire and watch the green light bulb",
                5,
            ),
            ("put the aluminum foil in the red box in the workshop", 1),
        ];
        assert_eq!(cut(task, &steps), named(&segments));
    }

    #[test]
    fn plants_are_planted_watered_and_waited_for() {
        let task = "Your task is to grow a apple plant from seed. Seeds can be found in the kitchen. First, focus on a seed. Then, make changes to the environment that grow the plant until it reaches the reproduction life stage.";
        let steps = [
            OPEN,
            GO,
            "pick up seed jar | You move the seed jar to the inventory.",
            "go to outside | You move to the outside.",
            "pick up shovel | You move the shovel to the inventory.",
            "use shovel in inventory on ground | You dig a hole in the ground, and place the soil nearby.",
            "pick up soil | You move the soil to the inventory.",
            "go to greenhouse | You move to the greenhouse.",
            "move soil in inventory to flower pot 3 | You move the soil to the flower pot 3.",
            "move apple seed in seed jar to flower pot 3 | Ambiguous request: Please enter the number",
            "0 | You move the apple seed to the flower pot 3.",
            "focus on apple seed in flower pot 3 | You focus on the apple seed.",
            "activate sink | The sink is now activated.",
            "move jug to sink | You move the jug to the sink.",
            "pour jug into flower pot 3 | You pour the contents of the jug into the flower pot 3.",
            "deactivate sink | The sink is now deactivated.",
            "wait1 | You decide to wait for 1 iterations.",
            "wait1 | You decide to wait for 1 iterations.",
            "look around | This room is called the greenhouse.",
            "activate sink | The sink is now activated.",
            "move jug to sink | You move the jug to the sink.",
            "pour jug into flower pot 3 | You pour the contents of the jug into the flower pot 3.",
        ];
        let segments = [
            ("get the seed jar from the kitchen", 3),
            ("fill the flower pot 3 with soil", 6),
            ("plant the apple seed in the flower pot 3", 2),
            ("focus on the apple seed in the flower pot 3", 1),
            ("water the flower pot 3", 4),
            ("let the apple tree grow", 3),
            ("water the flower pot 3", 3),
        ];
        assert_eq!(cut(task, &steps), named(&segments));
    }

    #[test]
    fn a_product_is_made_of_what_the_recipe_says() {
        let task = "Your task is to use chemistry to create the substance 'soapy water'. A recipe and some of the ingredients might be found near the kitchen. When you are done, focus on the soapy water.";
        let steps = [
            OPEN,
            GO,
            "pick up metal pot | You move the metal pot to the inventory.",
            "pick up recipe | You move the recipe to the inventory.",
            "read recipe in inventory | The recipe reads:\nTo make soapy water, you need to mix soap, water.",
            "pick up soap | You move the soap to the inventory.",
            "move soap to metal pot | You move the soap to the metal pot.",
            "move metal pot to sink | You move the metal pot to the sink.",
            "activate sink | The sink is now activated.",
            "deactivate sink | The sink is now deactivated.",
            "pick up metal pot | You move the metal pot to the inventory.",
            "examine metal pot | a metal pot (containing a substance called soap, a substance called water)",
            "mix metal pot | Soap and water mix to produce soapy water.",
            "focus on soapy water | You focus on the soapy water.",
        ];
        let segments = [
            ("get the metal pot from the kitchen", 3),
            ("read the recipe for soapy water in the kitchen", 2),
            ("put the soap in the metal pot in the kitchen", 2),
            ("fill the metal pot with water in the kitchen", 4),
            ("make soapy water from soap, water in the kitchen", 3),
        ];
        assert_eq!(cut(task, &steps), named(&segments));
    }

    /// Waiting and watching go on for a while: the progress text counts, so that no prompt has two answers.
    #[test]
    fn progress_texts_tell_how_long_was_waited() {
        use stepladder_core::Observation;
        use stepladder_core::label::ProgressLabeller;

        let seen = Observation {
            feedback: "You decide to wait for 1 iterations.".to_owned(),
            context: "This room is called the workshop. In it, you see: \n\ta red light bulb, which is on\n"
                .to_owned(),
        };
        let note = |subtask: &str, previous: &str| {
            crate::ScienceWorldExpert.label(subtask, previous, "wait1", &seen).unwrap()
        };
        assert_eq!(note("let the apple tree grow", "None"), "waited 1");
        assert_eq!(note("let the apple tree grow", "waited 1"), "waited 2");
        let ring = "connect the foil to the red wire and the black wire and watch the red light bulb";
        assert_eq!(note(ring, "connected foil"), "red light bulb is on");
        assert_eq!(note(ring, "red light bulb is on"), "red light bulb is still on");
    }

    #[test]
    fn things_are_named_as_the_task_names_them() {
        let animal = "Your task is to find a(n) animal. First, focus on the thing. Then, move it to the red box in the kitchen.";
        let steps = [
            "go to outside | You move to the outside.",
            "focus on dove | You focus on the dove egg.",
            "pick up dove | You move the dove to the inventory.",
            GO,
            "move egg dove egg in inventory to red box | You move the dove to the red box.",
        ];
        let segments = [("find an animal outside", 2), ("put the dove in the red box in the kitchen", 3)];
        assert_eq!(cut(animal, &steps), named(&segments));
        let stages =
            "Your task is to focus on the 4 life stages of the turtle, starting from earliest to latest.";
        let steps = [
            "focus on egg turtle | You focus on the turtle egg.",
            "wait1 | You decide to wait for 1 iterations.",
            "focus on hatchling turtle | You focus on the hatchling turtle.",
        ];
        let segments = [
            ("focus on the egg stage of the turtle outside", 1),
            ("focus on the hatchling stage of the turtle outside", 2),
        ];
        assert_eq!(cut(stages, &steps), named(&segments));
    }

    #[test]
    fn what_achieves_nothing_is_part_of_what_was_before_or_a_way() {
        let look = "look around | This room is called the hallway.";
        assert_eq!(cut("", &[look]), named(&[("look around", 1)]));
        assert_eq!(cut("", &[look, OPEN, GO]), named(&[("go to the kitchen", 3)]));
        let moon = "focus on moon | You focus on the moon.";
        assert_eq!(cut("", &[moon, look]), named(&[("focus on the moon in the hallway", 2)]));
        assert_eq!(cut("", &[]), named(&[]));
    }
}
