//! Numbers of the things of a game.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        ///
        /// Numbers follow the order of the PDDL names, which is the order in which the original lists things.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u16);

        impl $name {
            /// Position in the game's list of such things.
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }
    )*};
}

ids! {
    /// An object of a game.
    ObjectId,
    /// A receptacle of a game.
    ReceptacleId,
    /// A place of a game where the agent can stand.
    LocationId,
}

/// An object, a receptacle or a place, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Object(ObjectId),
    Receptacle(ReceptacleId),
}
