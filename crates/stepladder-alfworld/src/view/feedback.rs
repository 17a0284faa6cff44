//! Parsed answers to actions.

use super::command::Treatment;
use super::entity::{Entity, take_list};

/// Whether a receptacle can be opened, and is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lid {
    /// A surface, without a door: objects are on it.
    Surface,
    /// Open.
    Open,
    /// Closed: its contents are not visible.
    Closed,
}

/// Description of one receptacle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight<'a> {
    /// The receptacle.
    pub receptacle: Entity<'a>,
    /// Its state.
    pub lid: Lid,
    /// Visible objects in or on it, in order.
    pub items: Vec<Entity<'a>>,
}

impl Sight<'_> {
    /// Whether its contents are visible.
    pub fn visible(&self) -> bool {
        self.lid != Lid::Closed
    }
}

/// The answer to an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feedback<'a> {
    /// No answer yet: start of the episode.
    Start,
    /// The action had no effect or is unknown.
    NothingHappens,
    /// Description of a receptacle, after walking to it, opening or examining it.
    Sight(Sight<'a>),
    /// A receptacle was closed.
    Shut(Entity<'a>),
    /// An object was picked up.
    PickedUp {
        /// The object.
        object: Entity<'a>,
        /// Its former receptacle.
        receptacle: Entity<'a>,
    },
    /// An object was put down.
    Placed {
        /// The object.
        object: Entity<'a>,
        /// Its new receptacle.
        receptacle: Entity<'a>,
    },
    /// An object was heated, cleaned or cooled.
    Treated {
        /// Treatment.
        treatment: Treatment,
        /// The object.
        object: Entity<'a>,
        /// Device.
        device: Entity<'a>,
    },
    /// A device was switched on.
    TurnedOn(Entity<'a>),
    /// Objects in the hand; empty if none.
    Carrying(Vec<Entity<'a>>),
    /// Receptacles at the agent's location.
    Facing(Vec<Entity<'a>>),
    /// Any other answer.
    Other(&'a str),
}

impl<'a> Feedback<'a> {
    /// Parses an answer.
    ///
    /// ```
    /// use stepladder_alfworld::view::{Entity, Feedback, Lid, Sight};
    /// let seen = Feedback::parse("You arrive at shelf 2. On the shelf 2, you see a mug 1.");
    /// assert_eq!(seen, Feedback::Sight(Sight {
    ///     receptacle: Entity::new("shelf", 2),
    ///     lid: Lid::Surface,
    ///     items: vec![Entity::new("mug", 1)],
    /// }));
    /// ```
    pub fn parse(text: &'a str) -> Self {
        match text {
            "" => return Self::Start,
            "Nothing happens." => return Self::NothingHappens,
            "You are not carrying anything." => return Self::Carrying(Vec::new()),
            _ => {}
        }
        structured(text).unwrap_or(Self::Other(text))
    }

    /// Position of the agent, if this answer shows it.
    pub fn here(&self) -> Option<Entity<'a>> {
        match self {
            Self::Sight(sight) => Some(sight.receptacle),
            Self::Shut(receptacle)
            | Self::PickedUp { receptacle, .. }
            | Self::Placed { receptacle, .. }
            | Self::Treated { device: receptacle, .. } => Some(*receptacle),
            Self::Facing(receptacles) => receptacles.first().copied(),
            Self::Start | Self::NothingHappens | Self::TurnedOn(_) | Self::Carrying(_) | Self::Other(_) => {
                None
            }
        }
    }
}

fn structured(text: &str) -> Option<Feedback<'_>> {
    if let Some(rest) = text.strip_prefix("You ") {
        if let Some(rest) = rest.strip_prefix("arrive at ") {
            // The 0.3 wording names the location here, not the receptacle, which follows.
            let (_, rest) = Entity::take(rest)?;
            return sight(rest.strip_prefix(". ")?).map(Feedback::Sight);
        }
        if let Some(rest) = rest.strip_prefix("open the ") {
            let (_, rest) = Entity::take(rest)?;
            return sight(rest.strip_prefix(". ")?).map(Feedback::Sight);
        }
        if let Some(rest) = rest.strip_prefix("close the ") {
            return Entity::parse(rest.strip_suffix('.')?).map(Feedback::Shut);
        }
        if let Some(rest) = rest.strip_prefix("turn on the ") {
            return Entity::parse(rest.strip_suffix('.')?).map(Feedback::TurnedOn);
        }
        if let Some(rest) = rest.strip_prefix("are carrying: ") {
            return take_list(rest, "a ")
                .filter(|(_, end)| *end == ".")
                .map(|(items, _)| Feedback::Carrying(items));
        }
        if let Some(rest) = rest.strip_prefix("are facing the ") {
            return take_list(rest, "").map(|(receptacles, _)| Feedback::Facing(receptacles));
        }
        let two = |verb: &str, between: &str| {
            let (first, rest) = Entity::take(rest.strip_prefix(verb)?)?;
            let second = Entity::parse(rest.strip_prefix(between)?.strip_suffix('.')?)?;
            Some((first, second))
        };
        if let Some((object, receptacle)) = two("pick up the ", " from the ") {
            return Some(Feedback::PickedUp { object, receptacle });
        }
        if let Some((object, receptacle)) =
            two("move the ", " to the ").or_else(|| two("put the ", " in/on the "))
        {
            return Some(Feedback::Placed { object, receptacle });
        }
        for treatment in Treatment::ALL {
            if let Some((object, device)) = two(&format!("{} the ", treatment.verb()), " using the ") {
                return Some(Feedback::Treated { treatment, object, device });
            }
        }
        return None;
    }
    sight(text).map(Feedback::Sight)
}

fn sight(text: &str) -> Option<Sight<'_>> {
    if let Some(rest) = text.strip_prefix("On the ") {
        let (receptacle, rest) = Entity::take(rest)?;
        let (items, end) = take_list(rest.strip_prefix(", you see ")?, "a ")?;
        return (end == ".").then_some(Sight { receptacle, lid: Lid::Surface, items });
    }
    let (receptacle, rest) = Entity::take(text.strip_prefix("The ")?)?;
    if rest == " is closed." {
        return Some(Sight { receptacle, lid: Lid::Closed, items: Vec::new() });
    }
    let (items, end) = take_list(rest.strip_prefix(" is open. In it, you see ")?, "a ")?;
    (end == ".").then_some(Sight { receptacle, lid: Lid::Open, items })
}
