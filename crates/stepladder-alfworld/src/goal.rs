//! Goals: any combination of `exists`, `and`, `or`, `not` and `=` over the atoms of the domain.
//!
//! A goal is grounded when its game is loaded: variables are replaced by the things they range over, constant facts are
//! evaluated, and a small formula over the changing facts remains.

use rustc_hash::FxHashMap;

use crate::error::{GameError, unsupported};
use crate::formula::{Atom, Formula};
use crate::game::Game;
use crate::ids::{LocationId, ObjectId, ReceptacleId};
use crate::problem::{Node, SEQUENCE};
use crate::state::Property;

/// Referent of a PDDL name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thing {
    Agent,
    Location(LocationId),
    Receptacle(ReceptacleId),
    Object(ObjectId),
    ReceptacleKind(u16),
    ObjectKind(u16),
    /// Declared, but in no fact.
    Unmentioned(u16),
}

/// Collects the operands of an `and` (`unit` = true) or an `or` (`unit` = false) that are not constant.
struct Parts {
    unit: bool,
    parts: Vec<Formula>,
    decided: bool,
}

impl Parts {
    fn new(unit: bool) -> Self {
        Self { unit, parts: Vec::new(), decided: false }
    }

    fn add(&mut self, part: Formula) {
        match (part, self.unit) {
            (Formula::True, true) | (Formula::False, false) => {}
            (Formula::True, false) | (Formula::False, true) => self.decided = true,
            (Formula::All(inner), true) | (Formula::Any(inner), false) => self.parts.extend(inner),
            (other, _) => self.parts.push(other),
        }
    }

    fn finish(mut self) -> Formula {
        match (self.decided, self.parts.len()) {
            (true, _) => Formula::known(!self.unit),
            (false, 0) => Formula::known(self.unit),
            (false, 1) => self.parts.remove(0),
            (false, _) if self.unit => Formula::All(self.parts),
            (false, _) => Formula::Any(self.parts),
        }
    }
}

/// Meaning of the names in a goal.
pub(crate) struct Scope<'a> {
    game: &'a Game,
    things: &'a FxHashMap<&'a str, Thing>,
    declared: &'a [(&'a str, Thing)],
    /// Variables bound so far, innermost last.
    bound: Vec<(&'a str, Thing)>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(
        game: &'a Game,
        things: &'a FxHashMap<&'a str, Thing>,
        declared: &'a [(&'a str, Thing)],
    ) -> Self {
        Self { game, things, declared, bound: Vec::new() }
    }

    /// Grounds a goal.
    pub(crate) fn ground(&mut self, node: &'a Node<'a>) -> Result<Formula, GameError> {
        let (head, rest) = split(node)?;
        match head {
            "and" | "or" => {
                let mut parts = Parts::new(head == "and");
                for part in rest {
                    parts.add(self.ground(part)?);
                }
                Ok(parts.finish())
            }
            "not" => match rest {
                [inner] => Ok(self.ground(inner)?.not()),
                _ => Err(unsupported("a `not` in the goal that has not exactly one part")),
            },
            "exists" => match rest {
                [Node::List(variables), body] => self.exists(&typed(variables)?, body),
                _ => Err(unsupported("an `exists` in the goal without variables and body")),
            },
            SEQUENCE => Err(unsupported("a `sequence` inside of a goal")),
            _ => self.atom(head, rest),
        }
    }

    fn exists(&mut self, variables: &[(&'a str, &'a str)], body: &'a Node<'a>) -> Result<Formula, GameError> {
        let Some((&(variable, kind), rest)) = variables.split_first() else {
            return self.ground(body);
        };
        let mut parts = Parts::new(false);
        let declared = self.declared;
        // Types without a supertype are subtypes of `object`, so `- object` ranges over all things.
        for &(_, thing) in declared.iter().filter(|(declared, _)| kind == "object" || *declared == kind) {
            self.bound.push((variable, thing));
            if self.possible(body)? {
                parts.add(self.exists(rest, body)?);
            }
            self.bound.pop();
        }
        Ok(parts.finish())
    }

    /// Returns false if a required operand is already known to be false. Descends through `and` and `exists` to
    /// operands whose variables are all bound, so that hopeless bindings are rejected before further variables are
    /// tried.
    fn possible(&mut self, node: &'a Node<'a>) -> Result<bool, GameError> {
        let (head, rest) = split(node)?;
        Ok(match (head, rest) {
            ("and", parts) => {
                for part in parts {
                    if !self.possible(part)? {
                        return Ok(false);
                    }
                }
                true
            }
            ("exists", [Node::List(variables), body]) => {
                let shadows = typed(variables)?
                    .iter()
                    .any(|(inner, _)| self.bound.iter().any(|(outer, _)| outer == inner));
                shadows || self.possible(body)?
            }
            ("or" | "not" | "exists", _) => true,
            (_, arguments) if arguments.iter().any(|argument| self.is_open(argument)) => true,
            (predicate, arguments) => self.atom(predicate, arguments)? != Formula::False,
        })
    }

    fn is_open(&self, node: &Node<'_>) -> bool {
        matches!(node, Node::Symbol(name)
            if name.starts_with('?') && !self.bound.iter().any(|(variable, _)| variable == name))
    }

    fn thing(&self, node: &Node<'_>) -> Result<Thing, GameError> {
        let Node::Symbol(name) = node else {
            return Err(unsupported("an expression in the goal where a name belongs"));
        };
        let bound = self.bound.iter().rev().find(|(variable, _)| variable == name).map(|(_, thing)| *thing);
        bound
            .or_else(|| self.things.get(name).copied())
            .ok_or_else(|| unsupported(format!("the undeclared name `{name}` in the goal")))
    }

    fn atom(&self, predicate: &str, arguments: &[Node<'_>]) -> Result<Formula, GameError> {
        let fixed = |value| Ok(Formula::known(value));
        let changing = |atom| Ok(Formula::Atom(atom));
        match arguments {
            [first] => match (predicate, self.thing(first)?) {
                ("pickupable", Thing::Object(o)) => fixed(self.game.objects[o.index()].pickupable),
                ("cleanable", Thing::Object(o)) => fixed(self.game.objects[o.index()].cleanable),
                ("heatable", Thing::Object(o)) => fixed(self.game.objects[o.index()].heatable),
                ("coolable", Thing::Object(o)) => fixed(self.game.objects[o.index()].coolable),
                ("toggleable", Thing::Object(o)) => fixed(self.game.objects[o.index()].toggleable),
                ("sliceable", Thing::Object(o)) => fixed(self.game.objects[o.index()].sliceable),
                ("isreceptacleobject", Thing::Object(o)) => fixed(self.game.objects[o.index()].holds_objects),
                ("openable", Thing::Receptacle(r)) => fixed(self.game.receptacles[r.index()].openable),
                ("opened", Thing::Receptacle(r)) => changing(Atom::Opened(r)),
                ("holdsany", Thing::Agent) => changing(Atom::HoldsAny),
                (name, thing) => match (Property::of_predicate(name), thing) {
                    (Some(property), Thing::Object(o)) => changing(Atom::Is(property, o)),
                    (Some(_), _) => fixed(false),
                    (None, _) if KNOWN_UNARY.contains(&name) => fixed(false),
                    (None, _) => Err(unsupported(format!("the goal condition `{name}`"))),
                },
            },
            [first, second] => match (predicate, self.thing(first)?, self.thing(second)?) {
                ("=", first, second) => fixed(first == second),
                ("objecttype", Thing::Object(o), Thing::ObjectKind(kind)) => {
                    fixed(self.game.objects[o.index()].kinds.contains(&kind))
                }
                ("receptacletype", Thing::Receptacle(r), Thing::ReceptacleKind(kind)) => {
                    fixed(self.game.receptacles[r.index()].kinds.contains(&kind))
                }
                ("receptacleatlocation", Thing::Receptacle(r), Thing::Location(l)) => {
                    fixed(self.game.receptacles[r.index()].location == Some(l))
                }
                ("inreceptacleobject", Thing::Object(inner), Thing::Object(outer)) => {
                    fixed(self.game.objects[outer.index()].inside.contains(&inner))
                }
                ("inreceptacle", Thing::Object(o), Thing::Receptacle(r)) => changing(Atom::In(o, r)),
                ("objectatlocation", Thing::Object(o), Thing::Location(l)) => changing(Atom::ObjectAt(o, l)),
                ("atlocation", Thing::Agent, Thing::Location(l)) => changing(Atom::AgentAt(l)),
                ("holds", Thing::Agent, Thing::Object(o)) => changing(Atom::Holds(o)),
                (name, ..) if KNOWN_BINARY.contains(&name) => fixed(false),
                (name, ..) => Err(unsupported(format!("the goal condition `{name}`"))),
            },
            _ => Err(unsupported(format!("the goal condition `{predicate}` with {} names", arguments.len()))),
        }
    }
}

/// Conditions that hold only for the things matched in [`Scope::atom`].
const KNOWN_UNARY: [&str; 10] = [
    "pickupable",
    "cleanable",
    "heatable",
    "coolable",
    "toggleable",
    "sliceable",
    "isreceptacleobject",
    "openable",
    "opened",
    "holdsany",
];
const KNOWN_BINARY: [&str; 8] = [
    "objecttype",
    "receptacletype",
    "receptacleatlocation",
    "inreceptacleobject",
    "inreceptacle",
    "objectatlocation",
    "atlocation",
    "holds",
];

pub(crate) fn split<'n, 'a>(node: &'n Node<'a>) -> Result<(&'a str, &'n [Node<'a>]), GameError> {
    match node {
        Node::List(items) => match items.split_first() {
            Some((Node::Symbol(head), rest)) => Ok((head, rest)),
            // `()` is PDDL's empty conjunction.
            None => Ok(("and", &[])),
            Some((Node::List(_), _)) => Err(unsupported("a goal expression without an operator")),
        },
        Node::Symbol(name) => Err(unsupported(format!("the bare name `{name}` as a goal condition"))),
    }
}

/// Parses `?a ?b - type ?c - type`.
fn typed<'a>(items: &[Node<'a>]) -> Result<Vec<(&'a str, &'a str)>, GameError> {
    let mut variables: Vec<(&str, &str)> = Vec::new();
    let (mut done, mut index) = (0, 0);
    while let Some(item) = items.get(index) {
        match item {
            Node::Symbol("-") => {
                let Some(Node::Symbol(kind)) = items.get(index + 1) else {
                    return Err(unsupported("a variable list in the goal without a type after `-`"));
                };
                variables[done..].iter_mut().for_each(|variable| variable.1 = kind);
                done = variables.len();
                index += 2;
            }
            Node::Symbol(name) if name.starts_with('?') => {
                variables.push((name, "object"));
                index += 1;
            }
            _ => return Err(unsupported("a variable list in the goal that holds something else")),
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::testing::kitchen;

    /// Returns whether a goal is reached at the start, after taking the mug, and after putting it on the shelf.
    fn reached(goal: &str) -> Result<[bool; 3], GameError> {
        let mut engine = Engine::new(kitchen(goal)?);
        let mut seen = [engine.won(); 3];
        let mut text = String::new();
        engine.step("go to cabinet 1", &mut text);
        engine.step("open cabinet 1", &mut text);
        seen[1] = engine.step("take mug 2 from cabinet 1", &mut text).won;
        engine.step("go to shelf 1", &mut text);
        seen[2] = engine.step("move mug 2 to shelf 1", &mut text).won;
        assert!(text.ends_with("You move the mug 2 to the shelf 1."), "{text}");
        Ok(seen)
    }

    #[test]
    fn any_combination_of_operators_is_evaluated() {
        let shelf = "(receptacleType ?r ShelfType)";
        for (goal, expected) in [
            ("(and)".to_owned(), [true, true, true]),
            ("()".to_owned(), [true, true, true]),
            ("(or)".to_owned(), [false, false, false]),
            ("(exists (?a - agent) (holdsAny ?a))".to_owned(), [false, true, false]),
            ("(not (exists (?a - agent) (holdsAny ?a)))".to_owned(), [true, false, true]),
            (
                format!(
                    "(exists (?r - receptacle ?o - object) (and (inReceptacle ?o ?r) {shelf} (objectType ?o MugType)))"
                ),
                [false, false, true],
            ),
            (
                // Two different objects, mug or bread, on one shelf: the bread is there already.
                {
                    let fits = |x| {
                        format!(
                            "(inReceptacle {x} ?r) (or (objectType {x} MugType) (objectType {x} BreadType))"
                        )
                    };
                    format!(
                        "(exists (?r - receptacle) (exists (?x - object) (and {shelf} {} \
                         (exists (?y - object) (and (not (= ?x ?y)) {})))))",
                        fits("?x"),
                        fits("?y"),
                    )
                },
                [false, false, true],
            ),
            (
                "(exists (?l - location) (and (atLocation agent1 ?l) (objectAtLocation mug_bar_1 ?l)))"
                    .to_owned(),
                [false, false, true],
            ),
            ("(or (opened cabinet_bar_1) (holds agent1 mug_bar_1))".to_owned(), [false, true, true]),
            // An inner variable shadows an outer one of the same name.
            (
                "(exists (?o - object) (and (sliceable ?o) (exists (?o - object) (holds agent1 ?o))))"
                    .to_owned(),
                [false, true, false],
            ),
            // `object` has no supertype but is a type itself: it ranges over things of every type.
            ("(exists (?o - object) (and (= ?o cabinet_bar_1) (opened ?o)))".to_owned(), [false, true, true]),
            // Declared, but in no fact: no predicate holds for it, yet it exists.
            ("(exists (?o - object) (and (= ?o ghost) (not (isClean ?o))))".to_owned(), [true, true, true]),
        ] {
            assert_eq!(reached(&goal).unwrap(), expected, "{goal}");
        }
    }

    #[test]
    fn what_is_not_supported_is_said() {
        for (goal, expected) in [
            ("(forall (?o - object) (isClean ?o))", "an expression in the goal where a name belongs"),
            ("(frobnicates mug_bar_1)", "the goal condition `frobnicates`"),
            ("(inReceptacle mug_bar_1 nowhere)", "the undeclared name `nowhere`"),
            ("(not)", "a `not` in the goal"),
            ("(exists mug_bar_1)", "an `exists` in the goal"),
            ("(exists (mug_bar_1) (and))", "a variable list"),
            ("((and))", "without an operator"),
        ] {
            let error = reached(goal).unwrap_err().to_string();
            assert!(error.contains("which the engine does not support"), "{goal}: {error}");
            assert!(error.contains(expected), "{goal}: {error}");
        }
    }
}
