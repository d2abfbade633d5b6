use super::*;
use crate::{
    kubernetes::{CallError, Class},
    object::{Kind, ObjectRef},
    reconcile::ReconcileError,
    reference::{AddAllError, AddError, NameError, RemoveAllError, RemoveError},
};

const PATIENCE: Duration = Duration::from_secs(32);

#[derive(Debug, thiserror::Error)]
#[error("the network is not ready")]
struct Own(#[source] AddError);

fn throttled() -> CallError {
    CallError::new("patch it", Class::Throttled(PATIENCE))
}

#[test]
fn an_error_that_is_passed_on_keeps_the_wait_that_the_server_asked_for() {
    let passed_on: [ConsumeError; 8] = [
        throttled().into(),
        NameError::from(throttled()).into(),
        AddError::from(throttled()).into(),
        AddAllError::from(throttled()).into(),
        RemoveError::from(throttled()).into(),
        RemoveAllError::from(throttled()).into(),
        ReconcileError::from(throttled()).into(),
        Own(throttled().into()).into(),
    ];
    for error in passed_on {
        assert_eq!(error.minimum_delay(), Some(PATIENCE), "{error:?}");
    }
}

#[test]
fn what_people_cure_is_tried_again_after_a_minute() {
    for class in [Class::Forbidden, Class::NotServed] {
        let error = ConsumeError::from(AddError::from(CallError::new("patch it", class)));
        assert_eq!(error.minimum_delay(), Some(Duration::from_secs(60)));
    }
}

#[test]
fn an_error_that_names_no_wait_is_tried_again_after_the_backoff() {
    let object = ObjectRef::new(Kind::new("", "ConfigMap"), Some("default".into()), "map");
    let conflict = CallError::new("patch it", Class::Conflict);
    let passed_on: [ConsumeError; 3] = [
        conflict.into(),
        AddError::NotFound { object }.into(),
        fmt::Error.into(),
    ];
    for error in passed_on {
        assert_eq!(error.minimum_delay(), None, "{error:?}");
    }
}
