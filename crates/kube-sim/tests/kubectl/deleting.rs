//! `delete`, with its cascades and its dry runs.

use crate::both::{check, make_namespace};

#[test]
fn objects_are_deleted_by_name_selector_and_file() {
    make_namespace("delete");
    check(
        "delete",
        &[
            "create -f red.yaml -f blue.yaml -f conf.yaml -f secret.yaml -f account.yaml",
            "delete -f blue.yaml --dry-run=client",
            "delete -f blue.yaml --dry-run=server",
            "get net",
            "delete -f blue.yaml",
            "delete -f blue.yaml",
            "delete -f blue.yaml --ignore-not-found",
            "create -f blue.yaml",
            "delete net -l project=p2",
            "delete net -l project=p2",
            "create -f blue.yaml",
            "delete net --all --dry-run=server",
            "delete net --all",
            "delete net --all",
            "delete cm conf --now",
            "create -f conf.yaml",
            "delete cm conf --force",
            "delete cm conf",
            "create -f conf.yaml",
            "delete cm conf --wait=false",
            "delete secret/secret sa/robot",
            "get net,secret",
            "delete absents x",
        ],
    );
}

#[test]
fn every_cascade_is_understood() {
    make_namespace("cascade");
    check(
        "cascade",
        &[
            "create -f conf.yaml",
            "delete cm conf --cascade=background",
            "create -f conf.yaml",
            "delete cm conf --cascade=foreground",
            "create -f conf.yaml",
            "delete cm conf --cascade=orphan",
            "get cm conf",
            "create -f conf.yaml",
            "delete cm conf --cascade=foreground --wait=false",
            // Says nothing of what is gone already, which is a matter of time.
            "wait --for=delete cm/conf --timeout=60s > /dev/null",
            "get cm conf",
        ],
    );
}

#[test]
fn a_finalizer_holds_an_object_until_it_is_taken_off() {
    make_namespace("held");
    check(
        "held",
        &[
            "create -f conf.yaml",
            r#"patch cm conf --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'"#,
            "delete cm conf --wait=false",
            "get cm conf -o yaml",
            "delete cm conf --timeout=10s",
            r#"patch cm conf --type=merge -p '{"metadata":{"finalizers":["example.com/other"]}}'"#,
            r#"patch cm conf --type=merge -p '{"metadata":{"finalizers":null}}'"#,
            "get cm conf",
        ],
    );
}

#[test]
fn a_namespace_takes_its_content_with_it() {
    make_namespace("emptied");
    check(
        "emptied",
        &[
            "create -f conf.yaml -f red.yaml",
            "delete namespace emptied",
            "get namespace emptied",
            "get net,secret",
            "create -f conf.yaml",
        ],
    );
}
