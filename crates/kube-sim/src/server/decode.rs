//! From a body, or what a patch made of an object, to an object as its kind has it.
//!
//! What is built in is read as the server's types have it, everything else as its schema says.
//! Fields that are not known go; whether that is refused, warned of or ignored is for the client
//! to say.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    answer::Refusal,
    request::{Request, unsupported_media_type},
};
use crate::{
    builtin,
    field::go_json,
    json,
    patch::{FieldValidation, PatchKind, Patched},
    protobuf,
    registry::Served,
    shape,
    status::Status,
    store::object::{Object, text},
};

/// An object that was read, and what a lenient server warns of.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) object: Object,
    pub(super) warnings: Vec<String>,
}

/// The object in a request's body.
pub(super) fn body(
    request: &Request<'_>,
    served: &Served,
    validation: FieldValidation,
) -> Result<Decoded, Refusal> {
    request.check_size()?;
    let document = match request.content_type() {
        "application/json" => json::parse(&request.body).map_err(|why| {
            let why = format!("couldn't get version/kind; json parse error: {why}");
            unrecognized(&served.resource.kind, &why, &request.body)
        })?,
        protobuf::MEDIA_TYPE if !served.is_custom() => json::Document {
            value: protobuf::decode(&request.body)?,
            duplicates: Vec::new(),
        },
        other => return Err(unsupported_media_type(other, "").into()),
    };
    let mut value = document.value;
    let (kind, version) = check_type(served, &mut value, &request.body, validation)?;
    let expected = &served.resource.kind;
    let refuse = |why: &str| shape::refuse(&kind, &version, expected, why);
    let mut strict: Vec<String> = document
        .duplicates
        .iter()
        .map(|path| format!("duplicate field {path:?}"))
        .collect();
    strict.extend(read(served, &mut value).map_err(|why| refuse(&why))?);
    if !served.is_custom() {
        // One decoder finds both.
        strict.truncate(json::MOST_FAULTS);
    }
    if validation == FieldValidation::Strict && !strict.is_empty() {
        return Err(refuse(&shape::strict_error(&strict)).into());
    }
    check_version(served, &value)?;
    Ok(Decoded::new(served, value, strict, validation))
}

/// The object that a patch has made.
pub(super) fn patched(
    mut patched: Patched,
    kind: PatchKind,
    served: &Served,
    validation: FieldValidation,
) -> Result<Decoded, Status> {
    let mut value = std::mem::take(&mut patched.object);
    let mut strict = std::mem::take(&mut patched.strict);
    // A strategic patch is applied to something whose type is known already.
    if kind == PatchKind::Strategic {
        value["kind"] = served.resource.kind.as_str().into();
        value["apiVersion"] = served.resource.api_version().into();
    } else {
        check_patched_type(served, &value).map_err(|why| patched.refuse(&why))?;
    }
    strict.extend(read(served, &mut value).map_err(|why| match kind {
        PatchKind::Strategic => patched.refuse(&unconverted(&why).unwrap_or(why)),
        _ => patched.refuse(&why),
    })?);
    if validation == FieldValidation::Strict && !strict.is_empty() {
        return Err(patched.refuse(&shape::strict_error(&strict)));
    }
    Ok(Decoded::new(served, value, strict, validation))
}

/// What is wrong with a value in the words of a server that does not go by way of JSON; `why` is
/// what it is in JSON.
fn unconverted(why: &str) -> Option<String> {
    let (found, rest) = why
        .strip_prefix("json: cannot unmarshal ")?
        .split_once(" into Go struct field ")?;
    let (_, wanted) = rest.split_once(" of type ")?;
    let found = match found.split(' ').next()? {
        "array" => "slice",
        "object" => "map",
        "number" => "int64",
        other => other,
    };
    Some(if wanted.starts_with("map[") {
        format!("cannot restore map from {found}")
    } else if wanted.starts_with("[]") {
        format!("cannot restore slice from {found}")
    } else {
        let is_text = matches!(wanted, "string" | "types.UID");
        match wanted {
            _ if is_text && found == "int64" => format!("cannot convert int64 to {wanted}"),
            "types.UID" => "unrecognized type: string".to_owned(),
            "string" | "bool" | "int32" | "int64" => format!("unrecognized type: {wanted}"),
            _ => format!("cannot restore struct from: {found}"),
        }
    })
}

/// A patch can change the type of an object, or take it away.
fn check_patched_type(served: &Served, value: &Value) -> Result<(), String> {
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    let (kind, found) = (text(object, "kind"), text(object, "apiVersion"));
    if served.is_custom() {
        // Validation looks at the rest.
        return match kind {
            "" => Err(format!("Object 'Kind' is missing in '{}'", go_json(value))),
            _ => Ok(()),
        };
    }
    let version = served.resource.api_version();
    let is_other = |found: &str, expected: &str| !found.is_empty() && found != expected;
    if is_other(kind, &served.resource.kind) || is_other(found, &version) {
        return Err(format!(
            "no kind {kind:?} is registered for version {found:?} in scheme \
             \"pkg/runtime/scheme.go:111\""
        ));
    }
    Ok(())
}

impl Decoded {
    fn new(
        served: &Served,
        value: Value,
        strict: Vec<String>,
        validation: FieldValidation,
    ) -> Self {
        let mut object = match value {
            Value::Object(object) => object,
            _ => Object::new(),
        };
        served.strategy.convert_to_storage(&mut object);
        let warnings = match validation {
            FieldValidation::Warn => strict,
            FieldValidation::Ignore | FieldValidation::Strict => Vec::new(),
        };
        Self { object, warnings }
    }
}

/// Reads an object as its kind has it; says what it does not know.
fn read(served: &Served, value: &mut Value) -> Result<Vec<String>, String> {
    let mut unknown = match served.strategy.shape() {
        Some(shape) => shape::read(shape, value)?,
        None => shape::read_metadata(value, "")?,
    };
    // An object of another type has no schema here; it is refused later.
    let is_own = value["kind"] == served.resource.kind.as_str()
        && value["apiVersion"] == served.resource.api_version().as_str();
    if !served.is_custom() || is_own {
        unknown.extend(served.strategy.complete(value)?);
    }
    Ok(unknown)
}

/// Whether a body says of which type it is, and that it is the one that the path says.
///
/// Returns the kind and the version that it says.
fn check_type(
    served: &Served,
    value: &mut Value,
    body: &[u8],
    validation: FieldValidation,
) -> Result<(String, String), Status> {
    let resource = &served.resource;
    if let Some(why) = json::untyped(value) {
        return Err(unrecognized(&resource.kind, &why, body));
    }
    if value.is_null() {
        *value = Value::Object(Object::new());
    }
    let Value::Object(object) = value else {
        unreachable!("nothing else has a type");
    };
    let (expected, version) = (resource.kind.as_str(), resource.api_version());
    let (sent_kind, sent_version) = (text(object, "kind"), text(object, "apiVersion"));
    let (_, sent_bare) = sent_version.split_once('/').unwrap_or(("", sent_version));
    if sent_bare.contains('/') {
        let why = format!("unexpected GroupVersion string: {sent_version}");
        return Err(unrecognized(expected, &why, body));
    }
    if served.is_custom() {
        if sent_kind.is_empty() {
            let shown = String::from_utf8_lossy(body);
            let why = format!("Object 'Kind' is missing in '{shown}'");
            // Another decoder is at work then, which knows what it was to find.
            return Err(if validation == FieldValidation::Ignore {
                shape::refuse(expected, &resource.version, expected, &why)
            } else {
                unrecognized(expected, &why, body)
            });
        }
        return Ok((sent_kind.to_owned(), sent_bare.to_owned()));
    }
    let kind = if sent_kind.is_empty() {
        expected
    } else {
        sent_kind
    };
    let (found, bare) = match sent_version {
        "" => (version.as_str(), resource.version.as_str()),
        sent => (sent, sent_bare),
    };
    let found_group = found.split_once('/').map_or("", |(group, _)| group);
    if (found_group, bare) == (resource.group.as_str(), resource.version.as_str())
        && kind == expected
    {
        // A slash before the version is one too many, and does no harm.
    } else if let Some(shape) = builtin::shape(found_group, bare, kind) {
        let (kind, bare) = (kind.to_owned(), bare.to_owned());
        let mut other = Value::Object(object.clone());
        let read = shape::read(shape, &mut other);
        let why = read.err().unwrap_or_else(|| {
            format!(
                "converting (v1.{kind}) to ({}.{expected}): unknown conversion",
                match resource.group.split('.').next() {
                    // Events of the newer group are those of the core as well.
                    None | Some("" | "events") => "core",
                    Some(group) => group,
                }
            )
        });
        return Err(shape::refuse(&kind, &bare, expected, &why));
    } else {
        let why = format!(
            "no kind {kind:?} is registered for version {found:?} in scheme \
             \"pkg/runtime/scheme.go:111\""
        );
        return Err(shape::refuse(kind, bare, expected, &why));
    }
    let found = (kind.to_owned(), bare.to_owned());
    object.insert("apiVersion".to_owned(), version.into());
    object.insert("kind".to_owned(), expected.into());
    Ok(found)
}

/// Whether a custom object is of the version that the path says, once it could be read.
fn check_version(served: &Served, value: &Value) -> Result<(), Status> {
    let version = served.resource.api_version();
    let sent = value["apiVersion"].as_str().unwrap_or_default();
    if !served.is_custom() || sent == version {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "the API version in the data ({sent}) does not match the expected API version ({version})"
    )))
}

/// 400: nobody can tell what the body is.
fn unrecognized(expected: &str, why: &str, body: &[u8]) -> Status {
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {expected}): {why} ({})",
        summary(body)
    ))
}

/// The beginning of a body: text if it could be JSON, otherwise hexadecimal.
fn summary(body: &[u8]) -> String {
    const MOST: usize = 30;
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    let shown = &body[..body.len().min(MOST)];
    let text = if body[0] == b'{' {
        String::from_utf8_lossy(shown).into_owned()
    } else {
        shown.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    if body.len() > MOST {
        text + " ..."
    } else {
        text
    }
}
