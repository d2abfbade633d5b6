//! JSON patches, after RFC 6902 and RFC 6901.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::FieldValidation;
use crate::field::go_json;
use crate::json;
use crate::status::Status;

const MAX_OPERATIONS: usize = 10_000;

/// The most that all copies of a patch may add, in bytes of JSON: a map copied into itself again and
/// again would grow without end.
const MAX_COPIED: usize = 3 * 1024 * 1024;

pub(super) fn apply(
    mut object: Value,
    patch: &[u8],
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Status> {
    let (operations, strict) = read(patch, validation)?;
    if operations.len() > MAX_OPERATIONS {
        return Err(Status::too_large(&format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut may_copy = MAX_COPIED;
    for operation in &operations {
        let done = operation.apply(&mut object, &mut may_copy);
        done.ok_or_else(Status::rejected)?;
    }
    Ok((object, strict))
}

/// One step of a patch. What is missing or of another type only matters to the steps that need it.
#[derive(Default)]
struct Operation {
    op: Option<String>,
    path: Option<String>,
    from: Option<String>,
    /// As the client wrote it: a test compares the text.
    value: Option<Box<RawValue>>,
}

/// The fields of an operation as they were written.
type RawOperation = Option<BTreeMap<String, Box<RawValue>>>;

fn read(
    patch: &[u8],
    validation: FieldValidation,
) -> Result<(Vec<Operation>, Vec<String>), Status> {
    let lenient = validation == FieldValidation::Ignore;
    let refuse = |why: &str| {
        let prefix = if lenient {
            ""
        } else {
            "error decoding patch: "
        };
        Err(Status::bad_request(format!("{prefix}{why}")))
    };
    let document = match json::parse(patch) {
        Ok(document) => document,
        Err(why) => return refuse(&why),
    };
    let (list_type, item_type) = if lenient {
        ("jsonpatch.Patch", "jsonpatch.Operation")
    } else {
        ("[]handlers.jsonPatchOp", "handlers.jsonPatchOp")
    };
    let mismatch = |value: &Value, go_type: &str| {
        let found = json::kind(value);
        format!("json: cannot unmarshal {found} into Go value of type {go_type}")
    };
    let items = match &document.value {
        Value::Null => return Ok((Vec::new(), Vec::new())),
        Value::Array(items) => items,
        other => return refuse(&mismatch(other, list_type)),
    };
    let duplicates = document.duplicates.iter();
    let mut strict: Vec<String> = duplicates
        .map(|path| format!("json patch duplicate field \"{path}\""))
        .collect();
    for (index, item) in items.iter().enumerate() {
        let fields = match item {
            Value::Null => continue,
            Value::Object(fields) => fields,
            other => return refuse(&mismatch(other, item_type)),
        };
        for (key, value) in fields {
            match key.as_str() {
                "op" | "path" | "from" => match value {
                    Value::Null | Value::String(_) => {}
                    _ if lenient => {}
                    other => {
                        let found = json::kind(other);
                        return refuse(&format!(
                            "json: cannot unmarshal {found} into Go struct field \
                             jsonPatchOp.{key} of type string"
                        ));
                    }
                },
                "value" => {}
                _ if strict.len() < json::MOST_FAULTS => {
                    strict.push(format!("json patch unknown field \"[{index}].{key}\""));
                }
                _ => {}
            }
        }
    }
    // The same text once more: it is an array of objects and nulls.
    let raw: Vec<RawOperation> = serde_json::from_slice(patch).unwrap_or_default();
    let operations = raw.into_iter().map(|fields| match fields {
        None => Operation::default(),
        Some(mut fields) => {
            let text = |key| serde_json::from_str(fields.get::<str>(key)?.get()).ok();
            Operation {
                op: text("op"),
                path: text("path"),
                from: text("from"),
                value: fields.remove("value"),
            }
        }
    });
    Ok((operations.collect(), strict))
}

impl Operation {
    /// Nothing if it cannot be done. A copy takes its size off what may still be copied, and so does
    /// what is moved deeper.
    fn apply(&self, object: &mut Value, may_copy: &mut usize) -> Option<()> {
        match self.op.as_deref()? {
            "add" => add(object, self.path()?, self.value()),
            "remove" => remove(object, self.path()?).map(drop),
            "replace" => self.replace(object),
            "move" => {
                let (from, path) = (self.from.as_deref()?, self.path()?);
                let moved = remove(object, from)?;
                // To look how deep it is takes as long as to copy it.
                if slashes(path) > slashes(from) {
                    *may_copy = may_copy.checked_sub(go_json(&moved).len())?;
                    readable(path, &moved)?;
                }
                insert(object, path, moved)
            }
            "copy" => {
                let from = self.from.as_deref()?;
                let original = get(object, from)?;
                *may_copy = may_copy.checked_sub(go_json(original).len())?;
                let copy = original.clone();
                add(object, self.path()?, copy)
            }
            "test" => self.test(object),
            _ => None,
        }
    }

    fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The value to set; null if there is none.
    fn value(&self) -> Value {
        let raw = self.value.as_ref().map_or("null", |value| value.get());
        json::parse(raw.as_bytes()).map_or(Value::Null, |document| document.value)
    }

    /// A field may be replaced that is not there; an element of a list may not.
    fn replace(&self, object: &mut Value) -> Option<()> {
        let path = self.path()?;
        let value = self.value();
        readable(path, &value)?;
        if path.is_empty() {
            if !value.is_object() && !value.is_array() {
                return None;
            }
            *object = value;
            return Some(());
        }
        match container(object, path)? {
            (Value::Object(map), key) => {
                map.insert(key.into_owned(), value);
            }
            (Value::Array(items), key) => {
                let index = position(&key, items.len())?;
                items[index] = value;
            }
            _ => return None,
        }
        Some(())
    }

    fn test(&self, object: &mut Value) -> Option<()> {
        let path = self.path()?;
        let expected = self.value.as_ref().map(|value| value.get());
        let equal = if path.is_empty() {
            same(object, expected?)
        } else {
            match get(object, path)? {
                Value::Null => expected.is_none_or(|expected| expected == "null"),
                found => same(found, expected?),
            }
        };
        equal.then_some(())
    }
}

/// What is at a path: nothing if there is no place of that name, null if there is a place, and
/// nothing in it.
fn get<'a>(object: &'a mut Value, path: &str) -> Option<&'a Value> {
    static NULL: Value = Value::Null;
    match container(object, path)? {
        (Value::Object(map), key) => Some(map.get(key.as_ref()).unwrap_or(&NULL)),
        (Value::Array(items), key) => {
            let index = position(&key, items.len())?;
            items.get(index)
        }
        _ => None,
    }
}

fn add(object: &mut Value, path: &str, value: Value) -> Option<()> {
    readable(path, &value)?;
    insert(object, path, value)
}

fn insert(object: &mut Value, path: &str, value: Value) -> Option<()> {
    match container(object, path)? {
        (Value::Object(map), key) => {
            map.insert(key.into_owned(), value);
        }
        (Value::Array(items), key) if key == "-" => items.push(value),
        (Value::Array(items), key) => {
            let index = position(&key, items.len() + 1)?;
            items.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(object: &mut Value, path: &str) -> Option<Value> {
    match container(object, path)? {
        (Value::Object(map), key) => map.remove(key.as_ref()),
        (Value::Array(items), key) => {
            let index = position(&key, items.len())?;
            Some(items.remove(index))
        }
        _ => None,
    }
}

/// Refuses a value that would be nested too deep there to be read again.
fn readable(path: &str, value: &Value) -> Option<()> {
    let depth = slashes(path) + json::depth(value);
    (depth <= json::DEEPEST).then_some(())
}

fn slashes(path: &str) -> usize {
    path.matches('/').count()
}

/// The object or list that the last part of a path is looked up in, and that part. What stands in
/// front of the first slash does not matter.
fn container<'a, 'p>(
    object: &'a mut Value,
    path: &'p str,
) -> Option<(&'a mut Value, Cow<'p, str>)> {
    let (_, pointer) = path.split_once('/')?;
    let mut parts = pointer.split('/').map(unescape);
    let mut key = parts.next()?;
    let mut place = object;
    for next in parts {
        place = match place {
            Value::Object(map) => map.get_mut(key.as_ref())?,
            Value::Array(items) => {
                let index = position(&key, items.len())?;
                &mut items[index]
            }
            _ => return None,
        };
        key = next;
    }
    let is_container = place.is_object() || place.is_array();
    is_container.then_some((place, key))
}

fn unescape(part: &str) -> Cow<'_, str> {
    if part.contains('~') {
        // "~01" is "~1": what one replacement yields is not replaced again.
        let halves: Vec<String> = part
            .split("~1")
            .map(|half| half.replace("~0", "~"))
            .collect();
        Cow::Owned(halves.join("/"))
    } else {
        Cow::Borrowed(part)
    }
}

/// An index below `length`; a negative one counts from the end.
fn position(key: &str, length: usize) -> Option<usize> {
    let index: i64 = key.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).ok().filter(|_| index < length)
}

/// Whether a value is what the client wrote, by the text of its scalars: the server takes `1` and
/// `1.0` for different, and a bare `<` for different from its own, which is escaped.
fn same(value: &Value, raw: &str) -> bool {
    match value {
        Value::Object(map) => {
            let Ok(raw) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw) else {
                return false;
            };
            map.len() == raw.len()
                && map
                    .iter()
                    .all(|(key, value)| raw.get(key).is_some_and(|raw| same(value, raw.get())))
        }
        Value::Array(items) => {
            let Ok(raw) = serde_json::from_str::<Vec<&RawValue>>(raw) else {
                return false;
            };
            items.len() == raw.len()
                && items
                    .iter()
                    .zip(raw)
                    .all(|(value, raw)| same(value, raw.get()))
        }
        scalar => go_json(scalar) == raw,
    }
}
