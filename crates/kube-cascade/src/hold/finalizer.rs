//! Putting a hold on an upstream and taking it off.
//!
//! How that is written is the business of [`Finalizer`]; here is what it means for a hold.

use kube::Client;

use super::HoldName;
use crate::{
    kubernetes::{self, CallError, Finalizer, Removed, Resource},
    object::ObjectRef,
};

/// How an attempt to put a hold ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Put {
    /// The hold has been put on the upstream.
    Held,
    /// The hold was on the upstream already.
    Already,
    /// The upstream terminates or is gone, or another one has its name: nothing was written.
    TooLate,
}

/// One upstream, for its hold.
pub(crate) struct Holder<'a> {
    pub(crate) client: &'a Client,
    pub(crate) resource: &'a Resource,
    pub(crate) object: &'a ObjectRef,
    pub(crate) hold: &'a HoldName,
}

impl Holder<'_> {
    /// Puts the hold on a live upstream; never on one that terminates.
    ///
    /// `may_write` is asked before each patch.
    ///
    /// # Errors
    /// A read or write that failed; after several changes by others in a row, the last of these.
    pub(crate) async fn put<E: From<CallError>>(
        &self,
        uid: Option<&str>,
        may_write: impl Fn() -> Result<(), E>,
    ) -> Result<Put, E> {
        match self.finalizer().put(uid, may_write).await? {
            kubernetes::Put::Written => Ok(Put::Held),
            kubernetes::Put::WasThere => Ok(Put::Already),
            kubernetes::Put::Terminating | kubernetes::Put::Gone => Ok(Put::TooLate),
            kubernetes::Put::Contended(error) => Err(error.into()),
        }
    }

    /// Takes the hold off; done when it is not there, or the upstream is not.
    ///
    /// `may_write` is asked before each patch.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub(crate) async fn release<E: From<CallError>>(
        &self,
        uid: Option<&str>,
        may_write: impl Fn() -> Result<(), E>,
    ) -> Result<(), E> {
        match self.finalizer().remove(uid, may_write).await? {
            Removed::Written | Removed::WasOff => Ok(()),
            Removed::Contended(error) => Err(error.into()),
        }
    }

    fn finalizer(&self) -> Finalizer<'_> {
        Finalizer {
            client: self.client,
            resource: self.resource,
            object: self.object,
            name: self.hold.as_str(),
        }
    }
}
