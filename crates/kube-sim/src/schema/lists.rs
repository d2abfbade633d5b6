//! Lists whose elements, or the keys of their elements, may be there only once.

use serde_json::{Map, Value};

use super::{ListType, Node};
use crate::field::{FieldError, Path};

/// Reports each element that is there already, the second time that it occurs.
pub(super) fn check(path: Path<'_>, node: &Node, value: &Value, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let Some(inner) = node.properties.get(key) {
                    check(path.child(key), inner, value, errors);
                } else if let Some(inner) = node.field(key) {
                    check(path.key(key), inner, value, errors);
                }
            }
        }
        Value::Array(items) => {
            match &node.list {
                ListType::Atomic => {}
                ListType::Set => {
                    for index in repeated(items.iter().collect()) {
                        let at = path.index(index);
                        errors.push(FieldError::duplicate(at, items[index].clone()));
                    }
                }
                ListType::Map(keys) => map(path, keys, items, errors),
            }
            if let Some(inner) = &node.items {
                for (index, item) in items.iter().enumerate() {
                    check(path.index(index), inner, item, errors);
                }
            }
        }
        _ => {}
    }
}

fn map(path: Path<'_>, keys: &[String], items: &[Value], errors: &mut Vec<FieldError>) {
    let stray = items
        .iter()
        .position(|item| !item.is_object() && !item.is_null());
    if let Some(index) = stray {
        errors.push(FieldError::invalid(
            path.index(index),
            items[index].clone(),
            "must be an object for an array of list-type map",
        ));
        return;
    }
    let key_of = |item: &Value| {
        let fields = keys
            .iter()
            .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
        Value::Object(fields.collect::<Map<_, _>>())
    };
    let identities: Vec<Value> = items.iter().map(key_of).collect();
    for index in repeated(identities.iter().collect()) {
        let at = path.index(index);
        errors.push(FieldError::duplicate(at, identities[index].clone()));
    }
}

/// Where something occurs for the second time, in order.
fn repeated(items: Vec<&Value>) -> Vec<usize> {
    let mut indices: Vec<(String, usize)> = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| (item.to_string(), index))
        .collect();
    indices.sort_unstable();
    let mut found: Vec<usize> = indices
        .chunk_by(|one, other| one.0 == other.0)
        .filter_map(|same| same.get(1).map(|(_, index)| *index))
        .collect();
    found.sort_unstable();
    found
}
