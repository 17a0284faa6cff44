//! Declarations of configuration sections: one declaration gives the struct, its defaults, the checks of its values and the
//! entries of the reference page.
//!
//! ```
//! use stepladder_core::section::{Bound, Section};
//!
//! stepladder_core::choices! {
//!     /// Course of the learning rate after warm-up.
//!     pub enum Course {
//!         /// Stays at its peak.
//!         Constant = "constant",
//!         /// Half a cosine down to zero.
//!         Cosine = "cosine",
//!     }
//! }
//!
//! stepladder_core::section! {
//!     /// How a model is trained.
//!     pub struct Training {
//!         /// Peak learning rate.
//!         pub learning_rate: f64 = 2e-3 => [Bound::Positive],
//!         /// Course of the learning rate after warm-up.
//!         pub course: Course = Course::Cosine,
//!         /// Largest gradient norm; unlimited if absent.
//!         pub clip: Option<f64> = None => [Bound::Positive],
//!     }
//! }
//!
//! assert_eq!(Training::default().course, Course::Cosine);
//! let wrong = Training { learning_rate: -1.0, ..Training::default() };
//! assert_eq!(wrong.violations()[0].to_string(), "learning_rate is -1.0; it must be above 0, and finite");
//! assert_eq!(Training::schema().keys[0].meaning(), "Peak learning rate.");
//! ```
//!
//! A section holds keys, tables (other sections, or [`Named`] ones) or both. Reading a file is left to the program: it merges what
//! the user wrote over [`Section::schema`]'s defaults and hands the result to `serde`, which refuses unknown keys.

mod bound;
mod named;
mod schema;
mod value;

pub use bound::Bound;
pub use named::Named;
pub use schema::{Key, Schema, Section, Violation, refused, refused_within, written};
pub use value::{Choice, KeyType, ValueType};

/// Declares a section: a public struct with `Debug`, `Clone`, `PartialEq`, serde (unknown keys are refused), `Default` and
/// [`Section`].
///
/// A key is `/// meaning`, then `pub name: Type = default => [bounds]`; the bounds may be left out. The type implements
/// [`KeyType`], and the default is any expression. An optional second block `tables { /// meaning … pub name: Section }` holds
/// inner tables. A block `required { … }` of keys without defaults may come first; such a section has no `Default`.
#[macro_export]
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            $( $(#[doc = $meaning:literal])+ pub $key:ident: $type:ty = $default:expr $(=> [$($bound:expr),* $(,)?])? ),* $(,)?
        }
        $(tables { $( $(#[doc = $table_doc:literal])+ pub $table:ident: $section:ty ),* $(,)? })?
    ) => {
        $crate::section! {
            @declare
            $(#[doc = $doc])+
            pub struct $name
            [] [$( { $($meaning)+; $key; $type; $default; $($($bound),*)? } )*] [$($( { $($table_doc)+; $table; $section } )*)?]
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* $($($table: Default::default(),)*)? }
            }
        }
    };
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            required { $( $(#[doc = $needed_doc:literal])+ pub $needed:ident: $needed_type:ty $(=> [$($needed_bound:expr),* $(,)?])? ),* $(,)? }
            $( $(#[doc = $meaning:literal])+ pub $key:ident: $type:ty = $default:expr $(=> [$($bound:expr),* $(,)?])? ),* $(,)?
        }
    ) => {
        $crate::section! {
            @declare
            $(#[doc = $doc])+
            pub struct $name
            [$( { $($needed_doc)+; $needed; $needed_type; $($($needed_bound),*)? } )*]
            [$( { $($meaning)+; $key; $type; $default; $($($bound),*)? } )*] []
        }
    };
    (
        @declare
        $(#[doc = $doc:literal])+
        pub struct $name:ident
        [$( { $($needed_doc:literal)+; $needed:ident; $needed_type:ty; $($needed_bound:expr),* } )*]
        [$( { $($meaning:literal)+; $key:ident; $type:ty; $default:expr; $($bound:expr),* } )*]
        [$( { $($table_doc:literal)+; $table:ident; $section:ty } )*]
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $( $(#[doc = $needed_doc])+ pub $needed: $needed_type, )*
            $(
                $(#[doc = $meaning])+
                #[doc = ""]
                #[doc = concat!("Default: `", stringify!($default), "`.")]
                pub $key: $type,
            )*
            $( $(#[doc = $table_doc])+ pub $table: $section, )*
        }

        impl $crate::section::Section for $name {
            fn schema() -> $crate::section::Schema {
                $crate::section::Schema {
                    doc: concat!($($doc),+),
                    keys: vec![
                        $( $crate::section::Key {
                            name: stringify!($needed),
                            value_type: <$needed_type as $crate::section::KeyType>::TYPE,
                            optional: <$needed_type as $crate::section::KeyType>::OPTIONAL,
                            bounds: vec![$($needed_bound),*],
                            default: None,
                            doc: concat!($($needed_doc),+),
                        }, )*
                        $( $crate::section::Key {
                            name: stringify!($key),
                            value_type: <$type as $crate::section::KeyType>::TYPE,
                            optional: <$type as $crate::section::KeyType>::OPTIONAL,
                            bounds: vec![$($bound),*],
                            default: Some($crate::section::written::<$type>(&$default)),
                            doc: concat!($($meaning),+),
                        }, )*
                    ],
                    tables: vec![ $( (stringify!($table), {
                        let mut schema = <$section as $crate::section::Section>::schema();
                        schema.doc = concat!($($table_doc),+);
                        schema
                    }), )* ],
                    named: false,
                }
            }

            fn violations(&self) -> Vec<$crate::section::Violation> {
                let mut found = Vec::new();
                $( found.extend($crate::section::refused(stringify!($needed), &self.$needed, &[$($needed_bound),*])); )*
                $( found.extend($crate::section::refused(stringify!($key), &self.$key, &[$($bound),*])); )*
                $( found.extend($crate::section::refused_within(stringify!($table), &self.$table)); )*
                found
            }
        }
    };
}

/// Declares the values of a key that takes one of several names: a public enum with `Debug`, `Clone`, `Copy`, `PartialEq`, `Eq`,
/// `Hash`, serde, `name` and [`KeyType`].
///
/// A variant is `/// meaning`, then `Variant = "name"`.
#[macro_export]
macro_rules! choices {
    (
        $(#[doc = $doc:literal])+
        pub enum $enum:ident { $( $(#[doc = $meaning:literal])+ $variant:ident = $name:literal ),+ $(,)? }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $enum {
            $( $(#[doc = $meaning])+ #[serde(rename = $name)] $variant, )+
        }

        impl $enum {
            /// Every choice, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in configurations.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }
        }

        impl $crate::section::KeyType for $enum {
            const TYPE: $crate::section::ValueType = $crate::section::ValueType::Choice(&[
                $( $crate::section::Choice { name: $name, doc: concat!($($meaning),+) }, )+
            ]);
        }
    };
}
