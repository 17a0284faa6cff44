//! Ranges of numbers that keys allow.

use std::fmt;

/// Range of the numbers that a key allows. Displays as the end of "it must be …".
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// [n, ∞).
    AtLeast(u64),
    /// As [`Bound::AtLeast`], with the reason.
    AtLeastSince(u64, &'static str),
    /// (−∞, n].
    AtMost(u64),
    /// (−∞, n] in new runs: one that was begun beyond it can be evaluated and continued.
    NewAtMost(u64),
    /// [n, m].
    Between(u64, u64),
    /// (n, ∞).
    Above(u64),
    /// (0, ∞).
    Positive,
    /// [0, ∞).
    NotNegative,
    /// [0, 1).
    BelowOne,
    /// (0, 1].
    Rate,
    /// (0, 1).
    Inside,
}

impl Bound {
    /// Whether the number is in the range; NaN and infinities are in none.
    pub fn holds(self, number: f64) -> bool {
        number.is_finite()
            && match self {
                Self::AtLeast(least) | Self::AtLeastSince(least, _) => number >= least as f64,
                Self::AtMost(most) | Self::NewAtMost(most) => number <= most as f64,
                Self::Between(least, most) => number >= least as f64 && number <= most as f64,
                Self::Above(limit) => number > limit as f64,
                Self::Positive => number > 0.0,
                Self::NotNegative => number >= 0.0,
                Self::BelowOne => (0.0..1.0).contains(&number),
                Self::Rate => number > 0.0 && number <= 1.0,
                Self::Inside => number > 0.0 && number < 1.0,
            }
    }

    /// Whether it applies to new runs alone.
    pub fn is_for_new_runs(self) -> bool {
        matches!(self, Self::NewAtMost(_))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtLeastSince(least, reason) => write!(f, "at least {least}: {reason}"),
            Self::AtMost(most) | Self::NewAtMost(most) => write!(f, "at most {most}"),
            Self::Between(least, most) => write!(f, "from {least} to {most}"),
            Self::Above(limit) => write!(f, "above {limit}, and finite"),
            Self::Positive => f.write_str("above 0, and finite"),
            Self::NotNegative => f.write_str("0 or above, and finite"),
            Self::BelowOne => f.write_str("from 0 to below 1"),
            Self::Rate => f.write_str("above 0 and at most 1"),
            Self::Inside => f.write_str("strictly between 0 and 1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_ranges() {
        let inside = |bound: Bound, numbers: &[f64]| numbers.iter().all(|number| bound.holds(*number));
        let outside = |bound: Bound, numbers: &[f64]| !numbers.iter().any(|number| bound.holds(*number));
        assert!(inside(Bound::AtLeast(1), &[1.0, 1e300]) && outside(Bound::AtLeast(1), &[0.0, -3.0]));
        assert!(inside(Bound::NewAtMost(9), &[0.0, 9.0]) && outside(Bound::NewAtMost(9), &[10.0]));
        assert!(inside(Bound::Between(0, 1), &[0.0, 1.0]) && outside(Bound::Between(0, 1), &[-0.1, 1.1]));
        assert!(inside(Bound::Above(1), &[1.1]) && outside(Bound::Above(1), &[1.0]));
        assert!(inside(Bound::Positive, &[1e-300]) && outside(Bound::Positive, &[0.0]));
        assert!(inside(Bound::NotNegative, &[0.0]) && outside(Bound::NotNegative, &[-1e-300]));
        assert!(inside(Bound::BelowOne, &[0.0, 0.9]) && outside(Bound::BelowOne, &[1.0, -0.1]));
        assert!(inside(Bound::Rate, &[0.1, 1.0]) && outside(Bound::Rate, &[0.0, 1.1]));
        assert!(inside(Bound::Inside, &[0.5]) && outside(Bound::Inside, &[0.0, 1.0]));
        assert!(outside(Bound::AtMost(9), &[f64::NAN, f64::NEG_INFINITY]));
    }
}
