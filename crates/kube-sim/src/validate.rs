//! What the server asks of an object's metadata, whatever its kind.
//!
//! Rules and wording follow `k8s.io/apimachinery/pkg/api/validation` and
//! `k8s.io/apimachinery/pkg/util/validation`.

pub(crate) mod name;
