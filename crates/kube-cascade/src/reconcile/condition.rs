//! The condition `Deleting`: what a deletion waits for, where everybody looks first.
//!
//! Pure: from the object as it was read to the JSON Patch of its status, or to nothing where the
//! condition is there already. [`Reconciler`](super::Reconciler) sends it.
//!
//! The form is that of the API conventions (`metav1.Condition`): `lastTransitionTime` moves only
//! with `status`, `observedGeneration` is the generation that was looked at. A live object has no
//! such condition, which the conventions read as `False`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Step;

const TYPE: &str = "Deleting";

/// How many of those that an object waits for a message names; an object used by thousands must
/// not carry all their names twice.
const NAMED: usize = 10;

/// Why an object is still there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Condition {
    reason: &'static str,
    message: String,
}

impl Condition {
    /// What a step has to say; `None` for those that need no words.
    pub(super) fn of(step: &Step) -> Option<Self> {
        let (reason, message) = match step {
            Step::WaitForReferences(references) => {
                ("AwaitingReferences", named("in use by", references))
            }
            Step::WaitForDependents(holds) => (
                "AwaitingDependents",
                named(
                    "objects that belong to this one are being deleted, see",
                    holds,
                ),
            ),
            Step::WaitForChildren => (
                "AwaitingChildren",
                "objects that this one owns are being deleted".to_owned(),
            ),
            Step::Deprovision => (
                "Deprovisioning",
                "nothing uses this object any more; it is being taken down".to_owned(),
            ),
            Step::Adopt | Step::Provision | Step::Finish | Step::Leave => return None,
        };
        Some(Self { reason, message })
    }

    /// The patch of `object`'s status that brings it this condition, `None` when it has it.
    ///
    /// Each part tests what it was computed from, so that it fails rather than overwrite what
    /// somebody else has written since, and so that it never reaches another object of that name.
    pub(super) fn patch(&self, object: &Value, now: Timestamp) -> Option<Value> {
        let metadata = &object["metadata"];
        let conditions = &object["status"]["conditions"];
        let place = conditions.as_array().and_then(|conditions| {
            let is_ours = |condition: &Value| condition["type"] == TYPE;
            conditions.iter().position(is_ours)
        });
        let mut wanted = json!({
            "type": TYPE,
            "status": "True",
            "reason": self.reason,
            "message": self.message,
            "observedGeneration": metadata["generation"],
            "lastTransitionTime": time(now),
        });
        let uid = json!({"op": "test", "path": "/metadata/uid", "value": metadata["uid"]});
        if let Some(place) = place {
            let found = &conditions[place];
            if found["status"] == wanted["status"] {
                wanted["lastTransitionTime"] = found["lastTransitionTime"].clone();
            }
            if *found == wanted {
                return None;
            }
            let path = format!("/status/conditions/{place}");
            return Some(json!([
                uid,
                {"op": "test", "path": path, "value": found},
                {"op": "replace", "path": path, "value": wanted},
            ]));
        }
        let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
        let absent = |path: &str| json!({"op": "test", "path": path, "value": null});
        Some(if conditions.is_array() {
            json!([uid, add("/status/conditions/-", wanted)])
        } else if object["status"].is_object() {
            let path = "/status/conditions";
            json!([uid, absent(path), add(path, json!([wanted]))])
        } else {
            let path = "/status";
            json!([
                uid,
                absent(path),
                add(path, json!({"conditions": [wanted]}))
            ])
        })
    }
}

/// To the second, which is what `metav1.Time` keeps.
fn time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn named<T: ToString>(what: &str, names: &[T]) -> String {
    let first: Vec<_> = names.iter().take(NAMED).map(ToString::to_string).collect();
    let message = format!("{what} {}", first.join(", "));
    match names.len().saturating_sub(NAMED) {
        0 => message,
        more => format!("{message} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05.6Z".parse().expect("it is a time")
    }

    fn object(status: &Value) -> Value {
        json!({"metadata": {"uid": "u", "generation": 7}, "status": status})
    }

    fn waiting(names: &[&str]) -> Condition {
        let names = names
            .iter()
            .map(|name| name.parse().expect("it is a reference"));
        Condition::of(&Step::WaitForReferences(names.collect())).expect("it has a condition")
    }

    fn written(message: &str, since: &str) -> Value {
        json!({
            "type": "Deleting", "status": "True", "reason": "AwaitingReferences",
            "message": message, "observedGeneration": 7, "lastTransitionTime": since,
        })
    }

    #[test]
    fn a_condition_is_put_beside_those_of_others() {
        let wanted = written("in use by a.b/c", "2026-01-02T03:04:05Z");
        let uid = json!({"op": "test", "path": "/metadata/uid", "value": "u"});
        let absent = |path: &str| json!({"op": "test", "path": path, "value": null});
        let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
        let theirs = json!({"type": "Ready", "status": "True"});
        let first = json!({"conditions": [wanted]});
        for (status, patch) in [
            (
                json!(null),
                json!([uid, absent("/status"), add("/status", first)]),
            ),
            (
                json!({"phase": "x"}),
                json!([
                    uid,
                    absent("/status/conditions"),
                    add("/status/conditions", json!([wanted]))
                ]),
            ),
            (
                json!({"conditions": [theirs]}),
                json!([uid, add("/status/conditions/-", wanted.clone())]),
            ),
        ] {
            let found = waiting(&["a.b/c"]).patch(&object(&status), now());
            assert_eq!(found, Some(patch), "{status}");
        }
    }

    #[test]
    fn a_condition_that_is_there_is_not_written_again() {
        let theirs = json!({"type": "Ready", "status": "True"});
        let ours = written("in use by a.b/c", "2025-01-01T00:00:00Z");
        let status = json!({"conditions": [theirs, ours]});
        assert_eq!(waiting(&["a.b/c"]).patch(&object(&status), now()), None);
    }

    #[test]
    fn the_time_of_transition_moves_only_with_the_status() {
        for (status, since) in [
            ("True", "2025-01-01T00:00:00Z"),
            ("False", "2026-01-02T03:04:05Z"),
            ("Unknown", "2026-01-02T03:04:05Z"),
        ] {
            let mut found = written("in use by somebody else", "2025-01-01T00:00:00Z");
            found["status"] = status.into();
            let theirs = json!({"type": "Ready", "status": "True"});
            let object = object(&json!({"conditions": [theirs, found]}));
            let patch = waiting(&["a.b/c"]).patch(&object, now());
            let wanted = json!([
                {"op": "test", "path": "/metadata/uid", "value": "u"},
                {"op": "test", "path": "/status/conditions/1", "value": found},
                {
                    "op": "replace", "path": "/status/conditions/1",
                    "value": written("in use by a.b/c", since),
                },
            ]);
            assert_eq!(patch, Some(wanted), "{status}");
        }
    }

    #[test]
    fn a_message_names_ten_and_counts_the_others() {
        let names: Vec<_> = (0..1000).map(|index| format!("a.b/c{index}")).collect();
        for (count, end) in [(1, "a.b/c0"), (10, "a.b/c9"), (11, "a.b/c9 and 1 more")] {
            let names: Vec<_> = names[..count].iter().map(String::as_str).collect();
            let message = waiting(&names).message;
            assert!(message.ends_with(end), "{message}");
        }
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let message = waiting(&names).message;
        assert!(
            message.ends_with("c9 and 990 more") && message.len() < 200,
            "{message}"
        );
    }
}
