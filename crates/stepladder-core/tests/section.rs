//! Sections with every form of key and table.

use serde_json::{Value, json};

use stepladder_core::section::{Bound, Named, Section, ValueType};
use stepladder_core::{choices, section};

choices! {
    /// Colours.
    pub enum Colour {
        /// As blood.
        Red = "red",
        /// As the sea,
        /// deep down.
        DarkBlue = "dark_blue",
    }
}

section! {
    /// Inner section.
    pub struct Inner {
        /// Count.
        pub count: u32 = 3 => [Bound::AtLeast(1), Bound::NewAtMost(10)],
        /// Rate.
        pub rate: Option<f64> = None => [Bound::Rate],
        /// Colour
        /// of it.
        pub colour: Colour = Colour::DarkBlue,
    }
}

section! {
    /// One of several.
    pub struct Member {
        required {
            /// Colour that must be chosen.
            pub colour: Colour,
            /// Size that must be chosen.
            pub size: f64 => [Bound::Positive],
        }
        /// Words.
        pub words: Vec<String> = vec!["a".to_owned()],
    }
}

section! {
    /// All of it.
    pub struct Outer {
        /// Name.
        pub name: String = "x".to_owned(),
    }
    tables {
        /// The inner one.
        pub inner: Inner,
        /// The members.
        pub members: Named<Member>,
    }
}

#[test]
fn a_schema_has_every_key_with_its_declaration() {
    let schema = Outer::schema();
    assert_eq!(schema.meaning(), "All of it.");
    assert_eq!((schema.keys[0].name, schema.keys[0].default.clone()), ("name", Some(json!("x"))));
    let tables: Vec<(&str, &str, bool)> =
        schema.tables.iter().map(|(name, table)| (*name, table.meaning(), table.named)).collect();
    assert_eq!(tables, [("inner", "The inner one.", false), ("members", "The members.", true)]);

    let inner = &schema.tables[0].1;
    let defaults: Vec<Option<Value>> = inner.keys.iter().map(|key| key.default.clone()).collect();
    assert_eq!(defaults, [Some(json!(3)), Some(Value::Null), Some(json!("dark_blue"))]);
    let optional: Vec<bool> = inner.keys.iter().map(|key| key.optional).collect();
    assert_eq!(optional, [false, true, false]);
    assert_eq!(inner.keys[0].bounds, [Bound::AtLeast(1), Bound::NewAtMost(10)]);
    assert_eq!(inner.keys[2].meaning(), "Colour of it.");
    let ValueType::Choice(names) = inner.keys[2].value_type else { panic!("{:?}", inner.keys[2].value_type) };
    assert_eq!((names[1].name, names[1].meaning()), ("dark_blue", "As the sea, deep down."));
    assert_eq!(inner.keys[2].value_type.expected(), "\"red\" or \"dark_blue\"");
    assert_eq!(inner.keys[0].value_type.expected(), "a whole number from 0 to 4294967295");

    let member = &schema.tables[1].1;
    let set: Vec<(&str, bool)> = member.keys.iter().map(|key| (key.name, key.default.is_none())).collect();
    assert_eq!(set, [("colour", true), ("size", true), ("words", false)]);
}

#[test]
fn violations_of_all_tables_have_paths() {
    let mut outer = Outer::default();
    assert!(outer.violations().is_empty());
    outer.inner.count = 0;
    outer.inner.rate = Some(f64::NAN);
    let member = Member { colour: Colour::Red, size: 0.0, words: Vec::new() };
    outer.members.0.insert("first".to_owned(), member);
    let found: Vec<String> = outer.violations().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "inner.count is 0; it must be at least 1",
            "inner.rate is NaN; it must be above 0 and at most 1",
            "members.first.size is 0.0; it must be above 0, and finite"
        ]
    );
    let broken = |count| Inner { count, ..Inner::default() }.violations();
    assert!(broken(11).iter().all(|violation| violation.bound.is_for_new_runs()) && broken(11).len() == 1);
    assert!(broken(10).is_empty());
}

#[test]
fn serde_reads_what_it_writes_and_refuses_unknown_keys() {
    let mut outer = Outer::default();
    let member = Member { colour: Colour::DarkBlue, size: 1.5, words: Vec::new() };
    outer.members.0.insert("second".to_owned(), member);
    let value = serde_json::to_value(&outer).unwrap();
    assert_eq!(value["inner"]["colour"], "dark_blue");
    assert_eq!(serde_json::from_value::<Outer>(value).unwrap(), outer);
    let error = serde_json::from_value::<Member>(json!({"colour": "red", "size": 1, "words": [], "more": 1}));
    assert!(error.unwrap_err().to_string().contains("unknown field `more`"));
    let error = serde_json::from_value::<Inner>(json!({"count": 1, "colour": "green"})).unwrap_err();
    assert!(error.to_string().contains("unknown variant `green`"), "{error}");
}
