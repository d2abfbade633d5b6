//! What a Lease says, read tolerantly: anybody with the right to write it may have written it.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease as Object;

/// What a Lease says about who leads.
///
/// Two records are equal only if nothing about the Lease has changed, its `resourceVersion`
/// included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    holder: Option<String>,
    duration: Option<Duration>,
    transitions: i32,
    annotations: BTreeMap<String, String>,
    /// Never read to decide anything: it is another machine's clock. Compared for equality only.
    renewed: Option<String>,
    resource_version: Option<String>,
}

impl LeaseRecord {
    /// Who holds the Lease, `None` if it was released.
    ///
    /// A name here does not say that its owner is alive.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// The annotations of the Lease.
    #[must_use]
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// How long the holder asked others to wait after a renewal; `None` unless it is positive.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// How often the Lease has changed hands.
    #[must_use]
    pub fn transitions(&self) -> i32 {
        self.transitions
    }
}

impl From<&Object> for LeaseRecord {
    fn from(lease: &Object) -> Self {
        let spec = lease.spec.as_ref();
        Self {
            holder: spec
                .and_then(|spec| spec.holder_identity.clone())
                .filter(|holder| !holder.is_empty()),
            duration: spec
                .and_then(|spec| spec.lease_duration_seconds)
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            transitions: spec
                .and_then(|spec| spec.lease_transitions)
                .unwrap_or(0)
                .max(0),
            annotations: lease.metadata.annotations.clone().unwrap_or_default(),
            renewed: spec
                .and_then(|spec| spec.renew_time.as_ref())
                .map(|time| time.0.to_string()),
            resource_version: lease.metadata.resource_version.clone(),
        }
    }
}

#[cfg(test)]
impl LeaseRecord {
    /// A record that `holder` wrote last, as its `version`.
    pub(super) fn held(holder: &str, version: u64) -> Self {
        Self {
            holder: Some(holder.to_owned()).filter(|holder| !holder.is_empty()),
            duration: Some(Duration::from_secs(15)),
            transitions: 0,
            annotations: BTreeMap::new(),
            renewed: None,
            resource_version: Some(version.to_string()),
        }
    }

    pub(super) fn lasting(mut self, seconds: u64) -> Self {
        self.duration = Some(Duration::from_secs(seconds));
        self
    }

    pub(super) fn renewed_at(mut self, time: &str) -> Self {
        self.renewed = Some(time.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hostile_leases_read_as_unheld_or_as_saying_nothing() {
        // spec, holder, seconds, transitions
        let rows = [
            (json!(null), None, None, 0),
            (json!({}), None, None, 0),
            (json!({"holderIdentity": ""}), None, None, 0),
            (
                json!({"holderIdentity": "a", "leaseDurationSeconds": -5}),
                Some("a"),
                None,
                0,
            ),
            (
                json!({"holderIdentity": "a", "leaseDurationSeconds": 0}),
                Some("a"),
                None,
                0,
            ),
            (
                json!({"holderIdentity": "a", "leaseDurationSeconds": i32::MAX}),
                Some("a"),
                Some(2_147_483_647),
                0,
            ),
            (json!({"leaseTransitions": i32::MIN}), None, None, 0),
            (json!({"leaseTransitions": i32::MAX}), None, None, i32::MAX),
            (
                json!({"renewTime": "0001-01-01T00:00:00.000000Z"}),
                None,
                None,
                0,
            ),
        ];
        for (spec, holder, seconds, transitions) in rows {
            let lease: Object = serde_json::from_value(json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "x"}, "spec": spec,
            }))
            .unwrap_or_else(|error| panic!("{spec} is read: {error}"));
            let record = LeaseRecord::from(&lease);
            assert_eq!(record.holder(), holder, "{spec}");
            assert_eq!(
                record.duration(),
                seconds.map(Duration::from_secs),
                "{spec}"
            );
            assert_eq!(record.transitions(), transitions, "{spec}");
            assert!(record.annotations().is_empty(), "{spec}");
        }
    }
}
