//! Random sequences of requests over few names, so that they meet.

mod content;
mod place;

use http::Method;
use serde_json::{Value, json};

use self::place::Place;
use super::step::{Sequence, Step};

const NAMES: [&str; 3] = ["a", "b", "c"];
const PLURALS: [&str; 2] = ["configmaps", "widgets"];
const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// The sequence of a seed.
pub(crate) fn sequence(seed: u64) -> Sequence {
    let mut generator = Generator {
        state: seed,
        generated_a_name: false,
    };
    let length = 10 + generator.below(21);
    let steps = (0..length).map(|_| generator.step()).collect();
    let watches = vec![generator.watch()];
    Sequence { steps, watches }
}

/// `SplitMix64`, which is enough for tests and the same everywhere.
struct Generator {
    state: u64,
    /// Generated names differ between the servers, and so would the order of two of them.
    generated_a_name: bool,
}

impl Generator {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("it is below a usize")
    }

    /// True so many times out of a hundred.
    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len());
        from[index].clone()
    }

    fn place(&mut self) -> Place {
        Place {
            // Mostly one namespace, so that objects meet.
            namespace: usize::from(self.percent(20)),
            plural: self.pick(&PLURALS),
            name: self.pick(&NAMES),
        }
    }

    fn step(&mut self) -> Step {
        match self.below(100) {
            0..24 => self.create(),
            24..29 => self.get(),
            29..37 => self.list(),
            37..50 => self.replace(),
            50..60 => self.merge(),
            60..67 => self.json_patch(),
            67..73 => self.strategic(),
            73..79 => self.status(),
            79..97 => self.delete(),
            97..98 => self.delete_collection(),
            _ => self.odd(),
        }
    }

    fn create(&mut self) -> Step {
        let place = self.place();
        let mut metadata = self.metadata();
        metadata["name"] = place.name.into();
        match self.below(40) {
            0 => metadata["name"] = self.pick(&["A", "a_b", "", "-", "a.b", "a..b"]).into(),
            1 if !self.generated_a_name => {
                self.generated_a_name = true;
                metadata["name"] = "".into();
                metadata["generateName"] = self.pick(&["gen-", "Gen-", "gen."]).into();
            }
            2 => metadata["namespace"] = self.pick(&["$0", "$1", "", "other"]).into(),
            3 => metadata["resourceVersion"] = self.pick(&["", "0", "5"]).into(),
            4 => {
                metadata["uid"] = "mine".into();
                metadata["generation"] = self.pick(&[json!(0), json!(7)]);
                metadata["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
                metadata["deletionTimestamp"] = "2001-01-01T00:00:00Z".into();
            }
            _ => {}
        }
        let mut object = place.object(&metadata);
        self.content(place, &mut object);
        self.broken_type(&mut object);
        let query = self.write_query();
        Step::new(Method::POST, place.collection() + &query).body(object)
    }

    fn write_query(&mut self) -> String {
        match self.below(40) {
            0..3 => "?dryRun=All".to_owned(),
            3 => "?fieldValidation=Strict".to_owned(),
            4 => "?fieldValidation=Warn".to_owned(),
            5 => "?fieldValidation=Ignore&fieldManager=me".to_owned(),
            6 => self
                .pick(&["?dryRun=Some", "?fieldValidation=Bogus", "?pretty=true"])
                .to_owned(),
            _ => String::new(),
        }
    }

    fn get(&mut self) -> Step {
        let place = self.place();
        let path = place.path();
        if self.percent(20) {
            Step::new(Method::GET, path).accept(PARTIAL)
        } else {
            Step::new(Method::GET, path)
        }
    }

    fn list(&mut self) -> Step {
        let place = self.place();
        let path = place.collection();
        let selector = self.selector();
        match self.below(12) {
            0..2 => Step::new(Method::GET, format!("{path}?limit=1")),
            2..4 => Step::new(
                Method::GET,
                format!("{path}?limit=1&continue=$token({path})"),
            ),
            4 => Step::new(Method::GET, format!("{path}?limit=2&{selector}")),
            5 => Step::new(
                Method::GET,
                format!(
                    "{path}?resourceVersion=$rv({})&resourceVersionMatch=Exact",
                    place.key()
                ),
            ),
            6 => Step::new(Method::GET, path).accept(PARTIAL_LIST),
            7 => Step::new(Method::GET, format!("{path}?{}", self.odd_list_query())),
            _ => Step::new(Method::GET, format!("{path}?{selector}")),
        }
    }

    fn selector(&mut self) -> String {
        let selector = self.pick(&[
            "labelSelector=",
            "labelSelector=k%3D1",
            "labelSelector=k%3D",
            "labelSelector=k",
            "labelSelector=!k",
            "labelSelector=k!%3D1",
            "labelSelector=k%20in%20(1,2),tier",
            "labelSelector=k%20notin%20(1)",
            "labelSelector=k%3E1",
            "labelSelector=k%3D1,tier%3D2",
            "fieldSelector=metadata.name%3Da",
            "fieldSelector=metadata.name!%3Da",
            "fieldSelector=metadata.namespace%3D$0",
            "fieldSelector=metadata.name%3Da&labelSelector=k",
        ]);
        selector.to_owned()
    }

    fn odd_list_query(&mut self) -> String {
        let query = self.pick(&[
            "labelSelector=k%3D-1",
            "labelSelector=k%3D1%3D2",
            "labelSelector=k%20in%20(",
            "labelSelector=,",
            "fieldSelector=spec.x%3D1",
            "fieldSelector=metadata.name",
            "limit=x",
            "limit=-1",
            "continue=bogus",
            "continue=e30",
            "resourceVersion=x",
            "resourceVersionMatch=Exact",
            "resourceVersion=0&resourceVersionMatch=Exact",
            "resourceVersion=1&resourceVersionMatch=Bogus",
            "sendInitialEvents=true",
            "timeoutSeconds=x",
            "allowWatchBookmarks=true",
        ]);
        query.to_owned()
    }

    fn replace(&mut self) -> Step {
        let place = self.place();
        let mut metadata = self.metadata();
        metadata["name"] = place.name.into();
        match self.below(20) {
            0 => {}
            1 => metadata["resourceVersion"] = "1".into(),
            2 => metadata["resourceVersion"] = format!("$first-rv({})", place.key()).into(),
            3 => metadata["resourceVersion"] = self.pick(&["x", "0", "", "-1"]).into(),
            _ => metadata["resourceVersion"] = format!("$rv({})", place.key()).into(),
        }
        match self.below(30) {
            0..3 => metadata["uid"] = format!("$uid({})", place.key()).into(),
            3 => metadata["uid"] = format!("$first-uid({})", place.key()).into(),
            4 => metadata["uid"] = "mine".into(),
            5 => metadata["name"] = self.pick(&["", "b", "z"]).into(),
            6 => metadata["namespace"] = self.pick(&["$0", "$1"]).into(),
            7 => metadata["generation"] = json!(9),
            8 => metadata["deletionTimestamp"] = "2001-01-01T00:00:00Z".into(),
            9 => {
                metadata["creationTimestamp"] =
                    self.pick(&[json!(null), json!("2001-01-01T00:00:00Z")]);
            }
            _ => {}
        }
        let mut object = place.object(&metadata);
        self.content(place, &mut object);
        self.broken_type(&mut object);
        let query = self.write_query();
        Step::new(Method::PUT, place.path() + &query).body(object)
    }

    fn merge(&mut self) -> Step {
        let place = self.place();
        let patch = self.merge_patch(place);
        let query = self.write_query();
        Step::new(Method::PATCH, place.path() + &query)
            .content_type(MERGE)
            .body(patch)
    }

    fn merge_patch(&mut self, place: Place) -> Value {
        let mut patch = json!({});
        match self.below(20) {
            0..5 => patch["metadata"] = self.metadata(),
            5..8 => {
                let finalizers =
                    self.pick(&[json!(null), json!([]), json!(["a.b/c"]), json!(["x.y/z"])]);
                patch["metadata"] = json!({"finalizers": finalizers});
            }
            8..10 => {
                let labels = json!({"k": self.pick(&[json!("1"), json!("2"), json!(null)])});
                patch["metadata"] = json!({"labels": labels});
            }
            10 => patch["metadata"] = json!({"ownerReferences": null}),
            11 => {
                let version = self.pick(&["$rv", "$first-rv"]);
                patch["metadata"] = json!({
                    "resourceVersion": format!("{version}({})", place.key()),
                    "labels": self.labels(),
                });
            }
            12 => {
                patch["metadata"] = self.pick(&[
                    json!(null),
                    json!("x"),
                    json!({"name": "z"}),
                    json!({"namespace": "z"}),
                    json!({"uid": "z"}),
                    json!({"generation": 5}),
                    json!({"creationTimestamp": null}),
                    json!({"deletionTimestamp": null}),
                    json!({"deletionTimestamp": "2001-01-01T00:00:00Z"}),
                    json!({"deletionGracePeriodSeconds": 5}),
                    json!({"resourceVersion": null}),
                    json!({"selfLink": "/x"}),
                    json!({"unknown": 1}),
                ]);
            }
            _ => {}
        }
        if self.percent(50) {
            self.content(place, &mut patch);
        }
        if self.percent(2) {
            self.broken_type(&mut patch);
        }
        patch
    }

    fn json_patch(&mut self) -> Step {
        let place = self.place();
        let count = self.pick(&[1, 1, 2, 3]);
        let operations: Value = (0..count).map(|_| self.operation(place)).collect();
        let query = self.write_query();
        Step::new(Method::PATCH, place.path() + &query)
            .content_type(JSON)
            .body(operations)
    }

    fn operation(&mut self, place: Place) -> Value {
        match self.below(16) {
            0 => json!({"op": "add", "path": "/metadata/labels", "value": self.labels()}),
            1..3 => {
                json!({"op": "add", "path": "/metadata/labels/k", "value": self.pick(&["1", "2"])})
            }
            3 => json!({"op": "remove", "path": "/metadata/labels/k"}),
            4 => json!({"op": "replace", "path": "/metadata/labels/k", "value": "2"}),
            5 => json!({"op": "test", "path": "/metadata/labels/k", "value": "1"}),
            6 => json!({"op": "add", "path": "/metadata/finalizers", "value": self.finalizers()}),
            7 => json!({"op": "add", "path": "/metadata/finalizers/-", "value": "x.y/z"}),
            8 => json!({"op": "remove", "path": "/metadata/finalizers/0"}),
            9 => json!({"op": "remove", "path": "/metadata/finalizers"}),
            10 => json!({
                "op": "test",
                "path": "/metadata/resourceVersion",
                "value": format!("$rv({})", place.key()),
            }),
            11 => json!({
                "op": "move",
                "from": "/metadata/labels/k",
                "path": "/metadata/labels/tier",
            }),
            12 => json!({
                "op": "copy",
                "from": "/metadata/labels",
                "path": "/metadata/annotations",
            }),
            13 if place.is_custom() => {
                json!({"op": "add", "path": "/spec", "value": self.spec()})
            }
            13 => json!({"op": "add", "path": "/data", "value": self.data()}),
            14 => {
                json!({"op": "remove", "path": self.pick(&["/spec", "/data", "/status", "/metadata/ownerReferences"])})
            }
            _ => self.pick(&[
                json!({"op": "bogus", "path": "/metadata"}),
                json!({"op": "add", "path": "metadata", "value": 1}),
                json!({"op": "replace", "path": "/metadata/name", "value": "z"}),
                json!({"op": "remove", "path": "/metadata"}),
                json!({"op": "add", "path": "/metadata/labels/a~1b", "value": "1"}),
                json!({"op": "add", "path": "/metadata/finalizers/7", "value": "x.y/z"}),
                json!({"op": "test", "path": "/spec", "value": null}),
                json!({"op": "replace", "path": "", "value": {}}),
                json!({}),
                json!(1),
            ]),
        }
    }

    fn strategic(&mut self) -> Step {
        let place = self.place();
        let patch = match self.below(10) {
            0 => json!({"metadata": {"finalizers": self.finalizers()}}),
            1 => json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c"]}}),
            2 => json!({"metadata": {"labels": {"$patch": "replace", "k": "2"}}}),
            3 => {
                let mut owner = self.owner();
                if self.percent(40) {
                    owner["$patch"] = "delete".into();
                }
                json!({"metadata": {"ownerReferences": [owner]}})
            }
            4 => json!({"data": {"$patch": "delete"}}),
            _ => self.merge_patch(place),
        };
        let query = self.write_query();
        Step::new(Method::PATCH, place.path() + &query)
            .content_type(STRATEGIC)
            .body(patch)
    }

    fn status(&mut self) -> Step {
        let mut place = self.place();
        if self.percent(90) {
            place.plural = "widgets";
        }
        let path = place.path() + "/status";
        let status = self.pick(&[
            json!({"phase": "up"}),
            json!({"phase": "down"}),
            json!({"phase": 5}),
            json!({"unknown": 1}),
        ]);
        match self.below(8) {
            0 => Step::new(Method::GET, path),
            1..4 => {
                let mut metadata = self.metadata();
                metadata["name"] = place.name.into();
                metadata["resourceVersion"] = format!("$rv({})", place.key()).into();
                let mut object = place.object(&metadata);
                self.content(place, &mut object);
                object["status"] = status;
                Step::new(Method::PUT, path).body(object)
            }
            _ => {
                let mut change = self.merge_patch(place);
                change["status"] = status;
                Step::new(Method::PATCH, path)
                    .content_type(MERGE)
                    .body(change)
            }
        }
    }

    fn delete(&mut self) -> Step {
        let place = self.place();
        let path = place.path();
        match self.below(30) {
            0 => return Step::new(Method::DELETE, path),
            1 => return Step::new(Method::DELETE, path + "?propagationPolicy=Foreground"),
            2 => {
                return Step::new(
                    Method::DELETE,
                    path + "?dryRun=All&propagationPolicy=Orphan",
                );
            }
            3 => {
                return Step::new(Method::DELETE, path)
                    .accept(PARTIAL)
                    .body(self.options(place));
            }
            _ => {}
        }
        let options = self.options(place);
        Step::new(Method::DELETE, path).body(options)
    }

    fn options(&mut self, place: Place) -> Value {
        let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if self.percent(70) {
            options["propagationPolicy"] = self
                .pick(&["Foreground", "Foreground", "Background", "Orphan"])
                .into();
        }
        match self.below(20) {
            0..3 => {
                options["preconditions"] = json!({
                    "uid": format!("$uid({})", place.key()),
                    "resourceVersion": format!("$rv({})", place.key()),
                });
            }
            3..5 => options["preconditions"] = json!({"uid": format!("$uid({})", place.key())}),
            5 => options["preconditions"] = json!({"uid": format!("$first-uid({})", place.key())}),
            6 => {
                let version = format!("$first-rv({})", place.key());
                options["preconditions"] = json!({"resourceVersion": version});
            }
            7 => options["preconditons"] = json!({"uid": "x"}),
            8 => options["dryRun"] = json!(["All"]),
            _ => {}
        }
        match self.below(60) {
            0 => options["propagationPolicy"] = "Bogus".into(),
            1 => options["orphanDependents"] = self.percent(50).into(),
            2 => options["gracePeriodSeconds"] = self.pick(&[json!(0), json!(5), json!(-1)]),
            3 => options["dryRun"] = json!(["Some"]),
            4 => options["kind"] = "ConfigMap".into(),
            5 => options["preconditions"] = json!({"uid": 5}),
            _ => {}
        }
        options
    }

    fn delete_collection(&mut self) -> Step {
        let place = self.place();
        let query = self.pick(&["?labelSelector=k%3D1", "?labelSelector=k%3D2", ""]);
        let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if self.percent(60) {
            options["propagationPolicy"] =
                self.pick(&["Foreground", "Background", "Orphan"]).into();
        }
        Step::new(Method::DELETE, place.collection() + query).body(options)
    }

    fn odd(&mut self) -> Step {
        let place = self.place();
        let (collection, path) = (place.collection(), place.path());
        match self.below(12) {
            0 => Step::new(Method::POST, collection).body("{bad".into()),
            1 => Step::new(Method::POST, collection).body("".into()),
            2 => Step::new(Method::POST, collection).body("[]".into()),
            3 => Step::new(Method::PATCH, path)
                .content_type(MERGE)
                .body("{".into()),
            4 => Step::new(Method::PATCH, path)
                .content_type(MERGE)
                .body("[]".into()),
            5 => Step::new(Method::PATCH, path)
                .content_type(JSON)
                .body("{}".into()),
            6 => Step::new(Method::PATCH, path)
                .content_type("text/plain")
                .body("{}".into()),
            7 => Step::new(Method::PUT, collection).body(place.object(&json!({"name": "a"}))),
            8 => Step::new(Method::DELETE, path).body("{bad".into()),
            9 => Step::new(Method::POST, path).body(place.object(&json!({"name": place.name}))),
            10 => Step::new(Method::GET, path + "/scale"),
            _ => Step::new(Method::GET, collection.replace("s/$", "s/nowhere-$")),
        }
    }

    fn watch(&mut self) -> String {
        let namespace = usize::from(self.percent(10));
        let plural = self.pick(&PLURALS);
        let query = self.pick(&[
            "",
            "",
            "?labelSelector=k%3D1",
            "?labelSelector=k",
            "?labelSelector=tier!%3D1",
            "?fieldSelector=metadata.name%3Da",
        ]);
        format!("{namespace}/{plural}{query}")
    }
}
