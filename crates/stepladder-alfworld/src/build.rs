//! Compilation of a parsed PDDL problem into a game.

use rustc_hash::FxHashMap;

use crate::bits::BitMatrix;
use crate::chain;
use crate::dialect::Dialect;
use crate::error::{GameError, unsupported};
use crate::game::{Game, Location, Object, Receptacle};
use crate::goal::{Scope, Thing};
use crate::ids::{LocationId, Named, ObjectId, ReceptacleId};
use crate::list::CommandList;
use crate::problem::{Fact, Problem};
use crate::state::{Property, State};

/// Contents of a game file besides its PDDL problem.
pub(crate) struct Metadata {
    pub(crate) dialect: Dialect,
    pub(crate) task: String,
    pub(crate) family: String,
    pub(crate) walkthrough: Vec<String>,
    pub(crate) solvable: bool,
}

/// Compiles a problem.
pub(crate) fn game(problem: &Problem<'_>, metadata: Metadata) -> Result<Game, GameError> {
    let mut world = World::declare(problem)?;
    let mut state = world.empty_state();
    for fact in &problem.facts {
        world.add_fact(fact, &mut state)?;
    }
    for object in &mut world.objects {
        object.inside.sort_unstable();
        object.inside.dedup();
    }
    let start = world.start.ok_or_else(|| unsupported("no `atLocation` of the agent"))?;
    state.location = start;
    let World { things, declared, mut objects, mut receptacles, mut locations, can_contain, .. } = world;

    let accepts = accepted(&objects, &receptacles, &can_contain);
    let one_row = |property: fn(&Object) -> bool| {
        let mut row = BitMatrix::new(1, objects.len());
        objects.iter().enumerate().for_each(|(index, object)| row.set(0, index, property(object)));
        row
    };
    let (toggleable, pickupable) = (one_row(|object| object.toggleable), one_row(|object| object.pickupable));
    let names = rank_names(&mut objects, &mut receptacles);
    let goto = list_destinations(&receptacles, &mut locations);
    if !metadata.dialect.sinks_clean {
        // The facts mark sinks and sink basins alike; this rule set cleans at basins only.
        for receptacle in &mut receptacles {
            receptacle.cleans = receptacle.is_sink_basin;
        }
    }
    let mut game = Game {
        dialect: metadata.dialect,
        task: metadata.task,
        family: metadata.family,
        walkthrough: metadata.walkthrough,
        solvable: metadata.solvable,
        objects,
        receptacles,
        locations,
        accepts,
        toggleable,
        pickupable,
        goto,
        names,
        initial: state,
        goals: Vec::new(),
    };
    game.goals = chain::ground(&problem.goal, &mut Scope::new(&game, &things, &declared))?;
    chain::check_family(&mut game)?;
    Ok(game)
}

/// The declared world, filled fact by fact.
struct World<'a> {
    things: FxHashMap<&'a str, Thing>,
    /// The same names with their things, in order of declaration.
    declared: Vec<(&'a str, Thing)>,
    objects: Vec<Object>,
    receptacles: Vec<Receptacle>,
    locations: Vec<Location>,
    object_kinds: Vec<&'a str>,
    receptacle_kinds: Vec<&'a str>,
    /// (receptacle kind, object kind)
    can_contain: Vec<(u16, u16)>,
    start: Option<LocationId>,
}

impl<'a> World<'a> {
    /// Numbers and names all things. The original names only things that occur in a fact, so only those are numbered.
    fn declare(problem: &Problem<'a>) -> Result<Self, GameError> {
        if problem.objects.len() > usize::from(u16::MAX) {
            return Err(unsupported("more than 65535 objects"));
        }
        let mut things: FxHashMap<&str, Thing> = FxHashMap::default();
        things.reserve(problem.objects.len());
        for (index, &(name, _)) in problem.objects.iter().enumerate() {
            if things.insert(name, Thing::Unmentioned(index as u16)).is_some() {
                return Err(unsupported(format!("two declarations of `{name}`")));
            }
        }
        let mut mentioned = vec![false; problem.objects.len()];
        for fact in &problem.facts {
            for name in &fact.arguments[..fact.arity] {
                match things.get(name) {
                    Some(&Thing::Unmentioned(index)) => mentioned[usize::from(index)] = true,
                    _ => return Err(unsupported(format!("the undeclared name `{name}`"))),
                }
            }
        }
        let mut used: Vec<(&str, &str)> = problem
            .objects
            .iter()
            .zip(&mentioned)
            .filter_map(|(&object, &mentioned)| mentioned.then_some(object))
            .collect();
        used.sort_unstable();

        let mut counts: FxHashMap<(&str, bool), usize> = FxHashMap::default();
        for class in used.iter().filter_map(|(id, _)| class(id)) {
            *counts.entry(class).or_default() += 1;
        }
        let mut world = Self {
            things,
            declared: Vec::with_capacity(problem.objects.len()),
            objects: Vec::new(),
            receptacles: Vec::new(),
            locations: Vec::new(),
            object_kinds: Vec::new(),
            receptacle_kinds: Vec::new(),
            can_contain: Vec::new(),
            start: None,
        };
        let mut agents = 0;
        for (id, kind) in used {
            let name = class(id).map(|class| {
                // The original assigns the numbers of a class from the highest down.
                let number = counts.get_mut(&class).map_or(0, |left| std::mem::replace(left, *left - 1));
                format!("{}{} {number}", class.0, if class.1 { "basin" } else { "" })
            });
            let named = || name.ok_or_else(|| unsupported(format!("the name `{id}` without `_bar_`")));
            let thing = match kind {
                "object" => {
                    world.objects.push(Object { name: named()?, ..Object::default() });
                    Thing::Object(ObjectId(world.objects.len() as u16 - 1))
                }
                "receptacle" => {
                    world.receptacles.push(Receptacle { name: named()?, ..Receptacle::default() });
                    Thing::Receptacle(ReceptacleId(world.receptacles.len() as u16 - 1))
                }
                "location" => {
                    world.locations.push(Location { name: named()?, ..Location::default() });
                    Thing::Location(LocationId(world.locations.len() as u16 - 1))
                }
                "otype" => {
                    world.object_kinds.push(id);
                    Thing::ObjectKind(world.object_kinds.len() as u16 - 1)
                }
                "rtype" => {
                    world.receptacle_kinds.push(id);
                    Thing::ReceptacleKind(world.receptacle_kinds.len() as u16 - 1)
                }
                "agent" => {
                    agents += 1;
                    Thing::Agent
                }
                _ => return Err(unsupported(format!("the type `{kind}`"))),
            };
            world.things.insert(id, thing);
        }
        if agents != 1 {
            return Err(unsupported(format!("{agents} agents instead of one")));
        }
        world.declared = problem.objects.iter().map(|&(id, kind)| (kind, world.things[id])).collect();
        Ok(world)
    }

    fn empty_state(&self) -> State {
        let (objects, receptacles) = (self.objects.len(), self.receptacles.len());
        State {
            location: LocationId(0),
            holds: None,
            opened: BitMatrix::new(1, receptacles),
            properties: BitMatrix::new(Property::COUNT, objects),
            contents: BitMatrix::new(receptacles, objects),
            taken: BitMatrix::new(receptacles, objects),
            lying: BitMatrix::new(self.locations.len(), objects),
            reached: 0,
        }
    }

    fn add_fact(&mut self, fact: &Fact<'a>, state: &mut State) -> Result<(), GameError> {
        use Thing as T;
        let things = [0, 1].map(|index| self.things.get(fact.arguments[index]).copied());
        match (fact.predicate, things[0], things[1]) {
            ("objecttype", Some(T::Object(object)), Some(T::ObjectKind(kind))) => {
                let name = self.object_kinds[usize::from(kind)];
                let object = &mut self.objects[object.index()];
                object.kinds.push(kind);
                object.cuts |= matches!(name, "knifetype" | "butterknifetype");
            }
            ("receptacletype", Some(T::Receptacle(receptacle)), Some(T::ReceptacleKind(kind))) => {
                let name = self.receptacle_kinds[usize::from(kind)];
                let receptacle = &mut self.receptacles[receptacle.index()];
                receptacle.kinds.push(kind);
                receptacle.is_sink_basin |= name == "sinkbasintype";
                receptacle.cleans |= matches!(name, "sinktype" | "sinkbasintype");
                receptacle.heats |= name == "microwavetype";
                receptacle.cools |= name == "fridgetype";
            }
            ("cancontain", Some(T::ReceptacleKind(outer)), Some(T::ObjectKind(inner))) => {
                self.can_contain.push((outer, inner));
            }
            ("receptacleatlocation", Some(T::Receptacle(receptacle)), Some(T::Location(location))) => {
                let place = &mut self.receptacles[receptacle.index()].location;
                if place.is_some_and(|place| place != location) {
                    return Err(unsupported(format!("`{}` at two places", fact.arguments[0])));
                }
                if place.replace(location).is_none() {
                    self.locations[location.index()].receptacles.push(receptacle);
                }
            }
            ("atlocation", Some(T::Agent), Some(T::Location(location))) => {
                if self.start.replace(location).is_some() {
                    return Err(unsupported("two places of the agent"));
                }
            }
            ("objectatlocation", Some(T::Object(object)), Some(T::Location(location))) => {
                state.lying.set(location.index(), object.index(), true);
            }
            ("inreceptacle", Some(T::Object(object)), Some(T::Receptacle(receptacle))) => {
                state.contents.set(receptacle.index(), object.index(), true);
            }
            ("inreceptacleobject", Some(T::Object(inner)), Some(T::Object(outer))) => {
                // Some official games put a pan into itself; the original never lists a thing inside itself.
                if inner != outer {
                    self.objects[outer.index()].inside.push(inner);
                }
            }
            ("openable", Some(T::Receptacle(receptacle)), None) => {
                self.receptacles[receptacle.index()].openable = true;
            }
            ("opened", Some(T::Receptacle(receptacle)), None) => {
                state.opened.set(0, receptacle.index(), true);
            }
            (predicate, Some(T::Object(object)), None) => {
                self.tell_object(predicate, object, state)?;
            }
            // Predicates of the domain without effect on the game.
            ("checked" | "examined" | "full" | "wasinreceptacle", ..) => {}
            (predicate, ..) => {
                return Err(unsupported(format!("the initial fact `{predicate}` of an unknown kind")));
            }
        }
        Ok(())
    }

    fn tell_object(&mut self, predicate: &str, object: ObjectId, state: &mut State) -> Result<(), GameError> {
        let facts = &mut self.objects[object.index()];
        match predicate {
            "pickupable" => facts.pickupable = true,
            "cleanable" => facts.cleanable = true,
            "heatable" => facts.heatable = true,
            "coolable" => facts.coolable = true,
            "toggleable" => facts.toggleable = true,
            "sliceable" => facts.sliceable = true,
            "isreceptacleobject" => facts.holds_objects = true,
            "moveable" | "ison" | "isreceptacleobjectfull" => {}
            _ => match Property::of_predicate(predicate) {
                Some(property) => state.properties.set(property as usize, object.index(), true),
                None => {
                    return Err(unsupported(format!("the initial fact `{predicate}` of an unknown kind")));
                }
            },
        }
        Ok(())
    }
}

/// Splits a PDDL id into its class, the part before `_bar_`, and whether it names a basin. `None` without `_bar_`.
fn class(id: &str) -> Option<(&str, bool)> {
    id.split_once("_bar_").map(|(class, _)| (class, id.contains("basin")))
}

/// Returns (receptacle, object) for every pair whose kinds are compatible.
fn accepted(objects: &[Object], receptacles: &[Receptacle], can_contain: &[(u16, u16)]) -> BitMatrix {
    let mut accepts = BitMatrix::new(receptacles.len(), objects.len());
    let mut by_kind: FxHashMap<u16, Vec<usize>> = FxHashMap::default();
    for (index, object) in objects.iter().enumerate() {
        for &kind in &object.kinds {
            by_kind.entry(kind).or_default().push(index);
        }
    }
    for (row, receptacle) in receptacles.iter().enumerate() {
        for (outer, inner) in can_contain {
            if receptacle.kinds.contains(outer) {
                by_kind.get(inner).into_iter().flatten().for_each(|&object| accepts.set(row, object, true));
            }
        }
    }
    accepts
}

/// Ranks objects and receptacles by name and indexes them by name.
fn rank_names(objects: &mut [Object], receptacles: &mut [Receptacle]) -> FxHashMap<String, Named> {
    let mut order: Vec<(&str, Named)> = Vec::with_capacity(objects.len() + receptacles.len());
    let number = |index: usize| index as u16;
    order.extend(objects.iter().enumerate().map(|(i, o)| (&*o.name, Named::Object(ObjectId(number(i))))));
    order.extend(
        receptacles.iter().enumerate().map(|(i, r)| (&*r.name, Named::Receptacle(ReceptacleId(number(i))))),
    );
    order.sort_unstable_by_key(|(name, _)| *name);
    let names = order.iter().map(|&(name, named)| (name.to_owned(), named)).collect();
    let ranked: Vec<Named> = order.into_iter().map(|(_, named)| named).collect();
    for (rank, named) in ranked.into_iter().enumerate() {
        match named {
            Named::Object(object) => objects[object.index()].rank = number(rank),
            Named::Receptacle(receptacle) => receptacles[receptacle.index()].rank = number(rank),
        }
    }
    names
}

/// Renders every `go to` command once, sorted, and records the commands of each location, which are inadmissible there.
fn list_destinations(receptacles: &[Receptacle], locations: &mut [Location]) -> CommandList {
    for location in &mut *locations {
        location.receptacles.sort_unstable();
        location.receptacles_by_name = location.receptacles.clone();
        location.receptacles_by_name.sort_unstable_by_key(|receptacle| receptacles[receptacle.index()].rank);
    }
    let mut sorted: Vec<&Receptacle> = receptacles.iter().filter(|r| r.location.is_some()).collect();
    sorted.sort_unstable_by_key(|receptacle| receptacle.rank);
    let mut goto = CommandList::new();
    for receptacle in sorted {
        if let Some(location) = receptacle.location {
            locations[location.index()].goto.push(goto.len());
        }
        goto.push(&["go to ", &receptacle.name]);
    }
    goto
}
