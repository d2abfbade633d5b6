//! The fields of the kinds that are built in, as `k8s.io/api` 1.36 has them.

use super::{Field, Struct, Type, Zero};
use Type::{Any, Bool, Bytes, Float, Int32, Int64, List, Map, MicroTime, Named, Text, Time};
use Zero::{Absent, Omit, Show};

/// A struct of `v1`, as most are.
const fn v1(name: &'static str, fields: &'static [Field]) -> Struct {
    Struct {
        name,
        package: "v1",
        fields,
    }
}

const TEXTS: Type = List(&Text, "[]string");
const TEXT_MAP: Type = Map(&Text, "map[string]string");

pub(crate) static METADATA: Struct = v1(
    "ObjectMeta",
    &[
        Field("name", Text, Omit),
        Field("generateName", Text, Omit),
        Field("namespace", Text, Omit),
        Field("selfLink", Text, Omit),
        Field("uid", Named("types.UID"), Omit),
        Field("resourceVersion", Text, Omit),
        Field("generation", Int64, Omit),
        Field("creationTimestamp", Time, Omit),
        Field("deletionTimestamp", Time, Omit),
        Field("deletionGracePeriodSeconds", Int64, Absent),
        Field("labels", TEXT_MAP, Omit),
        Field("annotations", TEXT_MAP, Omit),
        Field(
            "ownerReferences",
            List(&Type::Struct(&OWNER), "[]v1.OwnerReference"),
            Omit,
        ),
        Field("finalizers", TEXTS, Omit),
        Field(
            "managedFields",
            List(&Type::Struct(&MANAGED), "[]v1.ManagedFieldsEntry"),
            Omit,
        ),
    ],
);

static OWNER: Struct = v1(
    "OwnerReference",
    &[
        Field("apiVersion", Text, Show),
        Field("kind", Text, Show),
        Field("name", Text, Show),
        Field("uid", Named("types.UID"), Show),
        Field("controller", Bool, Absent),
        Field("blockOwnerDeletion", Bool, Absent),
    ],
);

static MANAGED: Struct = v1(
    "ManagedFieldsEntry",
    &[
        Field("manager", Text, Omit),
        Field("operation", Named("v1.ManagedFieldsOperationType"), Omit),
        Field("apiVersion", Text, Omit),
        Field("time", Time, Absent),
        Field("fieldsType", Text, Omit),
        Field("fieldsV1", Any, Absent),
        Field("subresource", Text, Omit),
    ],
);

pub(crate) static DELETE_OPTIONS: Struct = v1(
    "DeleteOptions",
    &[
        Field("gracePeriodSeconds", Int64, Absent),
        Field("preconditions", Type::Struct(&PRECONDITIONS), Absent),
        Field("orphanDependents", Bool, Absent),
        Field("propagationPolicy", Named("v1.DeletionPropagation"), Absent),
        Field("dryRun", TEXTS, Omit),
        Field(
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            Bool,
            Absent,
        ),
    ],
);

static PRECONDITIONS: Struct = v1(
    "Preconditions",
    &[
        Field("uid", Named("types.UID"), Absent),
        Field("resourceVersion", Text, Absent),
    ],
);

pub(crate) static NAMESPACE: Struct = v1(
    "Namespace",
    &[
        Field("metadata", Type::Struct(&METADATA), Show),
        Field("spec", Type::Struct(&NAMESPACE_SPEC), Show),
        Field("status", Type::Struct(&NAMESPACE_STATUS), Show),
    ],
);

static NAMESPACE_SPEC: Struct = v1(
    "NamespaceSpec",
    &[Field(
        "finalizers",
        List(&Named("v1.FinalizerName"), "[]v1.FinalizerName"),
        Omit,
    )],
);

static NAMESPACE_STATUS: Struct = v1(
    "NamespaceStatus",
    &[
        Field("phase", Named("v1.NamespacePhase"), Omit),
        Field(
            "conditions",
            List(
                &Type::Struct(&NAMESPACE_CONDITION),
                "[]v1.NamespaceCondition",
            ),
            Omit,
        ),
    ],
);

static NAMESPACE_CONDITION: Struct = v1(
    "NamespaceCondition",
    &[
        Field("type", Named("v1.NamespaceConditionType"), Show),
        Field("status", Named("v1.ConditionStatus"), Show),
        Field("lastTransitionTime", Time, Show),
        Field("reason", Text, Omit),
        Field("message", Text, Omit),
    ],
);

pub(crate) static CONFIG_MAP: Struct = v1(
    "ConfigMap",
    &[
        Field("metadata", Type::Struct(&METADATA), Show),
        Field("immutable", Bool, Absent),
        Field("data", TEXT_MAP, Omit),
        Field("binaryData", Map(&Bytes, "map[string][]uint8"), Omit),
    ],
);

pub(crate) static SECRET: Struct = v1(
    "Secret",
    &[
        Field("metadata", Type::Struct(&METADATA), Show),
        Field("immutable", Bool, Absent),
        Field("data", Map(&Bytes, "map[string][]uint8"), Omit),
        Field("stringData", TEXT_MAP, Omit),
        Field("type", Named("v1.SecretType"), Omit),
    ],
);

pub(crate) static SERVICE_ACCOUNT: Struct = v1(
    "ServiceAccount",
    &[
        Field("metadata", Type::Struct(&METADATA), Show),
        Field(
            "secrets",
            List(&Type::Struct(&OBJECT_REFERENCE), "[]v1.ObjectReference"),
            Omit,
        ),
        Field(
            "imagePullSecrets",
            List(&Type::Struct(&LOCAL_REFERENCE), "[]v1.LocalObjectReference"),
            Omit,
        ),
        Field("automountServiceAccountToken", Bool, Absent),
    ],
);

static LOCAL_REFERENCE: Struct = v1("LocalObjectReference", &[Field("name", Text, Omit)]);

static OBJECT_REFERENCE: Struct = v1(
    "ObjectReference",
    &[
        Field("kind", Text, Omit),
        Field("namespace", Text, Omit),
        Field("name", Text, Omit),
        Field("uid", Named("types.UID"), Omit),
        Field("apiVersion", Text, Omit),
        Field("resourceVersion", Text, Omit),
        Field("fieldPath", Text, Omit),
    ],
);

/// An Event of the core group.
pub(crate) static EVENT: Struct = v1(
    "Event",
    &[
        Field("metadata", Type::Struct(&METADATA), Show),
        Field("involvedObject", Type::Struct(&OBJECT_REFERENCE), Show),
        Field("reason", Text, Omit),
        Field("message", Text, Omit),
        Field("source", Type::Struct(&EVENT_SOURCE), Show),
        Field("firstTimestamp", Time, Show),
        Field("lastTimestamp", Time, Show),
        Field("count", Int32, Omit),
        Field("type", Text, Omit),
        Field("eventTime", MicroTime, Show),
        Field("series", Type::Struct(&EVENT_SERIES), Absent),
        Field("action", Text, Omit),
        Field("related", Type::Struct(&OBJECT_REFERENCE), Absent),
        Field("reportingComponent", Text, Show),
        Field("reportingInstance", Text, Show),
    ],
);

static EVENT_SOURCE: Struct = v1(
    "EventSource",
    &[Field("component", Text, Omit), Field("host", Text, Omit)],
);

static EVENT_SERIES: Struct = v1(
    "EventSeries",
    &[
        Field("count", Int32, Omit),
        Field("lastObservedTime", MicroTime, Show),
    ],
);

/// An Event of `events.k8s.io`.
pub(crate) static EVENTS_EVENT: Struct = v1(
    "Event",
    &[
        Field("metadata", Type::Struct(&METADATA), Show),
        Field("eventTime", MicroTime, Show),
        Field("series", Type::Struct(&EVENTS_SERIES), Absent),
        Field("reportingController", Text, Omit),
        Field("reportingInstance", Text, Omit),
        Field("action", Text, Omit),
        Field("reason", Text, Omit),
        Field("regarding", Type::Struct(&OBJECT_REFERENCE), Show),
        Field("related", Type::Struct(&OBJECT_REFERENCE), Absent),
        Field("note", Text, Omit),
        Field("type", Text, Omit),
        Field("deprecatedSource", Type::Struct(&EVENT_SOURCE), Show),
        Field("deprecatedFirstTimestamp", Time, Show),
        Field("deprecatedLastTimestamp", Time, Show),
        Field("deprecatedCount", Int32, Omit),
    ],
);

static EVENTS_SERIES: Struct = v1(
    "EventSeries",
    &[
        Field("count", Int32, Show),
        Field("lastObservedTime", MicroTime, Show),
    ],
);

pub(crate) static LEASE: Struct = v1(
    "Lease",
    &[
        Field("metadata", Type::Struct(&METADATA), Show),
        Field("spec", Type::Struct(&LEASE_SPEC), Show),
    ],
);

static LEASE_SPEC: Struct = v1(
    "LeaseSpec",
    &[
        Field("holderIdentity", Text, Absent),
        Field("leaseDurationSeconds", Int32, Absent),
        Field("acquireTime", MicroTime, Absent),
        Field("renewTime", MicroTime, Absent),
        Field("leaseTransitions", Int32, Absent),
        Field("strategy", Named("v1.CoordinatedLeaseStrategy"), Absent),
        Field("preferredHolder", Text, Absent),
    ],
);

pub(crate) static DEFINITION: Struct = v1(
    "CustomResourceDefinition",
    &[
        Field("metadata", Type::Struct(&METADATA), Show),
        Field("spec", Type::Struct(&DEFINITION_SPEC), Show),
        Field("status", Type::Struct(&DEFINITION_STATUS), Show),
    ],
);

static DEFINITION_SPEC: Struct = v1(
    "CustomResourceDefinitionSpec",
    &[
        Field("group", Text, Show),
        Field("names", Type::Struct(&NAMES), Show),
        Field("scope", Named("v1.ResourceScope"), Show),
        Field(
            "versions",
            List(
                &Type::Struct(&VERSION),
                "[]v1.CustomResourceDefinitionVersion",
            ),
            Show,
        ),
        Field("conversion", Type::Struct(&CONVERSION), Absent),
        Field("preserveUnknownFields", Bool, Omit),
    ],
);

static NAMES: Struct = v1(
    "CustomResourceDefinitionNames",
    &[
        Field("plural", Text, Show),
        Field("singular", Text, Omit),
        Field("shortNames", TEXTS, Omit),
        Field("kind", Text, Show),
        Field("listKind", Text, Omit),
        Field("categories", TEXTS, Omit),
    ],
);

static CONVERSION: Struct = v1(
    "CustomResourceConversion",
    &[
        Field("strategy", Named("v1.ConversionStrategyType"), Show),
        Field("webhook", Any, Absent),
    ],
);

static VERSION: Struct = v1(
    "CustomResourceDefinitionVersion",
    &[
        Field("name", Text, Show),
        Field("served", Bool, Show),
        Field("storage", Bool, Show),
        Field("deprecated", Bool, Omit),
        Field("deprecationWarning", Text, Absent),
        Field("schema", Type::Struct(&VALIDATION), Absent),
        Field("subresources", Type::Struct(&SUBRESOURCES), Absent),
        Field(
            "additionalPrinterColumns",
            List(
                &Type::Struct(&COLUMN),
                "[]v1.CustomResourceColumnDefinition",
            ),
            Omit,
        ),
        Field(
            "selectableFields",
            List(&Type::Struct(&SELECTABLE), "[]v1.SelectableField"),
            Omit,
        ),
    ],
);

static SELECTABLE: Struct = v1("SelectableField", &[Field("jsonPath", Text, Show)]);

static COLUMN: Struct = v1(
    "CustomResourceColumnDefinition",
    &[
        Field("name", Text, Show),
        Field("type", Text, Show),
        Field("format", Text, Omit),
        Field("description", Text, Omit),
        Field("priority", Int32, Omit),
        Field("jsonPath", Text, Show),
    ],
);

static SUBRESOURCES: Struct = v1(
    "CustomResourceSubresources",
    &[
        Field("status", Type::Struct(&STATUS_SUBRESOURCE), Absent),
        Field("scale", Type::Struct(&SCALE_SUBRESOURCE), Absent),
    ],
);

static STATUS_SUBRESOURCE: Struct = v1("CustomResourceSubresourceStatus", &[]);

static SCALE_SUBRESOURCE: Struct = v1(
    "CustomResourceSubresourceScale",
    &[
        Field("specReplicasPath", Text, Show),
        Field("statusReplicasPath", Text, Show),
        Field("labelSelectorPath", Text, Absent),
    ],
);

static DEFINITION_STATUS: Struct = v1(
    "CustomResourceDefinitionStatus",
    &[
        Field(
            "conditions",
            List(
                &Type::Struct(&CONDITION),
                "[]v1.CustomResourceDefinitionCondition",
            ),
            Show,
        ),
        Field("acceptedNames", Type::Struct(&NAMES), Show),
        Field("storedVersions", TEXTS, Show),
        Field("observedGeneration", Int64, Omit),
    ],
);

static CONDITION: Struct = v1(
    "CustomResourceDefinitionCondition",
    &[
        Field(
            "type",
            Named("v1.CustomResourceDefinitionConditionType"),
            Show,
        ),
        Field("status", Named("v1.ConditionStatus"), Show),
        Field("lastTransitionTime", Time, Show),
        Field("reason", Text, Omit),
        Field("message", Text, Omit),
        Field("observedGeneration", Int64, Omit),
    ],
);

static VALIDATION: Struct = v1(
    "CustomResourceValidation",
    &[Field("openAPIV3Schema", Type::Struct(&SCHEMA), Absent)],
);

/// Schemas hold schemas: a static may refer to itself where a constant may not.
static SCHEMA_TYPE: Type = Type::Struct(&SCHEMA);

static SCHEMA: Struct = v1(
    "JSONSchemaProps",
    &[
        Field("id", Text, Omit),
        Field("$schema", Named("v1.JSONSchemaURL"), Omit),
        Field("$ref", Text, Absent),
        Field("description", Text, Omit),
        Field("type", Text, Omit),
        Field("format", Text, Omit),
        Field("title", Text, Omit),
        Field("default", Any, Absent),
        Field("maximum", Float, Absent),
        Field("exclusiveMaximum", Bool, Omit),
        Field("minimum", Float, Absent),
        Field("exclusiveMinimum", Bool, Omit),
        Field("maxLength", Int64, Absent),
        Field("minLength", Int64, Absent),
        Field("pattern", Text, Omit),
        Field("maxItems", Int64, Absent),
        Field("minItems", Int64, Absent),
        Field("uniqueItems", Bool, Omit),
        Field("multipleOf", Float, Absent),
        Field("enum", List(&Any, "[]v1.JSON"), Omit),
        Field("maxProperties", Int64, Absent),
        Field("minProperties", Int64, Absent),
        Field("required", TEXTS, Omit),
        Field("items", Type::SchemaOrList(&SCHEMA), Absent),
        Field("allOf", List(&SCHEMA_TYPE, "[]v1.JSONSchemaProps"), Omit),
        Field("oneOf", List(&SCHEMA_TYPE, "[]v1.JSONSchemaProps"), Omit),
        Field("anyOf", List(&SCHEMA_TYPE, "[]v1.JSONSchemaProps"), Omit),
        Field("not", Type::Struct(&SCHEMA), Absent),
        Field(
            "properties",
            Map(&SCHEMA_TYPE, "map[string]v1.JSONSchemaProps"),
            Omit,
        ),
        Field("additionalProperties", Type::SchemaOrBool(&SCHEMA), Absent),
        Field(
            "patternProperties",
            Map(&SCHEMA_TYPE, "map[string]v1.JSONSchemaProps"),
            Omit,
        ),
        Field("dependencies", Any, Absent),
        Field("additionalItems", Type::SchemaOrBool(&SCHEMA), Absent),
        Field(
            "definitions",
            Map(&SCHEMA_TYPE, "map[string]v1.JSONSchemaProps"),
            Omit,
        ),
        Field("externalDocs", Any, Absent),
        Field("example", Any, Absent),
        Field("nullable", Bool, Omit),
        Field("x-kubernetes-preserve-unknown-fields", Bool, Absent),
        Field("x-kubernetes-embedded-resource", Bool, Omit),
        Field("x-kubernetes-int-or-string", Bool, Omit),
        Field("x-kubernetes-list-map-keys", TEXTS, Omit),
        Field("x-kubernetes-list-type", Text, Absent),
        Field("x-kubernetes-map-type", Text, Absent),
        Field("x-kubernetes-validations", Any, Absent),
    ],
);
