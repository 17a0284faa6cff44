//! What a customer asks for.

/// A goal.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// Number of the product that it was made from.
    pub product: u32,
    /// Instruction that the customer reads.
    pub instruction: Box<str>,
    /// Attributes that the bought product must have, at least one.
    pub attributes: Box<[Box<str>]>,
    /// Highest price in dollars.
    pub price_upper: f64,
    /// Name and value of every option that must be chosen. Options of a goal written by a person have no name: it is empty.
    pub options: Box<[(Box<str>, Box<str>)]>,
    /// Weight of the goal where goals are drawn at random.
    pub weight: f64,
}
