//! Where objects are: two kinds, two namespaces, three names.

use serde_json::{Value, json};

/// An object, as placeholders and paths name it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) namespace: usize,
    pub(super) plural: &'static str,
    pub(super) name: &'static str,
}

impl Place {
    pub(super) fn collection(self) -> String {
        let Self {
            namespace, plural, ..
        } = self;
        let root = if self.is_custom() {
            "/apis/conformance.example.com/v1"
        } else {
            "/api/v1"
        };
        format!("{root}/namespaces/${namespace}/{plural}")
    }

    pub(super) fn path(self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }

    pub(super) fn key(self) -> String {
        format!("{}/{}/{}", self.namespace, self.plural, self.name)
    }

    pub(super) fn is_custom(self) -> bool {
        self.plural == "widgets"
    }

    pub(super) fn api_version(self) -> &'static str {
        if self.is_custom() {
            "conformance.example.com/v1"
        } else {
            "v1"
        }
    }

    pub(super) fn kind(self) -> &'static str {
        if self.is_custom() {
            "Widget"
        } else {
            "ConfigMap"
        }
    }

    pub(super) fn object(self, metadata: &Value) -> Value {
        json!({"apiVersion": self.api_version(), "kind": self.kind(), "metadata": metadata})
    }
}
