//! `create`, `apply`, `replace`, `patch`, `label` and `annotate`.

use crate::both::{check, make_namespace};

#[test]
fn objects_are_created_once() {
    make_namespace("create");
    check(
        "create",
        &[
            "create namespace create",
            "create -f red.yaml",
            "create -f red.yaml",
            "create -f conf.yaml -f secret.yaml -f lease.yaml",
            "create configmap literal --from-literal=a=b --from-file=conf.yaml",
            "get cm literal -o yaml",
            "create secret generic literal --from-literal=a=b",
            "get secret literal -o yaml",
            "create serviceaccount literal",
            "get sa literal -o yaml",
            "create -f blue.yaml --dry-run=server",
            "create -f blue.yaml --dry-run=client",
            "create configmap dry --dry-run=server",
            "get net blue",
            "create -f blue.yaml -n nobody-made-this",
            "create cm Not_A_Name",
            "create ns Not_A_Name",
        ],
    );
}

#[test]
fn what_is_wrong_is_refused_in_the_servers_words() {
    make_namespace("wrong");
    check(
        "wrong",
        &[
            "create -f wrong-type.yaml",
            "create -f invalid.yaml",
            "apply -f invalid.yaml",
            "create -f unknown-field.yaml",
            "create -f unknown-field.yaml --validate=warn",
            "get net odd -o yaml",
            "delete -f unknown-field.yaml",
            "create -f unknown-field.yaml --validate=false",
            "apply -f conf-unknown-field.yaml",
            "apply -f conf-unknown-field.yaml --validate=warn",
            "apply -f conf-unknown-field.yaml --validate=false",
        ],
    );
}

#[test]
fn custom_resources_are_applied_as_merge_patches() {
    make_namespace("apply-custom");
    check(
        "apply-custom",
        &[
            "apply -f red.yaml",
            "apply -f red.yaml",
            "apply -f red-changed.yaml",
            "get net red -o yaml",
            "apply -f red.yaml --dry-run=client",
            "apply -f red.yaml --dry-run=server",
            "get net red",
            "apply -f red.yaml -f blue.yaml",
            "diff -f red-changed.yaml | grep -E '^[+-] '",
            "diff -f red.yaml",
            "apply view-last-applied net red",
            "apply -f red.yaml --prune -l project=p1 --prune-allowlist=sim.example.com/v1/Network",
            "delete net blue",
            "create -f blue.yaml",
            "apply -f blue.yaml",
            "get net blue -o yaml",
        ],
    );
}

#[test]
fn built_in_kinds_are_applied_as_strategic_merge_patches() {
    make_namespace("apply-built-in");
    check(
        "apply-built-in",
        &[
            "apply -f conf.yaml",
            "apply -f conf.yaml",
            "apply -f conf-changed.yaml",
            "get cm conf -o yaml",
            "apply -f secret.yaml",
            "apply -f secret.yaml",
            "get secret secret -o yaml",
            "apply -f account.yaml",
            "apply -f account.yaml",
            "apply -f account-changed.yaml",
            "get sa robot -o yaml",
            "apply -f lease.yaml",
            "apply -f lease.yaml",
            "create namespace applied --dry-run=client -o yaml | kubectl apply -f -",
            "create namespace applied --dry-run=client -o yaml | kubectl apply -f -",
            "get ns applied -o yaml",
            "apply -f definitions.yaml",
            "apply -f definitions.yaml --dry-run=server",
        ],
    );
}

#[test]
fn objects_are_replaced() {
    make_namespace("replace");
    check(
        "replace",
        &[
            "replace -f red.yaml",
            "create -f red.yaml",
            "replace -f red-changed.yaml",
            "get net red -o yaml",
            "replace --force -f red.yaml",
            "get net red -o yaml",
            "create -f conf.yaml",
            "replace -f conf-changed.yaml",
            "get cm conf -o yaml",
            "get cm conf -o yaml | sed 's/resourceVersion: .*/resourceVersion: \"1\"/' | \
             kubectl replace -f -",
        ],
    );
}

#[test]
fn objects_are_patched() {
    make_namespace("patch");
    check(
        "patch",
        &[
            "create -f red.yaml -f conf.yaml -f account.yaml",
            r#"patch net red --type=merge -p '{"spec":{"hosts":13,"ratio":null}}'"#,
            r#"patch net red --type=merge -p '{"spec":{"hosts":13}}'"#,
            r#"patch net red --type=json -p '[{"op":"replace","path":"/spec/hosts","value":14}]'"#,
            r#"patch net red --type=json -p '[{"op":"test","path":"/spec/hosts","value":1}]'"#,
            r#"patch net red --type=json -p '[{"op":"remove","path":"/spec/absent"}]'"#,
            // Server-side apply, of which only the real one knows, is told as well.
            r#"patch net red -p '{"spec":{"hosts":15}}' 2>&1 | sed 's/, application.apply.*//'"#,
            r#"patch net red --type=merge -p '{"spec":{"hosts":"many"}}'"#,
            r#"patch net red --type=merge -p '{"metadata":{"resourceVersion":"1"}}'"#,
            "get net red -o yaml",
            r#"patch net red --subresource=status --type=merge -p '{"status":{"conditions":[]}}'"#,
            r#"patch cm conf -p '{"data":{"z":"1","a":null}}'"#,
            r#"patch cm conf -p '{"data":{"z":"2"}}' --dry-run=server"#,
            r#"patch cm conf -p '{"data":{"z":"2"}}' --dry-run=server -o yaml"#,
            "get cm conf -o yaml",
            r#"patch sa robot -p '{"imagePullSecrets":[{"name":"two"}]}'"#,
            "get sa robot -o yaml",
            "patch net absent --type=merge -p '{}'",
        ],
    );
}

#[test]
fn objects_are_edited() {
    make_namespace("edit");
    check(
        "edit",
        &[
            "create -f red.yaml",
            "options > /dev/null; export KUBE_EDITOR=true; kubectl edit net red",
            "options > /dev/null; export KUBE_EDITOR='sed -i s/10.0.0.0/13.0.0.0/'; \
             kubectl edit net red",
            "get net red",
        ],
    );
}

#[test]
fn labels_and_annotations_are_set_and_taken_away() {
    make_namespace("label");
    check(
        "label",
        &[
            "create -f red.yaml -f blue.yaml -f conf.yaml",
            "label net red a=b",
            "label net red a=b",
            "label net red a=c",
            "label net red a=c --overwrite",
            "label net red a-",
            "label net red a-",
            "label net --all c=d",
            "label net -l project=p2 e=f --dry-run=server",
            "label net red --list | sort",
            "label cm conf a=b",
            "label ns label a=b",
            "label net red 'a=not a value'",
            "label -f blue.yaml g=h",
            "get net --show-labels",
            "annotate net red a=b",
            "annotate net red a=c",
            "annotate net red a=c --overwrite",
            "annotate net red a-",
            "annotate net red a=b --resource-version=1",
            "annotate net --all c=d",
            "annotate cm conf a=b",
            "get net,cm/conf -o jsonpath='{.items[*].metadata.annotations}'",
            "get cm conf -o jsonpath='{.metadata.annotations}'",
        ],
    );
}

#[test]
fn cluster_wide_objects_have_no_namespace() {
    check(
        "default",
        &[
            "create -f project.yaml",
            "get projects",
            "get projects.v1beta1.sim.example.com",
            "get project everybodys -o yaml",
            "get projects.v1beta1.sim.example.com everybodys -o yaml",
            "apply -f project.yaml",
            "label project everybodys a=b",
            "delete project everybodys",
        ],
    );
}
