//! `power-component`, `power-component-renewable-vs-nonrenewable-energy`: light a bulb. Also the subtasks for
//! building a circuit, which the conductivity tests share.
//!
//! | subtask | actions |
//! |---|---|
//! | `focus on the LAMP in the workshop`, or if it is not there `focus on the LAMP` | walk, focus |
//! | `collect the SOURCE, the LAMP, the WIRE and the WIRE` | pick up each (a source that works only outside) |
//! | `take the THING to the ROOM` | pick up, walk, drop |
//! | `open the JAR to reach the THING` | one: things in a closed jar cannot be named |
//! | `connect the PART to the PART with the WIRE` | one end of the wire, the other end |
//! | `connect the PART to the PART with the WIRE and watch the LAMP` | the same, start a generator that is off, wait |
//!
//! Every part has an input and an output (cathode and anode, or terminals 1 and 2); a circuit is a ring of
//! parts, closed by the last subtask. Connections are not visible: the order of the subtasks determines what
//! is connected, and within a subtask the progress text does (`connected battery anode`). Wires are used in
//! the order in which they are listed.

use super::super::plan::{Act, PlannerInput, TaskFamily};
use super::super::{common, map, progress};
use crate::view::{Scene, Thing};

pub(super) struct Circuit;

/// Room of the parts.
pub(super) const WORKSHOP: &str = "workshop";
pub(super) const BATTERY: &str = "battery";
const OUTSIDE: &str = "outside";

/// Sources that work outside only, and sources that consume fuel.
const RENEWABLE: [&str; 2] = ["solar panel", "wind generator"];
const NONRENEWABLE: [&str; 2] = ["gas generator", "nuclear generator"];

/// Parses `lamp` and the acceptable sources of the task text.
pub(super) fn goal(task: &str) -> Option<(&str, &'static [&'static str])> {
    if !task.contains("create an electrical circuit") {
        return None;
    }
    let (_, rest) = task.split_once("turn on the ")?;
    let (wanted, _) = rest.split_once('.')?;
    Some(match wanted.split_once(" by powering it using a ") {
        Some((lamp, kind)) if kind.starts_with("renewable") => (lamp, &RENEWABLE),
        Some((lamp, _)) => (lamp, &NONRENEWABLE),
        None => (wanted, &[BATTERY]),
    })
}

impl TaskFamily for Circuit {
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String> {
        let (lamp, sources) = goal(plan.task)?;
        let focus = common::focus(lamp, Some(WORKSHOP));
        let anywhere = common::focus(lamp, None);
        let Some(last) = plan.last() else { return Some(focus) };
        if plan.failed() && last == focus {
            return Some(anywhere);
        }
        if plan.failed() {
            return Some(last.to_owned());
        }
        let connect = || {
            let source = seen(plan.scene, |thing| sources.contains(&thing.name.as_str()))?;
            Some(Link { from: source, to: lamp, wire: wire(plan)?, watch: None }.text())
        };
        Some(match Subtask::parse(last) {
            Some(Subtask::Connect(link)) => match link.watch {
                // If the lamp is dark, the subtask is repeated.
                Some(_) => last.to_owned(),
                None => {
                    let wire = wire(plan).unwrap_or(link.wire);
                    Link { from: link.to, to: link.from, wire, watch: Some(lamp) }.text()
                }
            },
            Some(Subtask::Collect(things)) => take(things.first()?, OUTSIDE),
            Some(Subtask::Take { room: WORKSHOP, .. }) if *sources == RENEWABLE => {
                collect(lamp, plan.scene).unwrap_or(focus)
            }
            Some(Subtask::Take { .. }) => connect().unwrap_or(focus),
            Some(Subtask::Open(_)) => focus,
            None if last == anywhere => take(lamp, WORKSHOP),
            None if last == focus && *sources == RENEWABLE => collect(lamp, plan.scene).unwrap_or(focus),
            None if last == focus => connect().unwrap_or(focus),
            None => focus,
        })
    }

    fn act(&self, subtask: &str, scene: &Scene, progress: &str) -> Option<Act> {
        Some(match Subtask::parse(subtask)? {
            Subtask::Collect(things) => gather(&things, scene),
            Subtask::Take { thing, room } => carry(thing, room, scene, progress),
            Subtask::Connect(link) => link.act(scene, progress),
            Subtask::Open(jar) => Act::last(format!("open {jar}")),
        })
    }

    fn note(&self, subtask: &str, previous: &str, action: &str, scene: &Scene) -> Option<String> {
        let Some(parsed) = Subtask::parse(subtask) else {
            // Subtask of an episode that was segmented from a gold path: it connects both wires of a part.
            let (_, lamp) = subtask.strip_prefix("connect the ")?.rsplit_once(" and watch the ")?;
            let seen = action.starts_with("wait") || action == "look around";
            let now = watched(lamp, scene).filter(|_| seen)?;
            // Such episodes look twice.
            return Some(if previous == now { now.replace(" is ", " is still ") } else { now });
        };
        let link = match parsed {
            Subtask::Connect(link) => link,
            Subtask::Take { .. } => {
                return action.strip_prefix("drop ").map(|thing| format!("dropped {thing}"));
            }
            Subtask::Collect(_) | Subtask::Open(_) => return None,
        };
        if let Some((end, _)) = action.strip_prefix("connect ").and_then(|ends| ends.split_once(" to ")) {
            let failed = progress::refused(&scene.feedback);
            return Some(if failed {
                format!("failed to connect {end}")
            } else {
                format!("connected {end}")
            });
        }
        let lamp = link.watch.filter(|_| action.starts_with("wait"))?;
        watched(lamp, scene)
    }
}

/// Returns the state of a lamp as progress text.
fn watched(lamp: &str, scene: &Scene) -> Option<String> {
    let on = part(lamp, scene)?.is_on();
    Some(format!("{lamp} is {}", if on { "on" } else { "off" }))
}

/// Parsed subtask of this module.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subtask<'a> {
    Collect(Vec<&'a str>),
    Take { thing: &'a str, room: &'a str },
    Connect(Link<'a>),
    Open(&'a str),
}

impl<'a> Subtask<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if let Some(list) = text.strip_prefix("collect the ") {
            let things: Vec<&str> = list.split(", the ").flat_map(|names| names.split(" and the ")).collect();
            return things.last()?.ends_with(" wire").then_some(Self::Collect(things));
        }
        if let Some(rest) = text.strip_prefix("take the ") {
            let (thing, room) = rest.rsplit_once(" to the ")?;
            return map::known(room).then_some(Self::Take { thing, room });
        }
        if let Some(rest) = text.strip_prefix("open the ") {
            return rest.split_once(" to reach the ").map(|(jar, _)| Self::Open(jar));
        }
        let (from, rest) = text.strip_prefix("connect the ")?.split_once(" to the ")?;
        let (to, rest) = rest.split_once(" with the ")?;
        let (wire, watch) =
            rest.split_once(" and watch the ").map_or((rest, None), |(wire, lamp)| (wire, Some(lamp)));
        Some(Self::Connect(Link { from, to, wire, watch }))
    }
}

pub(super) fn open(jar: &str, thing: &str) -> String {
    format!("open the {jar} to reach the {thing}")
}

pub(super) fn take(thing: &str, room: &str) -> String {
    format!("take the {thing} to the {room}")
}

/// Wire between two parts of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) wire: &'a str,
    /// Lamp that shows whether a current flows, in the link that closes the ring.
    pub(super) watch: Option<&'a str>,
}

/// Parts with an anode and a cathode; all other things have terminals 1 and 2.
const POLARISED: [&str; 6] = [BATTERY, "bulb", "panel", "generator", "motor", "buzzer"];

fn ends(part: &str) -> (&'static str, &'static str) {
    let polarised = part.rsplit(' ').next().is_some_and(|word| POLARISED.contains(&word));
    if polarised { ("cathode", "anode") } else { ("terminal 1", "terminal 2") }
}

impl Link<'_> {
    pub(super) fn text(&self) -> String {
        let Self { from, to, wire, watch } = self;
        let watch = watch.map(|lamp| format!(" and watch the {lamp}")).unwrap_or_default();
        format!("connect the {from} to the {to} with the {wire}{watch}")
    }

    fn act(&self, scene: &Scene, progress: &str) -> Act {
        let Self { from, to, wire, watch } = self;
        if part(from, scene).is_none() && part(wire, scene).is_none() {
            return map::towards(WORKSHOP, scene).unwrap_or_else(|| Act::last("look around"));
        }
        // A refused end is most often connected already.
        let tried =
            progress.strip_prefix("connected ").or_else(|| progress.strip_prefix("failed to connect "));
        let tail = format!("{wire} terminal 2");
        if tried == Some(tail.as_str()) || tried.is_none() && progress.contains("activate") {
            return match part(to, scene) {
                Some(source)
                    if source.state == "off"
                        && NONRENEWABLE.contains(to)
                        && !progress.contains("activate") =>
                {
                    Act::then(format!("activate {to}"))
                }
                _ => Act::last("wait1"),
            };
        }
        if tried.is_some_and(|end| end.starts_with(from)) {
            let action = format!("connect {tail} to {to} {}", ends(to).0);
            return Act { action, finished: watch.is_none() };
        }
        Act::then(format!("connect {from} {} to {wire} terminal 1", ends(from).1))
    }
}

/// Finds a visible or carried thing.
fn part<'a>(name: &str, scene: &'a Scene) -> Option<&'a Thing> {
    scene
        .visible()
        .into_iter()
        .chain(scene.carried())
        .map(|(thing, _)| thing)
        .find(|thing| thing.is_called(name))
}

/// Returns the name of the first visible or carried thing for which `holds` is true.
pub(super) fn seen(scene: &Scene, holds: impl Fn(&Thing) -> bool) -> Option<&str> {
    let all = scene.visible().into_iter().chain(scene.carried());
    all.map(|(thing, _)| thing).find(|thing| holds(thing)).map(|thing| thing.name.as_str())
}

/// Returns the first wire that no subtask has named.
pub(super) fn wire<'a>(plan: &PlannerInput<'a>) -> Option<&'a str> {
    let used = |wire: &str| {
        let named = format!(" with the {wire}");
        plan.earlier.iter().any(|subtask| subtask.contains(&named))
    };
    seen(plan.scene, |thing| thing.name.ends_with(" wire") && !used(&thing.name))
}

/// Returns the subtask of collecting what is needed outside: a source, the lamp and the first two wires.
fn collect(lamp: &str, scene: &Scene) -> Option<String> {
    let source = seen(scene, |thing| RENEWABLE.contains(&thing.name.as_str()))?;
    let first = seen(scene, |thing| thing.name.ends_with(" wire"))?;
    let second = seen(scene, |thing| thing.name.ends_with(" wire") && thing.name != first)?;
    Some(format!("collect the {source}, the {lamp}, the {first} and the {second}"))
}

fn gather(things: &[&str], scene: &Scene) -> Act {
    let mut missing = things.iter().filter(|thing| scene.held(thing).is_none());
    let Some(next) = missing.next() else { return Act::last("look around") };
    if scene.find(next).is_none()
        && let Some(act) = map::towards(WORKSHOP, scene)
    {
        return act;
    }
    Act { action: format!("pick up {next}"), finished: missing.next().is_none() }
}

/// Carries a thing to a room. A thing that cannot be picked up, such as a liquid, is carried in its
/// container.
fn carry(thing: &str, room: &str, scene: &Scene, progress: &str) -> Act {
    let around =
        scene.carried().into_iter().find(|(inner, _)| inner.is_called(thing)).map(|(_, around)| around);
    if let Some(around) = around {
        let held = around.map_or(thing, |around| around.name.as_str());
        return map::towards(room, scene).unwrap_or_else(|| Act::last(format!("drop {held}")));
    }
    match scene.find(thing) {
        Some(_) if scene.room == room => Act::last("look around"),
        Some(_) if progress::failed(progress) => {
            Act::then(format!("pick up {}", scene.around(thing).map_or(thing, |around| &around.name)))
        }
        Some(_) => Act::then(format!("pick up {thing}")),
        None => map::towards(room, scene).unwrap_or_else(|| Act::last("look around")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Scene;
    use stepladder_core::Observation;

    const RING: &str =
        "connect the red light bulb to the gas generator with the blue wire and watch the red light bulb";

    fn scene(context: &str) -> Scene {
        Scene::read(&Observation { feedback: String::new(), context: context.into() })
    }

    #[test]
    fn texts_are_read_back() {
        let ring = Link {
            from: "red light bulb",
            to: "gas generator",
            wire: "blue wire",
            watch: Some("red light bulb"),
        };
        assert_eq!(ring.text(), RING);
        assert_eq!(Subtask::parse(RING), Some(Subtask::Connect(ring)));
        let things = vec!["solar panel", "red light bulb", "black wire", "blue wire"];
        let text = "collect the solar panel, the red light bulb, the black wire and the blue wire";
        assert_eq!(Subtask::parse(text), Some(Subtask::Collect(things)));
        assert_eq!(Subtask::parse("take the dove to the moon"), None);
        assert_eq!(Subtask::parse(&open("glass jar", "salt")), Some(Subtask::Open("glass jar")));
    }

    #[test]
    fn a_task_names_its_lamp_and_its_kind_of_source() {
        let tail =
            "First, focus on the red light bulb. Then, create an electrical circuit that powers it on.";
        for (head, sources) in [
            ("", &[BATTERY][..]),
            (" by powering it using a renewable power source", &RENEWABLE),
            (" by powering it using a nonrenewable power source", &NONRENEWABLE),
        ] {
            let task = format!("Your task is to turn on the red light bulb{head}. {tail}");
            assert_eq!(goal(&task), Some(("red light bulb", sources)));
        }
        assert_eq!(goal("Your task is to turn on the stove."), None);
    }

    #[test]
    fn a_ring_is_closed_before_its_generator_is_started() {
        let room = |state: &str| {
            scene(&format!(
                "This room is called the workshop. In it, you see: \n\ta gas generator, which is {state}\n\ta table. On the table is: a blue wire, a red light bulb, which is off.\n"
            ))
        };
        let action = |state: &str, progress: &str| Circuit.act(RING, &room(state), progress).unwrap();
        assert_eq!(action("off", "None"), Act::then("connect red light bulb anode to blue wire terminal 1"));
        let second = action("off", "connected red light bulb anode");
        assert_eq!(second, Act::then("connect blue wire terminal 2 to gas generator cathode"));
        assert_eq!(action("off", "connected blue wire terminal 2"), Act::then("activate gas generator"));
        assert_eq!(action("on", "activated gas generator"), Act::last("wait1"));
    }
}
