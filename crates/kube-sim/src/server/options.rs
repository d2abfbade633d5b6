//! Options that requests carry in their query.

use serde_json::Value;

use super::request::Request;
use crate::{
    field::{FieldError, Path, is_printable},
    patch::FieldValidation,
    status::{Named, Status},
};

/// How something is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteOptions {
    /// Whether nothing is to be changed after all.
    pub(super) dry_run: bool,
    /// How much the client minds fields that are not known.
    pub(super) validation: FieldValidation,
}

impl WriteOptions {
    /// The options of a request; `kind` is what they are called.
    pub(super) fn read(request: &Request<'_>, kind: &str) -> Result<Self, Status> {
        // Nothing is done with the manager's name, but the server has it checked.
        const LONGEST_MANAGER: usize = 128;
        let mut errors = Vec::new();
        if kind == "PatchOptions" && request.query_flag("force").is_some() {
            let why = "may not be specified for non-apply patch";
            errors.push(FieldError::forbidden(Path::Root("force"), why));
        }
        let manager = request.query("fieldManager");
        let path = Path::Root("fieldManager");
        if manager.len() > LONGEST_MANAGER {
            errors.push(FieldError::too_long(path, LONGEST_MANAGER));
        }
        for (place, c) in manager.char_indices().filter(|(_, c)| !is_printable(*c)) {
            let code = u32::from(c);
            let why = format!("invalid character U+{code:04X} (at position {place})");
            errors.push(FieldError::invalid(path, manager, why));
        }
        let dry_run: Vec<&str> = request.query_all("dryRun").collect();
        errors.extend(dry_run_error(&dry_run));
        let validation = match request.query("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                let path = Path::Root("fieldValidation");
                let supported = ["", "Ignore", "Strict", "Warn"];
                errors.push(FieldError::not_supported(path, other, &supported));
                FieldValidation::Strict
            }
        };
        if errors.is_empty() {
            Ok(Self {
                dry_run: !dry_run.is_empty(),
                validation,
            })
        } else {
            Err(invalid(kind, &errors))
        }
    }
}

/// What is wrong with `dryRun`.
pub(super) fn dry_run_error(values: &[&str]) -> Option<FieldError> {
    if values.iter().all(|value| *value == "All") {
        return None;
    }
    let value: Vec<Value> = values.iter().map(|value| Value::from(*value)).collect();
    Some(FieldError::not_supported(
        Path::Root("dryRun"),
        value,
        &["All"],
    ))
}

/// A number in the query; nothing if it is not given.
pub(super) fn number(request: &Request<'_>, name: &str) -> Result<Option<i64>, Status> {
    match request.query(name) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            let why = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
            Status::bad_request(why)
        }),
    }
}

/// 422 about options.
pub(super) fn invalid(kind: &str, errors: &[FieldError]) -> Status {
    let named = Named {
        group: "meta.k8s.io",
        resource: kind,
        name: "",
    };
    Status::invalid(named, errors)
}
