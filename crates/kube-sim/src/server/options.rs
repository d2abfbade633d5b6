//! Options that requests carry in their query.

use serde_json::Value;

use super::request::Request;
use crate::{
    field::{FieldError, Path},
    status::{Named, Status},
};

/// Whether nothing is to be changed after all; `kind` is that of the options.
pub(super) fn dry_run(request: &Request<'_>, kind: &str) -> Result<bool, Status> {
    let values: Vec<&str> = request
        .query_all("dryRun")
        .filter(|value| !value.is_empty())
        .collect();
    check_dry_run(&values, kind)
}

/// The same for values from anywhere.
pub(super) fn check_dry_run(values: &[&str], kind: &str) -> Result<bool, Status> {
    if values.iter().any(|value| *value != "All") {
        let value: Vec<Value> = values.iter().map(|value| Value::from(*value)).collect();
        let error = FieldError::not_supported(Path::Root("dryRun"), value, &["All"]);
        return Err(invalid(kind, &[error]));
    }
    Ok(!values.is_empty())
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
