//! Lengths of pages.

/// Length of pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Pages {
    /// Titles, descriptions and choices as long as in the official set.
    #[default]
    Full,
    /// Short titles and few choices, so that a page has at most about 200 tokens with [`Pages::per_page`] results.
    Short,
}

impl Pages {
    /// All forms.
    pub const ALL: [Self; 2] = [Self::Full, Self::Short];

    /// Registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Short => "short",
        }
    }

    /// Results on a page: the original's 10, or 4. A short result has about 35 tokens, the instruction and buttons about 55.
    pub fn per_page(self) -> usize {
        match self {
            Self::Full => 10,
            Self::Short => 4,
        }
    }
}
