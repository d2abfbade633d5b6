//! The three patch formats that change an object without field ownership.
//!
//! What each does follows the API server, which is not always what the RFCs say: a JSON patch may
//! replace a field that is not there, and a merge patch drops nulls within the lists it sets.
//! Whether the result is a good object is the caller's to judge.

mod json;
mod merge;
mod strategic;

use serde_json::Value;

use crate::field::{FieldError, go_json, go_value};
use crate::status::{Named, Status};

/// The format of a patch, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    /// `application/json-patch+json`.
    Json,
    /// `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`, of which only built-in kinds know how.
    Strategic,
}

/// How much the server minds fields that it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// An object after a patch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Patched {
    pub(crate) object: Value,
    /// What a strict server refuses and a lenient one warns of, such as
    /// `duplicate field "spec.x"`.
    pub(crate) strict: Vec<String>,
    /// How the server shows what it could not make an object of.
    shown: String,
}

impl PatchKind {
    /// The format behind a content type, whose parameters do not matter.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }
}

impl Patched {
    /// 422: the result cannot be read as an object of its kind.
    pub(crate) fn refuse(&self, why: &str) -> Status {
        let nobody = Named {
            group: "",
            resource: "",
            name: "",
        };
        let error = FieldError::invalid("patch", self.shown.as_str(), why);
        Status::invalid(nobody, &[error])
    }
}

/// Applies a patch to an object of this kind; the kind only matters to strategic patches.
pub(crate) fn apply(
    patch_kind: PatchKind,
    kind: &str,
    object: &Value,
    patch: &[u8],
    validation: FieldValidation,
) -> Result<Patched, Status> {
    let (object, strict, shown) = match patch_kind {
        PatchKind::Json => {
            let (object, strict) = json::apply(object.clone(), patch, validation)?;
            (object, strict, None)
        }
        PatchKind::Merge => {
            let (object, strict) = merge::apply(object.clone(), patch, validation)?;
            (object, strict, None)
        }
        PatchKind::Strategic => {
            let (patch, strict) = strategic::read(patch)?;
            let shown = go_value(&patch);
            let object = strategic::apply(kind, object.clone(), patch)?;
            (object, strict, Some(shown))
        }
    };
    let patched = Patched {
        shown: shown.unwrap_or_else(|| go_json(&object)),
        object,
        strict: match validation {
            FieldValidation::Ignore => Vec::new(),
            FieldValidation::Warn | FieldValidation::Strict => strict,
        },
    };
    match &patched.object {
        Value::Object(_) => Ok(patched),
        other => Err(patched.refuse(&format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value \
             of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \
             \"json:\\\"kind,omitempty\\\"\" }}",
            crate::json::kind(other)
        ))),
    }
}

#[cfg(test)]
mod tests;
