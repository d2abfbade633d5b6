//! Which of a definition's names it gets: those that no other definition of its group has.
//!
//! As `calculateNamesAndConditions` of the naming controller in `k8s.io/apiextensions-apiserver`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What the other definitions of a group have been given.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Plurals, singulars and short names.
    resources: BTreeSet<String>,
    /// Kinds, and the kinds of lists.
    kinds: BTreeSet<String>,
}

/// Why not all names are accepted: a reason and a message.
pub(super) type Conflict = (&'static str, String);

impl Taken {
    /// Adds the accepted names of a definition.
    pub(super) fn add(&mut self, accepted: &Value) {
        let text = |field: &str| accepted[field].as_str().map(str::to_owned);
        self.resources.extend(text("plural"));
        self.resources.extend(text("singular"));
        self.resources.extend(texts(&accepted["shortNames"]));
        self.kinds.extend(text("kind"));
        self.kinds.extend(text("listKind"));
    }
}

/// The names that a definition has from now on, and the last conflict about those it has not.
pub(super) fn accept(
    requested: &Value,
    accepted: &Value,
    taken: &Taken,
) -> (Value, Option<Conflict>) {
    let mut names = match accepted {
        Value::Object(names) => names.clone(),
        _ => Map::new(),
    };
    let mut conflict = None;
    let single = [
        ("plural", "PluralConflict", &taken.resources),
        ("singular", "SingularConflict", &taken.resources),
        ("kind", "KindConflict", &taken.kinds),
        ("listKind", "ListKindConflict", &taken.kinds),
    ];
    for (index, (field, reason, taken_names)) in single.into_iter().enumerate() {
        if index == 2 {
            conflict = short_names(requested, accepted, taken, &mut names).or(conflict);
        }
        let wanted = requested[field].as_str().unwrap_or("");
        if wanted != accepted[field].as_str().unwrap_or("") && taken_names.contains(wanted) {
            conflict = Some((reason, in_use(wanted)));
        } else {
            set(&mut names, field, &requested[field]);
        }
    }
    set(&mut names, "categories", &requested["categories"]);
    (Value::Object(names), conflict)
}

fn short_names(
    requested: &Value,
    accepted: &Value,
    taken: &Taken,
    names: &mut Map<String, Value>,
) -> Option<Conflict> {
    let held: BTreeSet<String> = texts(&accepted["shortNames"]).collect();
    let wanted = texts(&requested["shortNames"]).filter(|name| !held.contains(name));
    let refused: Vec<String> = wanted
        .filter(|name| taken.resources.contains(name))
        .map(|name| in_use(&name))
        .collect();
    match refused.as_slice() {
        [] => {
            set(names, "shortNames", &requested["shortNames"]);
            None
        }
        [one] => Some(("ShortNamesConflict", one.clone())),
        many => Some(("ShortNamesConflict", format!("[{}]", many.join(", ")))),
    }
}

fn set(names: &mut Map<String, Value>, field: &str, value: &Value) {
    if value.is_null() {
        names.remove(field);
    } else {
        names.insert(field.to_owned(), value.clone());
    }
}

fn texts(list: &Value) -> impl Iterator<Item = String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|text| text.as_str().map(str::to_owned))
}

fn in_use(name: &str) -> String {
    format!("{name:?} is already in use")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_another_has_is_not_accepted() {
        let mut taken = Taken::default();
        taken.add(&json!({
            "plural": "things", "singular": "thing", "shortNames": ["th"],
            "kind": "Thing", "listKind": "ThingList",
        }));
        let fresh = json!({ "plural": "", "kind": "" });
        let requested = json!({
            "plural": "thongs", "singular": "thing", "shortNames": ["tg"],
            "kind": "Thong", "listKind": "ThongList",
        });
        let (names, conflict) = accept(&requested, &fresh, &taken);
        assert_eq!(names["plural"], "thongs");
        assert_eq!(names["singular"], Value::Null);
        assert_eq!(names["shortNames"], json!(["tg"]));
        let (reason, message) = conflict.expect("the singular is in use");
        assert_eq!(reason, "SingularConflict");
        assert_eq!(message, "\"thing\" is already in use");

        let (names, conflict) = accept(&requested, &requested, &taken);
        assert_eq!((names, conflict), (requested, None), "what it has it keeps");
    }
}
