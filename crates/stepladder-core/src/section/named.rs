//! Tables whose names the user chooses.

use std::ops::Deref;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::schema::{Schema, Section, Violation, refused_within};

/// Sections by a name that the user chooses, in the order of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Named<S>(pub IndexMap<String, S>);

impl<S> Default for Named<S> {
    fn default() -> Self {
        Self(IndexMap::new())
    }
}

impl<S> Deref for Named<S> {
    type Target = IndexMap<String, S>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S: Section> Section for Named<S> {
    fn schema() -> Schema {
        Schema { named: true, ..S::schema() }
    }

    fn violations(&self) -> Vec<Violation> {
        self.iter().flat_map(|(name, section)| refused_within(name, section)).collect()
    }
}

impl<'a, S> IntoIterator for &'a Named<S> {
    type Item = (&'a String, &'a S);
    type IntoIter = indexmap::map::Iter<'a, String, S>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
