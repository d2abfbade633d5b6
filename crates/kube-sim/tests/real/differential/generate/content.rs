//! What is in objects, and some of what must not be.

use serde_json::{Value, json};

use super::{Generator, Place};

impl Generator {
    pub(super) fn broken_type(&mut self, object: &mut Value) {
        match self.below(100) {
            0 => object["kind"] = self.pick(&["Secret", "Gadget", ""]).into(),
            1 => object["apiVersion"] = self.pick(&["v1", "v2", "", "a/b"]).into(),
            _ => {}
        }
    }

    /// Metadata without a name.
    pub(super) fn metadata(&mut self) -> Value {
        let mut metadata = json!({});
        if self.percent(40) {
            metadata["labels"] = self.labels();
        }
        if self.percent(15) {
            metadata["annotations"] =
                json!({self.pick(&["x", "example.com/y"]): self.pick(&["", "1", "ü /"])});
        }
        if self.percent(25) {
            metadata["finalizers"] = self.finalizers();
        }
        if self.percent(30) {
            metadata["ownerReferences"] = self.owners();
        }
        metadata
    }

    pub(super) fn labels(&mut self) -> Value {
        match self.below(30) {
            0 => json!({"-a": "b"}),
            1 => json!({"a": self.pick(&["-", "a/b", " "])}),
            2 => json!({"a": "x".repeat(64)}),
            3 => json!({"a": self.pick(&[json!(1), json!(null), json!({}), json!(true)])}),
            4 => self.pick(&[json!(null), json!({}), json!("x"), json!([])]),
            _ => {
                let mut labels = json!({});
                for key in ["k", "tier"] {
                    if self.percent(60) {
                        labels[key] = self.pick(&["1", "2", ""]).into();
                    }
                }
                labels
            }
        }
    }

    pub(super) fn finalizers(&mut self) -> Value {
        match self.below(30) {
            0 => json!(["orphan", "foregroundDeletion"]),
            1 => json!([self.pick(&["a", "a/b/c", "a.b/", "", "a.b/c:d"])]),
            2 => json!([self.pick(&["orphan", "foregroundDeletion"])]),
            3 => json!([]),
            4 => json!(["a.b/c", "a.b/c"]),
            _ => self.pick(&[
                json!(["a.b/c"]),
                json!(["x.y/z"]),
                json!(["a.b/c", "x.y/z"]),
            ]),
        }
    }

    fn owners(&mut self) -> Value {
        let count = self.pick(&[1, 1, 1, 2]);
        (0..count).map(|_| self.owner()).collect()
    }

    pub(super) fn owner(&mut self) -> Value {
        let place = self.place();
        let uid = match self.below(12) {
            0 => "00000000-0000-4000-8000-000000000001".to_owned(),
            1 => format!("$first-uid({})", place.key()),
            _ => format!("$uid({})", place.key()),
        };
        let mut owner = json!({
            "apiVersion": place.api_version(),
            "kind": place.kind(),
            "name": place.name,
            "uid": uid,
        });
        if self.percent(60) {
            owner["blockOwnerDeletion"] = self.percent(75).into();
        }
        if self.percent(15) {
            owner["controller"] = self.percent(75).into();
        }
        if self.percent(3) {
            let field = self.pick(&["uid", "name", "kind", "apiVersion"]);
            owner[field] = "".into();
        }
        owner
    }

    pub(super) fn content(&mut self, place: Place, object: &mut Value) {
        if place.is_custom() {
            if self.percent(50) {
                object["spec"] = self.spec();
            }
            if self.percent(8) {
                object["status"] = json!({"phase": "set"});
            }
        } else if self.percent(50) {
            object["data"] = self.data();
        }
        if self.percent(4) {
            object["unknown"] = json!({"a": [1]});
        }
    }

    pub(super) fn spec(&mut self) -> Value {
        let mut spec = json!({});
        if self.percent(60) {
            spec["size"] = self.pick(&[json!(1), json!(2), json!(100), json!(0)]);
        }
        if self.percent(30) {
            spec["colour"] = self.pick(&["red", "green"]).into();
        }
        if self.percent(30) {
            spec["tags"] = self.pick(&[json!([]), json!(["a"]), json!(["a", "b", "c"])]);
        }
        if self.percent(20) {
            spec["note"] = self.pick(&[json!("x"), json!(""), json!(null)]);
        }
        match self.below(30) {
            0 => spec["size"] = self.pick(&[json!(-1), json!(101), json!("x"), json!(null)]),
            1 => spec["colour"] = self.pick(&[json!("blue"), json!(1)]),
            2 => spec["tags"] = self.pick(&[json!(["a", "b", "c", "d"]), json!([1]), json!({})]),
            3 => spec["unknown"] = json!(1),
            4 => spec = self.pick(&[json!("x"), json!([]), json!(null), json!(1)]),
            _ => {}
        }
        spec
    }

    pub(super) fn data(&mut self) -> Value {
        match self.below(20) {
            0 => json!({"a/b": "1"}),
            1 => json!({"x": self.pick(&[json!(1), json!(null), json!(true)])}),
            2 => self.pick(&[json!(null), json!({}), json!("x")]),
            _ => {
                let mut data = json!({});
                for key in ["x", "y"] {
                    if self.percent(60) {
                        data[key] = self.pick(&["1", "2", ""]).into();
                    }
                }
                data
            }
        }
    }
}
