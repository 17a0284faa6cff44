//! Environment families by id: the built-in ones and those that a program registers.
//!
//! The command line, the environment server and the Python wheel read the same list.

#![warn(clippy::print_stderr)] // Panics where standard error is closed.
#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

use std::sync::{PoisonError, RwLock};

use stepladder_env::names::{nearest, shorten};
use stepladder_env::{EnvError, Family};

/// Built-in families, in the order of `env list`.
static BUILT_IN: &[&Family] = &[
    &stepladder_alfworld::HOUSEHOLD,
    &stepladder_alfworld::ALFWORLD,
    &stepladder_sokoban::FAMILY,
    &stepladder_scienceworld::FAMILY,
    &stepladder_webshop::FAMILY,
];

static REGISTERED: RwLock<Vec<&'static Family>> = RwLock::new(Vec::new());

/// Registers a family for this process. Registering a family again has no effect.
///
/// # Errors
/// [`EnvError::Usage`] if another family has the same id.
pub fn register(family: &'static Family) -> Result<(), EnvError> {
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let id = family.spec.id;
    match BUILT_IN.iter().chain(&*registered).find(|known| known.spec.id == id) {
        None => registered.push(family),
        Some(known) if std::ptr::eq(*known, family) => {}
        Some(_) => {
            return Err(EnvError::Usage(format!("an environment with the id `{id}` is registered already")));
        }
    }
    Ok(())
}

/// Returns all families: built-in, then registered.
pub fn all() -> Vec<&'static Family> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    BUILT_IN.iter().chain(&*registered).copied().collect()
}

/// Returns the ids of all families.
pub fn ids() -> Vec<&'static str> {
    all().into_iter().map(|family| family.spec.id).collect()
}

/// Returns the family with this id.
///
/// ```
/// assert_eq!(stepladder_families::named("sokoban").unwrap().spec.id, "sokoban");
/// let error = stepladder_families::named("sokobann").unwrap_err().to_string();
/// assert!(error.starts_with("unknown environment `sokobann`") && error.ends_with("did you mean sokoban?"));
/// ```
///
/// # Errors
/// [`EnvError::Usage`] if there is none.
pub fn named(id: &str) -> Result<&'static Family, EnvError> {
    let families = all();
    let found = families.iter().find(|family| family.spec.id == id).copied();
    found.ok_or_else(|| {
        let ids = ids();
        let meant = nearest(id, ids.iter().copied())
            .map(|name| format!("; did you mean {name}?"))
            .unwrap_or_default();
        let id = shorten(id);
        EnvError::Usage(format!("unknown environment `{id}`; known are {}{meant}", ids.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use stepladder_core::codec::Plain;
    use stepladder_env::EnvSpec;

    use super::*;

    #[test]
    fn every_environment_opens_under_its_own_id() {
        for &family in BUILT_IN {
            assert_eq!(named(family.spec.id).unwrap(), family);
            let options = family.options(stepladder_env::Reader::Play, []).unwrap();
            let tasks = family.open(Some(Path::new(".")), &options).unwrap();
            assert_eq!(tasks.spec(), family.spec);
            assert!(family.known_split(family.spec.splits[0]).is_ok());
            assert!(family.known_split("../x").is_err());
        }
        // One codec per text style: only the two household environments share theirs.
        let styles: Vec<_> = BUILT_IN.iter().map(|family| (family.codec)().id()).collect();
        assert_eq!(styles[0], styles[1]);
        let own: std::collections::BTreeSet<_> = styles[1..].iter().collect();
        assert_eq!(own.len(), styles.len() - 1, "{styles:?}");
    }

    #[test]
    fn an_unknown_environment_is_refused_by_name() {
        let error = named("chess").unwrap_err().to_string();
        assert!(error.starts_with("unknown environment `chess`; known are household, alfworld, "), "{error}");
    }

    static SPEC: EnvSpec = EnvSpec {
        id: "toy",
        summary: "",
        version: 1,
        upstream: "",
        data_licence: "",
        splits: &["train"],
        max_steps: 1,
        reward_range: (0.0, 1.0),
        score_range: None,
        deterministic: true,
    };
    static TOY: Family =
        Family::new(&SPEC, |_, _| Ok(Box::new(stepladder_sokoban::Sokoban::default())), || Arc::new(Plain));
    static OTHER: Family = Family::new(&SPEC, TOY.open, TOY.codec);

    #[test]
    fn a_program_may_add_families_of_its_own_once() {
        register(&TOY).unwrap();
        register(&TOY).unwrap();
        assert_eq!(named("toy").unwrap(), &TOY);
        assert_eq!(ids().iter().filter(|id| **id == "toy").count(), 1);
        let error = register(&OTHER).unwrap_err().to_string();
        assert_eq!(error, "an environment with the id `toy` is registered already");
    }
}
