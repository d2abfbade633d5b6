//! What is wrong with one field, in the words of `k8s.io/apimachinery/pkg/util/validation/field`.

use std::fmt;

use serde_json::{Value, json};

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldError {
    path: String,
    kind: FieldErrorKind,
    value: Value,
    detail: String,
}

/// In which way a field is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldErrorKind {
    /// A value that must be given is missing.
    Required,
    /// The value is malformed.
    Invalid,
    /// The value is none of those that are allowed.
    NotSupported,
    /// The value may not be given here, or not be changed.
    Forbidden,
    /// The value is there twice.
    Duplicate,
    /// The value is too long.
    TooLong,
    /// There are too many values.
    TooMany,
    /// The value is of another type.
    TypeInvalid,
}

impl FieldError {
    pub(crate) fn new(
        kind: FieldErrorKind,
        path: impl Into<String>,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            kind,
            value: value.into(),
            detail: detail.into(),
        }
    }

    /// The entry of `details.causes` of a `Status`.
    pub(crate) fn cause(&self) -> Value {
        json!({
            "reason": self.kind.reason(),
            "message": self.body(),
            "field": self.path,
        })
    }

    /// Everything but the path.
    fn body(&self) -> String {
        let title = self.kind.title();
        let shows_value = !matches!(
            self.kind,
            FieldErrorKind::Required | FieldErrorKind::Forbidden | FieldErrorKind::TooLong
        );
        let mut text = title.to_owned();
        if shows_value {
            text.push_str(&format!(": {}", self.value));
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl FieldErrorKind {
    fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}
