//! Whether somebody leads, asked by a process that does not contend.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease as Object;
use kube::{Api, Client};
use tokio::time::{Instant, sleep_until, timeout};

use super::LeaseError;
use super::election::{Election, Step};
use super::record::LeaseRecord;
use super::timing::LeaseTiming;

/// How long one request may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait between two looks: below the usual retry period, so that a live holder is
/// seen to be alive after its next renewal.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the Lease `namespace`/`name` says, if its holder is alive: `None` if nobody holds it, or
/// if its holder did not renew it for as long as the Lease lasts.
///
/// Takes until the next renewal of a live holder, and as long as the Lease lasts for a dead one.
/// Reads only; the client should not retry on its own.
pub async fn live_record(
    client: Client,
    namespace: &str,
    name: &str,
) -> Result<Option<LeaseRecord>, LeaseError> {
    let api = Api::<Object>::namespaced(client, namespace);
    let failed = |source: Box<dyn Error + Send + Sync>| LeaseError::Read {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        source,
    };
    // No holder has this identity, so nothing is ever taken for ours.
    let mut election = Election::new(Arc::from(""), LeaseTiming::default());
    let mut first = None;
    loop {
        let record = match timeout(CALL_TIMEOUT, api.get_opt(name)).await {
            Ok(Ok(lease)) => lease.as_ref().map(LeaseRecord::from),
            Ok(Err(error)) => return Err(failed(error.into())),
            Err(late) => return Err(failed(late.into())),
        };
        let now = Instant::now();
        let Step::Wait { until } = election.decide(record.as_ref(), now) else {
            return Ok(None);
        };
        match (&first, record) {
            (None, record) => first = record,
            (Some(first), Some(record)) if *first != record => return Ok(Some(record)),
            _ => {}
        }
        sleep_until(until.min(now + LOOK_EVERY)).await;
    }
}
