//! Strategic merge patches of the kinds that are built in.
//!
//! A list is replaced, unless the kind says that it is merged: then elements are matched by a merge
//! key, or by value if they are scalars. Directives delete elements, fix their order or say which
//! fields stay.

use serde_json::{Map, Value};

use super::merge::drop_nulls;
use crate::field::go_value;
use crate::json;
use crate::status::Status;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";
const ELEMENT_ORDER: &str = "$setElementOrder";

/// How the lists of a kind are merged; those that are not listed are replaced.
const MERGED_LISTS: [(Option<&str>, &str, Merge); 4] = [
    (None, "metadata.finalizers", Merge::Scalars),
    (None, "metadata.ownerReferences", Merge::By("uid")),
    (Some("ServiceAccount"), "secrets", Merge::By("name")),
    (Some("Namespace"), "status.conditions", Merge::By("type")),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merge {
    Replace,
    Scalars,
    By(&'static str),
}

impl Merge {
    /// Under which key elements are matched; nothing for scalars.
    fn key(self) -> Option<&'static str> {
        match self {
            Self::By(key) => Some(key),
            Self::Replace | Self::Scalars => None,
        }
    }
}

/// Reads a patch, and says which fields are in it twice.
pub(super) fn read(patch: &[u8]) -> Result<(Value, Vec<String>), Status> {
    let document = json::parse(patch).map_err(Status::bad_request)?;
    let patch = match document.value {
        Value::Null => Map::new(),
        Value::Object(patch) => patch,
        other => {
            return Err(Status::bad_request(format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                json::kind(&other)
            )));
        }
    };
    let duplicates = document.duplicates.iter();
    let strict = duplicates.map(|path| format!("duplicate field \"{path}\""));
    Ok((Value::Object(patch), strict.collect()))
}

pub(super) fn apply(kind: &str, object: Value, patch: Value) -> Result<Value, Status> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(bad_format("invalid JSON document"));
    };
    Place {
        kind,
        path: String::new(),
    }
    .merge_maps(object, patch)
    .map(Value::Object)
}

type Fields = Map<String, Value>;

/// Which part of an object is being merged.
struct Place<'a> {
    kind: &'a str,
    path: String,
}

impl Place<'_> {
    fn child(&self, key: &str) -> Self {
        let path = match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        Self {
            kind: self.kind,
            path,
        }
    }

    /// How this list is merged.
    fn merge(&self) -> Merge {
        MERGED_LISTS
            .into_iter()
            .find(|(kind, path, _)| kind.is_none_or(|kind| kind == self.kind) && *path == self.path)
            .map_or(Merge::Replace, |(_, _, merge)| merge)
    }

    fn merge_maps(&self, mut object: Fields, mut patch: Fields) -> Result<Fields, Status> {
        if let Some(directive) = patch.get(DIRECTIVE) {
            match directive.as_str() {
                Some("replace") => {
                    patch.remove(DIRECTIVE);
                    return Ok(patch);
                }
                Some("delete") => return Ok(Map::new()),
                _ => return Err(unknown_directive(directive, &patch)),
            }
        }
        retain_keys(&mut object, &mut patch)?;
        self.order_lists(&mut object, &mut patch)?;
        for (key, value) in patch {
            let (key, deletes) = match list_of(&key, DELETE_FROM_LIST) {
                Some(list) => (list.to_owned(), true),
                None if key.starts_with(DELETE_FROM_LIST) => {
                    return Err(bad_format("invalid patch format of primitive list"));
                }
                None => (key, false),
            };
            if value.is_null() {
                object.remove(&key);
                continue;
            }
            let merged = match (object.remove(&key), value) {
                (None, _) if deletes => None,
                (Some(Value::Object(old)), Value::Object(new)) => {
                    let merged = self.child(&key).merge_maps(old, new)?;
                    Some(Value::Object(merged))
                }
                (Some(Value::Array(old)), Value::Array(new)) => {
                    let merged = self.child(&key).merge_lists(old, new, deletes)?;
                    Some(Value::Array(merged))
                }
                (Some(old), _) if deletes => Some(old),
                (_, mut new) => {
                    drop_nulls(&mut new);
                    without_directives(new)
                }
            };
            if let Some(merged) = merged {
                object.insert(key, merged);
            }
        }
        Ok(object)
    }

    fn merge_lists(
        &self,
        old: Vec<Value>,
        new: Vec<Value>,
        deletes: bool,
    ) -> Result<Vec<Value>, Status> {
        let merge = self.merge();
        if merge == Merge::Replace && !deletes {
            return Ok(new);
        }
        if old.is_empty() && new.is_empty() {
            return Ok(old);
        }
        if !element_type(&old, &new)? {
            if deletes {
                return Ok(old.into_iter().filter(|item| !new.contains(item)).collect());
            }
            let mut merged = old.clone();
            merged.extend(new.iter().cloned());
            let mut seen: Vec<Value> = Vec::new();
            merged.retain(|item| {
                let is_new = !seen.contains(item);
                if is_new {
                    seen.push(item.clone());
                }
                is_new
            });
            return in_order(merged, &new, &old, merge);
        }
        let Some(key) = merge.key() else {
            let list = self.path.rsplit('.').next().unwrap_or_default();
            return Err(Status::internal(format!(
                "cannot merge lists without merge key for {list}"
            )));
        };
        let (old, new) = special_elements(old, new, key)?;
        let mut merged = old.clone();
        for item in &new {
            let Value::Object(fields) = item else {
                continue;
            };
            let id = merge_key(item, key)?;
            let same = merged.iter_mut().find(|found| found.get(key) == Some(id));
            match same {
                Some(Value::Object(found)) => {
                    let element = Place {
                        kind: self.kind,
                        path: format!("{}[]", self.path),
                    };
                    *found = element.merge_maps(std::mem::take(found), fields.clone())?;
                }
                _ => merged.push(item.clone()),
            }
        }
        in_order(merged, &new, &old, merge)
    }

    /// Carries out `$setElementOrder`, with the list that it is about.
    fn order_lists(&self, object: &mut Fields, patch: &mut Fields) -> Result<(), Status> {
        let directives: Vec<String> = patch
            .keys()
            .filter(|key| key.starts_with(ELEMENT_ORDER))
            .cloned()
            .collect();
        for directive in directives {
            let order = list(patch.remove(&directive).unwrap_or_default())?;
            let Some(key) = list_of(&directive, ELEMENT_ORDER) else {
                return Err(bad_format("invalid patch format of setElementOrder list"));
            };
            let place = self.child(key);
            let merge = place.merge();
            let old = object.get(key).cloned().map(list).transpose()?;
            let new = patch.get(key).cloned().map(list).transpose()?;
            check_order(new.as_deref().unwrap_or_default(), &order, merge)?;
            let merged = match (&old, &new) {
                (None, None) => continue,
                (Some(old), None) => old.clone(),
                (None, Some(new)) => {
                    let new = new.iter().cloned();
                    new.filter_map(without_directives).collect()
                }
                (Some(old), Some(new)) => place.merge_lists(old.clone(), new.clone(), false)?,
            };
            let server = old.unwrap_or_default();
            element_type(&server, new.as_deref().unwrap_or_default())?;
            let ordered = in_order(merged, &order, &server, merge)?;
            object.insert(key.to_owned(), Value::Array(ordered));
            patch.remove(key);
        }
        Ok(())
    }
}

/// Drops the fields that `$retainKeys` does not name.
fn retain_keys(object: &mut Fields, patch: &mut Fields) -> Result<(), Status> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let refuse = || bad_format("invalid patch format of retainKeys");
    let Value::Array(retained) = retained else {
        return Err(refuse());
    };
    let is_retained = |key: &str| retained.iter().any(|name| name.as_str() == Some(key));
    let is_directive =
        |key: &str| key.starts_with(DELETE_FROM_LIST) || key.starts_with(ELEMENT_ORDER);
    let unnamed = patch
        .iter()
        .any(|(key, value)| !value.is_null() && !is_directive(key) && !is_retained(key));
    if unnamed {
        return Err(refuse());
    }
    object.retain(|key, _| is_retained(key));
    Ok(())
}

/// Carries out the directives among the elements of a list: which old elements are left, and which
/// new ones are merged into them.
fn special_elements(
    mut old: Vec<Value>,
    new: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), Status> {
    let mut plain = Vec::new();
    let mut replaces = false;
    for item in new {
        let Some(directive) = item.get(DIRECTIVE) else {
            plain.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let id = merge_key(&item, key)?;
                old.retain(|found| found.get(key) != Some(id));
            }
            Some("replace") => replaces = true,
            Some("merge") => {
                let why = "merging lists cannot yet be specified in the patch";
                return Err(Status::internal(why));
            }
            _ => {
                let fields = item.as_object().cloned().unwrap_or_default();
                return Err(unknown_directive(directive, &fields));
            }
        }
    }
    if replaces {
        return Ok((plain, Vec::new()));
    }
    Ok((old, plain))
}

/// Puts what the patch names into the order of the patch, and the rest in between as the server
/// had it.
fn in_order(
    merged: Vec<Value>,
    order: &[Value],
    server: &[Value],
    merge: Merge,
) -> Result<Vec<Value>, Status> {
    let key = merge.key();
    if let Some(key) = key {
        for item in merged.iter().chain(order) {
            merge_key(item, key)?;
        }
    }
    let position = |list: &[Value], item: &Value| {
        list.iter().position(|other| match key {
            Some(key) => other.get(key) == item.get(key),
            None => other == item,
        })
    };
    let is_named = |item: &Value| position(order, item).is_some();
    let (mut named, mut rest): (Vec<Value>, Vec<Value>) = merged.into_iter().partition(is_named);
    named.sort_by_key(|item| position(order, item));
    rest.sort_by_key(|item| position(server, item));

    let mut rest = rest.into_iter().peekable();
    let mut ordered = Vec::new();
    for item in named {
        let at = position(server, &item);
        while let Some(other) = rest.peek() {
            let comes_first = match (position(server, other), at) {
                (Some(other), Some(at)) => other < at,
                _ => false,
            };
            if !comes_first {
                break;
            }
            ordered.extend(rest.next());
        }
        ordered.push(item);
    }
    ordered.extend(rest);
    Ok(ordered)
}

/// The elements of a patch must come in the order that the patch asks for.
fn check_order(new: &[Value], order: &[Value], merge: Merge) -> Result<(), Status> {
    if new.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut wanted = order.iter();
    for item in new {
        if item.get(DIRECTIVE).is_some() && merge.key().is_some() {
            continue;
        }
        loop {
            let Some(candidate) = wanted.next() else {
                return Err(Status::internal(format!(
                    "The order in patch list:\n{}\n doesn't match {ELEMENT_ORDER} list:\n{}\n",
                    go_value(&Value::from(new)),
                    go_value(&Value::from(order)),
                )));
            };
            let equal = match merge.key() {
                Some(key) => merge_key(item, key)? == merge_key(candidate, key)?,
                None => item == candidate,
            };
            if equal {
                break;
            }
        }
    }
    Ok(())
}

/// Whether the elements are objects; all must be of one type.
fn element_type(old: &[Value], new: &[Value]) -> Result<bool, Status> {
    let mut items = old.iter().chain(new);
    let Some(first) = items.next() else {
        return Err(Status::internal("no elements in any of the given slices"));
    };
    if first.is_array() {
        return Err(Status::rejected());
    }
    if items.any(|item| json::kind(item) != json::kind(first)) {
        let lists = Value::Array(vec![Value::from(old), Value::from(new)]);
        return Err(Status::internal(format!(
            "list element types are not identical: {}",
            go_value(&lists)
        )));
    }
    Ok(first.is_object())
}

/// What identifies an element.
fn merge_key<'a>(item: &'a Value, key: &str) -> Result<&'a Value, Status> {
    item.get(key).ok_or_else(|| {
        Status::internal(format!(
            "map: {} does not contain declared merge key: {key}",
            go_value(item)
        ))
    })
}

/// Takes out objects that are directives; nothing is left if the value is one itself.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => {
            let fields = map.into_iter();
            let fields = fields.filter_map(|(key, value)| Some((key, without_directives(value)?)));
            Some(Value::Object(fields.collect()))
        }
        Value::Array(items) => {
            let items = items.into_iter().filter_map(without_directives);
            Some(Value::Array(items.collect()))
        }
        other => Some(other),
    }
}

/// The list that a directive is about, which stands behind a slash.
fn list_of<'a>(key: &'a str, directive: &str) -> Option<&'a str> {
    key.strip_prefix(directive)?.strip_prefix('/')
}

fn list(value: Value) -> Result<Vec<Value>, Status> {
    match value {
        Value::Array(items) => Ok(items),
        other => {
            let found = match other {
                Value::Object(_) => "map[string]interface {}",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                Value::Number(number) if number.is_f64() => "float64",
                Value::Number(_) => "int64",
                Value::Null | Value::Array(_) => "%!s(<nil>)",
            };
            Err(Status::internal(format!(
                "expected a []interface {{}}, but received a {found}"
            )))
        }
    }
}

fn unknown_directive(directive: &Value, patch: &Fields) -> Status {
    Status::internal(format!(
        "unknown patch type: {} in map: {}",
        go_value(directive),
        go_value(&Value::Object(patch.clone()))
    ))
}

fn bad_format(why: &str) -> Status {
    Status::bad_request(why)
}
