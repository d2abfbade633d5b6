//! How any field is read: known or not, there or not, of the right form or not.
//!
//! Owns the strictness that all fields share: a field that would be ignored is refused, and so is
//! `null`, which is what is left of a value that somebody forgot to write. Which fields there are
//! is for `schema`.

use std::str::FromStr;

use super::{
    node::{Content, Key, Node},
    problem::{Place, Problems},
};

/// Fields that are meant to come. They are refused in words of their own, wherever they stand:
/// who writes `suspend: true` must not get a rule that runs.
const LATER_FIELDS: &[&str] = &[
    "stage",
    "suspend",
    "serviceAccountName",
    "clusterRef",
    "selector",
    "onTimeout",
];

/// A value and where it was written.
#[derive(Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// Reads the nodes of one text; what is wrong with them goes to its problems.
pub(super) struct Reader<'a> {
    /// What the nodes were parsed from.
    pub(super) text: &'a str,
    pub(super) problems: &'a mut Problems,
}

/// A mapping whose fields are all known, each there once.
pub(super) struct Fields<'n> {
    pub(super) entries: Vec<(&'n Key, &'n Node)>,
    place: Place,
}

/// A field's value and its place.
pub(super) type Field<'n> = (&'n Node, Place);

impl<'n> Fields<'n> {
    /// A field that need not be there.
    pub(super) fn get(&self, name: &str) -> Option<Field<'n>> {
        let (key, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        Some((*node, self.place.field(name).at_line(key.line)))
    }
}

impl Reader<'_> {
    /// The fields of a mapping; unknown ones, those of later versions, repeated ones and nulls
    /// are reported and left out.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        place: &Place,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        let expected = known.join(", ");
        let Content::Mapping(entries) = &node.content else {
            let found = node.describe(self.text);
            let allowed = format!("a mapping with the fields {expected}");
            self.problems.add(
                place,
                found,
                allowed,
                "write the fields, each on a line of its own, indented",
            );
            return None;
        };
        let mut fields = Fields {
            entries: Vec::new(),
            place: place.clone(),
        };
        for (key, value) in entries {
            let name = key.name.as_str();
            let at = place.field(name).at_line(key.line);
            if !known.contains(&name) && LATER_FIELDS.contains(&name) {
                self.problems.add(
                    &at,
                    format!("the field `{name}`, which is not supported yet"),
                    format!("the fields {expected}"),
                    "remove the field; the rule must mean what it says without it",
                );
            } else if !known.contains(&name) {
                self.problems.add(
                    &at,
                    format!("the unknown field `{name}`"),
                    format!("the fields {expected}"),
                    "correct or remove the field",
                );
            } else if fields.entries.iter().any(|(known, _)| known.name == name) {
                self.problems.add(
                    &at,
                    format!("the field `{name}` a second time"),
                    "each field once",
                    "remove one of the two",
                );
            } else {
                fields.entries.push((key, value));
            }
        }
        Some(fields)
    }

    /// A field that must be there.
    pub(super) fn required<'n>(
        &mut self,
        fields: &Fields<'n>,
        name: &str,
        allowed: &str,
        remedy: &str,
    ) -> Option<Field<'n>> {
        let field = fields.get(name);
        if field.is_none() {
            self.problems.add(
                &fields.place.field(name),
                "nothing: the field is missing",
                allowed,
                remedy,
            );
        }
        field
    }

    /// An optional boolean.
    pub(super) fn flag(&mut self, fields: &Fields, name: &str, default: bool) -> Option<bool> {
        let Some((node, place)) = fields.get(name) else {
            return Some(default);
        };
        let Content::Bool(value) = node.content else {
            let remedy = format!(
                "write `{name}: {}`, or leave the field out, which means {default}",
                !default
            );
            self.problems
                .add(&place, node.describe(self.text), "true or false", remedy);
            return None;
        };
        Some(value)
    }

    /// A list that is not empty.
    pub(super) fn list<'n>(
        &mut self,
        (node, place): &Field<'n>,
        allowed: &str,
        remedy: &str,
    ) -> Option<&'n [Node]> {
        match &node.content {
            Content::List(items) if !items.is_empty() => Some(items),
            _ => {
                self.problems
                    .add(place, node.describe(self.text), allowed, remedy);
                None
            }
        }
    }

    /// Text, and no value that YAML takes for something else.
    pub(super) fn text<'n>(
        &mut self,
        (node, place): &Field<'n>,
        allowed: &str,
        remedy: &str,
    ) -> Option<&'n str> {
        if let Content::Text(text) = &node.content {
            return Some(text);
        }
        let remedy = match node.quoted(self.text) {
            Some(quoted) => format!("quote it, if it is meant as text: {quoted}"),
            None => remedy.into(),
        };
        self.problems
            .add(place, node.describe(self.text), allowed, remedy);
        None
    }

    /// Text for which `is_valid` holds.
    pub(super) fn text_that<'n>(
        &mut self,
        is_valid: fn(&str) -> bool,
        field: &Field<'n>,
        allowed: &str,
        remedy: &str,
    ) -> Option<&'n str> {
        let text = self.text(field, allowed, remedy)?;
        if !is_valid(text) {
            self.problems
                .add(&field.1, format!("{text:?}"), allowed, remedy);
        }
        is_valid(text).then_some(text)
    }

    /// Text that is a `T`.
    pub(super) fn parsed<T: FromStr>(
        &mut self,
        field: &Field,
        allowed: &str,
        remedy: &str,
    ) -> Option<Located<T>> {
        let text = self.text(field, allowed, remedy)?;
        let place = field.1.clone();
        let value = text.parse().ok();
        if value.is_none() {
            self.problems
                .add(&place, format!("{text:?}"), allowed, remedy);
        }
        value.map(|value| Located { value, place })
    }

    /// One of a few words; those of later versions are told from misspelt ones.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        field: &Field,
        values: &[(&str, T)],
        later: &[&str],
    ) -> Option<T> {
        let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
        let allowed = names.join(" or ");
        let remedy = format!("write {allowed}");
        let text = self.text(field, &allowed, &remedy)?;
        let value = values.iter().find(|(name, _)| *name == text);
        if value.is_none() {
            let yet = if later.contains(&text) {
                ", which is not supported yet"
            } else {
                ""
            };
            self.problems
                .add(&field.1, format!("{text:?}{yet}"), &allowed, &remedy);
        }
        value.map(|(_, value)| *value)
    }
}
