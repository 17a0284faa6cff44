//! Invented names of makers. None is meant to be a real one.

/// First syllables.
const HEADS: [&str; 30] = [
    "Bal", "Cor", "Del", "Fen", "Gal", "Hol", "Jor", "Kel", "Lor", "Mer", "Nol", "Pel", "Quil", "Ros", "Sel",
    "Tam", "Urb", "Vel", "Wen", "Yar", "Zim", "Bren", "Dar", "Elm", "Fros", "Hes", "Arl", "Lum", "Mir",
    "Osk",
];

/// Last syllables.
const TAILS: [&str; 30] = [
    "adun", "bavo", "cabel", "dello", "enko", "fando", "garth", "hupa", "ivox", "junda", "kinto", "lumbo",
    "minster", "nesto", "oriva", "pexo", "quent", "rundel", "steeb", "tovik", "unga", "vindra", "wickel",
    "xando", "yorva", "zelda", "abby", "omplo", "ittle", "eskin",
];

/// Number of names.
pub(super) const BRANDS: u32 = (HEADS.len() * TAILS.len()) as u32;

/// Name of a maker; `number` is below [`BRANDS`].
pub(super) fn brand(number: u32) -> String {
    let (head, tail) = (number as usize / TAILS.len(), number as usize % TAILS.len());
    format!("{}{}", HEADS[head % HEADS.len()], TAILS[tail])
}

/// Short name of a maker, for short pages; `number` is below [`BRANDS`].
pub(super) fn short_brand(number: u32) -> String {
    HEADS[number as usize / TAILS.len() % HEADS.len()].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_differ() {
        let all: BTreeSet<String> = (0..BRANDS).map(brand).collect();
        assert_eq!(all.len(), 900);
        let short: BTreeSet<String> = (0..BRANDS).map(short_brand).collect();
        assert_eq!(short.len(), 30);
        assert!((0..BRANDS).all(|number| brand(number).starts_with(&short_brand(number))));
    }
}
