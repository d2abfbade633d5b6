//! How the objects of a kind are treated when they are written: what the server sets, what it
//! leaves alone, and what it refuses.
//!
//! These are the strategies of `k8s.io/kubernetes/pkg/registry` and of
//! `k8s.io/apiextensions-apiserver`.

mod events;

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use crate::{
    base64, definition,
    field::{FieldError, Path},
    schema::Schema,
    selector::FieldLabels,
    shape::{self, Struct},
    store::object::{Object, text},
    validate::{self, BuiltIn, EventGroup},
};

/// The treatment of one kind.
#[derive(Clone, Debug)]
pub(crate) enum Strategy {
    /// `ConfigMaps`, Secrets, `ServiceAccounts` and Leases: what a client writes is what is kept.
    Plain(Plain),
    Namespace,
    Event(EventGroup),
    Definition,
    Custom(Custom),
}

/// In which ways the plain kinds differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    ConfigMap,
    Secret,
    ServiceAccount,
    Lease,
}

/// What a definition says of one version.
#[derive(Clone, Debug)]
pub(crate) struct Custom {
    /// Whether this is the version that is stored.
    pub(crate) storage: bool,
    /// Whether there is a status subresource.
    pub(crate) status: bool,
    /// By which fields objects can be selected; see [`fields`].
    pub(crate) fields: Vec<String>,
    /// The name of this version.
    pub(crate) version: String,
    /// The schemas of all versions: objects are stored as one of them has them.
    pub(crate) schemas: Schemas,
}

/// Schemas by the names of their versions.
pub(crate) type Schemas = Arc<[(String, Arc<Schema>)]>;

impl Custom {
    fn schema(&self) -> &Schema {
        self.schema_of(&self.version)
    }

    /// The schema of a version; of this one, if there is no such version any more.
    fn schema_of(&self, version: &str) -> &Schema {
        let named = |name: &str| {
            let mut all = self.schemas.iter();
            let found = all.find(|(known, _)| known == name)?;
            Some(&*found.1)
        };
        named(version)
            .or_else(|| named(&self.version))
            .expect("every version has a schema")
    }
}

type Fields = LazyLock<Vec<String>>;

/// These fields, and those by which everything in a namespace can be selected.
fn fields(more: &[&str]) -> Vec<String> {
    let all = ["metadata.name", "metadata.namespace"];
    let all = all.iter().chain(more);
    all.map(|field| (*field).to_owned()).collect()
}

/// Which part of an object a request may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything, except the status where that is a part of its own.
    Main,
    /// The status alone.
    Status,
    /// The finalizers in a Namespace's `spec`.
    Finalize,
}

impl Strategy {
    /// Whether objects are stored as this version has them.
    pub(crate) fn stores(&self) -> bool {
        match self {
            Self::Custom(custom) => custom.storage,
            _ => !self.is_view(),
        }
    }

    /// Whether this is another view of what is stored, not another version of it: it is converted
    /// as it is read from a client, and as it is shown.
    pub(crate) fn is_view(&self) -> bool {
        matches!(self, Self::Event(EventGroup::Events))
    }

    /// Whether the server counts the changes of the desired state.
    pub(crate) fn has_generation(&self) -> bool {
        matches!(self, Self::Definition | Self::Custom(_))
    }

    /// Whether an update need not say of which version it is.
    pub(crate) fn allows_unconditional_update(&self) -> bool {
        match self {
            Self::Plain(plain) => *plain != Plain::Lease,
            Self::Namespace | Self::Event(_) => true,
            Self::Definition | Self::Custom(_) => false,
        }
    }

    /// Whether a PUT of what does not exist creates it.
    pub(crate) fn allows_create_on_update(&self) -> bool {
        matches!(self, Self::Plain(Plain::Lease) | Self::Event(_))
    }

    /// Whether a deletion can wait for dependents, or orphan them.
    pub(crate) fn has_dependents(&self) -> bool {
        !matches!(self, Self::Event(_))
    }

    /// Whether a DELETE answers with what it removed.
    pub(crate) fn returns_deleted(&self) -> bool {
        matches!(self, Self::Plain(Plain::ServiceAccount))
    }

    /// Sets what the server sets in a new object.
    pub(crate) fn prepare_create(&self, object: &mut Object) {
        match self {
            Self::Plain(plain) => plain.default(object),
            Self::Namespace => {
                label_with_name(object);
                let spec = object.get("spec").and_then(|spec| spec.get("finalizers"));
                let mut finalizers = spec.and_then(Value::as_array).cloned().unwrap_or_default();
                if !finalizers.contains(&Value::from("kubernetes")) {
                    finalizers.push("kubernetes".into());
                }
                object.insert("spec".to_owned(), json!({ "finalizers": finalizers }));
                object.insert("status".to_owned(), json!({ "phase": "Active" }));
            }
            Self::Event(_) => {}
            Self::Definition => with_value(object, definition::begin),
            Self::Custom(custom) => {
                if custom.status {
                    object.remove("status");
                }
            }
        }
    }

    /// Keeps out of an update what it may not change. Metadata has been dealt with before, apart
    /// from that of a status.
    pub(crate) fn prepare_update(&self, new: &mut Object, old: &Object, part: Part) {
        match (self, part) {
            (Self::Custom(_), Part::Status) => {
                let status = new.remove("status");
                new.clone_from(old);
                put(new, "status", status);
            }
            (_, Part::Status) => {
                let status = new.remove("status");
                let metadata = new.remove("metadata");
                new.clone_from(old);
                put(new, "status", status);
                put(new, "metadata", metadata);
            }
            (_, Part::Finalize) => {
                let finalizers = new["spec"]["finalizers"].take();
                let revision = metadata(new).get("resourceVersion").cloned();
                new.clone_from(old);
                new["spec"]["finalizers"] = finalizers;
                put(metadata_mut(new), "resourceVersion", revision);
            }
            (Self::Namespace, Part::Main) => {
                put(new, "spec", old.get("spec").cloned());
                put(new, "status", old.get("status").cloned());
                label_with_name(new);
            }
            (Self::Definition, Part::Main) => {
                put(new, "status", old.get("status").cloned());
                let old = Value::Object(old.clone());
                with_value(new, |new| {
                    let stored = definition::stored_versions(new, &old);
                    new["status"]["storedVersions"] = stored.into();
                });
            }
            (Self::Custom(custom), Part::Main) => {
                if custom.status {
                    put(new, "status", old.get("status").cloned());
                }
            }
            (Self::Plain(plain), Part::Main) => plain.default(new),
            (Self::Event(_), Part::Main) => {}
        }
    }

    /// Whether an update changes what the generation counts.
    pub(crate) fn changes_desired_state(&self, new: &Object, old: &Object) -> bool {
        let without_status = match self {
            Self::Custom(custom) => custom.status,
            _ => true,
        };
        let counts = |field: &&String| {
            !(matches!(field.as_str(), "metadata" | "apiVersion" | "kind")
                || without_status && *field == "status")
        };
        let differs = |field: &String| new.get(field) != old.get(field);
        new.keys().filter(counts).any(differs) || old.keys().filter(counts).any(differs)
    }

    /// By which fields objects can be selected.
    pub(crate) fn field_labels(&self) -> FieldLabels<'_> {
        static SECRET: Fields = LazyLock::new(|| fields(&["type"]));
        static NAMESPACE: Fields = LazyLock::new(|| {
            let fields = ["metadata.name", "name", "status.phase"];
            fields.map(str::to_owned).into()
        });
        static EVENT: Fields = LazyLock::new(|| events::fields("involvedObject"));
        static EVENTS_EVENT: Fields = LazyLock::new(|| events::fields("regarding"));
        FieldLabels::Listed(match self {
            Self::Plain(Plain::Secret) => &SECRET,
            Self::Namespace => &NAMESPACE,
            Self::Event(EventGroup::Core) => &EVENT,
            Self::Event(EventGroup::Events) => &EVENTS_EVENT,
            Self::Custom(custom) => &custom.fields,
            Self::Plain(_) | Self::Definition => return FieldLabels::Metadata,
        })
    }

    /// What is wrong with a new object.
    pub(crate) fn validate(&self, object: &Value, namespaced: bool) -> Vec<FieldError> {
        match self {
            Self::Definition => definition::create(object),
            Self::Custom(custom) => {
                validate::create_custom(object, namespaced, custom.schema().validate(object))
            }
            _ => self
                .built_in()
                .map_or_else(Vec::new, |kind| validate::create(kind, object)),
        }
    }

    /// What is wrong with an object that takes the place of another.
    pub(crate) fn validate_update(
        &self,
        new: &Value,
        old: &Value,
        namespaced: bool,
        part: Part,
    ) -> Vec<FieldError> {
        match (self, part) {
            (Self::Namespace, Part::Status) => {
                let mut errors = validate::update(BuiltIn::Namespace, new, old);
                errors.extend(phase_errors(new));
                errors
            }
            (Self::Definition, Part::Main) => definition::update(new, old),
            (Self::Definition, _) => validate::update_custom(new, old, namespaced, Vec::new()),
            (Self::Custom(custom), part) => {
                let content = match part {
                    Part::Status => custom.schema().validate_status(new, old),
                    Part::Main | Part::Finalize => custom.schema().validate_update(new, old),
                };
                validate::update_custom(new, old, namespaced, content)
            }
            _ => self
                .built_in()
                .map_or_else(Vec::new, |kind| validate::update(kind, new, old)),
        }
    }

    /// Does to what a client sent what the kind says beyond its shape, and says which fields are
    /// not known, or what cannot be read.
    pub(crate) fn complete(&self, object: &mut Value) -> Result<Vec<String>, String> {
        match self {
            Self::Definition => definition::fill_in(object),
            Self::Custom(custom) => {
                let unknown = custom.schema().read(object)?;
                custom.schema().default(object);
                return Ok(unknown);
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    /// What the server warns of when an object is accepted.
    pub(crate) fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        match self {
            Self::Definition => definition::warnings(new, old),
            Self::Custom(_) => validate::finalizer_warnings(new, old),
            _ => Vec::new(),
        }
    }

    /// The shape of what is built in.
    pub(crate) fn shape(&self) -> Option<&'static Struct> {
        Some(match self {
            Self::Plain(Plain::ConfigMap) => &shape::CONFIG_MAP,
            Self::Plain(Plain::Secret) => &shape::SECRET,
            Self::Plain(Plain::ServiceAccount) => &shape::SERVICE_ACCOUNT,
            Self::Plain(Plain::Lease) => &shape::LEASE,
            Self::Namespace => &shape::NAMESPACE,
            Self::Event(EventGroup::Core) => &shape::EVENT,
            Self::Event(EventGroup::Events) => &shape::EVENTS_EVENT,
            Self::Definition => &shape::DEFINITION,
            Self::Custom(_) => return None,
        })
    }

    fn built_in(&self) -> Option<BuiltIn> {
        Some(match self {
            Self::Plain(Plain::ConfigMap) => BuiltIn::ConfigMap,
            Self::Plain(Plain::Secret) => BuiltIn::Secret,
            Self::Plain(Plain::ServiceAccount) => BuiltIn::ServiceAccount,
            Self::Plain(Plain::Lease) => BuiltIn::Lease,
            Self::Namespace => BuiltIn::Namespace,
            Self::Event(group) => BuiltIn::Event { group: *group },
            Self::Definition | Self::Custom(_) => return None,
        })
    }

    /// Turns what is stored, as of `version`, into what this version shows.
    ///
    /// A custom resource gets the defaults of the version in which it is stored, and keeps of them
    /// what this version knows.
    pub(crate) fn convert_from_storage(&self, version: &str, object: &mut Object) {
        match self {
            _ if self.is_view() => events::from_core(object),
            Self::Custom(custom) => with_value(object, |object| {
                let stored = custom.schema_of(version);
                stored.keep(object);
                stored.default(object);
                if *version != *custom.version {
                    custom.schema().keep(object);
                }
            }),
            _ => {}
        }
    }

    /// Turns what another version has made of an object into what this one stores.
    pub(crate) fn convert_into_storage(&self, object: &mut Object) {
        if let Self::Custom(custom) = self {
            with_value(object, |object| {
                custom.schema().keep(object);
                custom.schema().default(object);
            });
        }
    }

    /// Turns what a client has sent into what is stored.
    pub(crate) fn convert_to_storage(&self, object: &mut Object) {
        if self.is_view() {
            events::to_core(object);
        }
    }
}

impl Plain {
    fn default(self, object: &mut Object) {
        match self {
            Self::Secret => Self::default_secret(object),
            // What belongs to features that are off is not kept.
            Self::Lease => {
                if let Some(Value::Object(spec)) = object.get_mut("spec") {
                    spec.retain(|key, _| !matches!(key.as_str(), "strategy" | "preferredHolder"));
                }
            }
            // Of its secrets, an account only knows the names.
            Self::ServiceAccount => {
                let secrets = object.get_mut("secrets").and_then(Value::as_array_mut);
                for secret in secrets
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_object_mut)
                {
                    secret.retain(|key, _| key == "name");
                }
            }
            Self::ConfigMap => {}
        }
    }

    fn default_secret(object: &mut Object) {
        object
            .entry("type")
            .or_insert_with(|| Value::from("Opaque"));
        let Some(Value::Object(texts)) = object.remove("stringData") else {
            return;
        };
        let data = object.entry("data").or_insert_with(|| json!({}));
        for (key, text) in texts {
            let text = text.as_str().unwrap_or("");
            data[key] = base64::standard(text.as_bytes()).into();
        }
    }
}

/// The metadata of an object.
pub(crate) fn metadata(object: &Object) -> &Object {
    static NONE: LazyLock<Object> = LazyLock::new(Object::new);
    object
        .get("metadata")
        .and_then(Value::as_object)
        .unwrap_or(&NONE)
}

/// The metadata of an object; put there if it is missing.
pub(crate) fn metadata_mut(object: &mut Object) -> &mut Object {
    let metadata = object
        .entry("metadata")
        .or_insert_with(|| Value::Object(Object::new()));
    if !metadata.is_object() {
        *metadata = Value::Object(Object::new());
    }
    match metadata {
        Value::Object(metadata) => metadata,
        _ => unreachable!("it has just been made an object"),
    }
}

/// Sets a field, or takes it away.
pub(crate) fn put(object: &mut Object, field: &str, value: Option<Value>) {
    match value {
        Some(value) => {
            object.insert(field.to_owned(), value);
        }
        None => {
            object.remove(field);
        }
    }
}

/// Does something to an object that is done to values.
fn with_value(object: &mut Object, change: impl FnOnce(&mut Value)) {
    let mut value = Value::Object(std::mem::take(object));
    change(&mut value);
    if let Value::Object(changed) = value {
        *object = changed;
    }
}

/// The label by which a Namespace can be selected by name.
fn label_with_name(namespace: &mut Object) {
    let metadata = metadata_mut(namespace);
    let name = text(metadata, "name").to_owned();
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if !name.is_empty() && labels.is_object() {
        labels["kubernetes.io/metadata.name"] = name.into();
    }
}

/// Whether the phase of a Namespace goes with its deletion.
fn phase_errors(namespace: &Value) -> Vec<FieldError> {
    let path = Path::Root("status");
    let path = path.child("Phase");
    let phase = namespace["status"]["phase"].as_str().unwrap_or("");
    let terminating = !namespace["metadata"]["deletionTimestamp"].is_null();
    let why = match (phase, terminating) {
        ("Active", false) | ("Terminating", true) => return Vec::new(),
        (_, false) => "may only be 'Active' if `deletionTimestamp` is empty",
        (_, true) => "may only be 'Terminating' if `deletionTimestamp` is not empty",
    };
    vec![FieldError::invalid(path, phase, why)]
}
