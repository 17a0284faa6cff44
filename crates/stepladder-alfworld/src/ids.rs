//! Ids of the things of a game.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        ///
        /// Ids follow the order of the PDDL names, which is the original's order of listing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u16);

        impl $name {
            /// Index in the game's list of such things.
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
    /// A location of a game.
    LocationId,
}

/// Thing with a name: an object, a receptacle or a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Object(ObjectId),
    Receptacle(ReceptacleId),
}
