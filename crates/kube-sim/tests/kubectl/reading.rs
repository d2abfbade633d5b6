//! `get`, `describe`, `events` and `wait`.

use crate::both::{check, make_namespace};

/// A namespace with something of every kind.
fn furnish(namespace: &str) {
    make_namespace(namespace);
    check(
        namespace,
        &[
            "create -f red.yaml",
            "create -f blue.yaml",
            "create -f conf.yaml",
            "create -f secret.yaml",
            "create -f lease.yaml",
            "create -f account.yaml",
            // An event says in which namespace it is about something.
            &format!(
                "create -f event.yaml --dry-run=client -o yaml | \
                 sed 's/^  name: red$/&\\n  namespace: {namespace}/' | kubectl create -f -"
            ),
        ],
    );
}

#[test]
fn tables_are_the_servers() {
    furnish("tables");
    check(
        "tables",
        &[
            "get networks",
            "get network red",
            "get net/red",
            "get nw -o wide",
            "get net --no-headers",
            "get net --show-labels",
            "get net -L project",
            "get net --show-kind",
            "get net -A -l project=p1 --field-selector metadata.namespace=tables",
            "get net -l project=p2",
            "get net -l 'project in (p1,p2),project!=p1'",
            "get net -l 'project in (p1'",
            "get net --field-selector metadata.name=red",
            "get net --field-selector spec.cidr=red",
            "get net --sort-by=.spec.cidr",
            "get net --sort-by=.metadata.name",
            "get net --chunk-size=1",
            "get networks.sim.example.com",
            "get networks.v1.sim.example.com",
            "get platform",
            "get configmaps conf",
            "get cm conf -o wide",
            "get secrets",
            "get sa robot",
            "get leases",
            "get events",
            "get events -o wide",
            "get events.events.k8s.io",
            "get ns tables",
            "get ns tables -o wide",
            "get crd networks.sim.example.com",
            "get net,secret,leases",
            "get cm/conf net/red sa/robot",
            "get net red blue",
            "get cm conf net/red",
            "get net -n nobody-made-this",
            "get net --server-print=false",
            "get -f red.yaml -f blue.yaml",
            "get net red --subresource=status",
        ],
    );
}

#[test]
fn objects_are_the_servers() {
    furnish("objects");
    check(
        "objects",
        &[
            "get net -o yaml",
            "get net red -o json",
            "get net -o json",
            "get net -o name",
            "get net red blue -o yaml",
            "get net -o custom-columns=NAME:.metadata.name,CIDR:.spec.cidr",
            "get net -o jsonpath='{.items[*].metadata.name}'",
            "get net red -o go-template='{{.spec.cidr}}'",
            "get cm conf -o yaml",
            "get secret secret -o yaml",
            "get secret secret -o jsonpath='{.data.password}'",
            "get lease lead -o yaml",
            "get sa robot -o yaml",
            "get event red.1 -o yaml",
            "get events.events.k8s.io red.1 -o yaml",
            "get ns objects -o yaml",
            "get ns default -o yaml",
            "get crd projects.sim.example.com -o yaml",
            "get net,lease -o name",
            "get --raw /apis/sim.example.com/v1/namespaces/objects/networks/blue | \
             grep -o '\"spec\":.*'",
        ],
    );
}

#[test]
fn what_is_absent_is_refused_in_the_servers_words() {
    make_namespace("absent");
    check(
        "absent",
        &[
            "get net red",
            "get net red -o yaml",
            "get net red --ignore-not-found",
            "get absents",
            "get networks.v2.sim.example.com",
            "get cm conf",
            "get ns nobody-made-this",
            "get crd nobodys.example.com",
            "get net",
            "get net,cm/conf",
            "wait --for=condition=Ready net/red --timeout=60s",
            "describe net red",
            "describe net",
        ],
    );
}

#[test]
fn descriptions_are_the_servers() {
    furnish("described");
    check(
        "described",
        &[
            "describe net red",
            "describe net",
            "describe cm conf",
            "describe secret secret",
            "describe sa robot",
            "describe lease lead",
            "describe crd projects.sim.example.com",
            "describe event red.1",
        ],
    );
}

#[test]
fn events_are_found_by_what_they_are_about() {
    furnish("events");
    check(
        "events",
        &[
            "events",
            "events --for network/red",
            "events --for network/blue",
            "events --types=Warning",
            "get events --field-selector involvedObject.name=red",
            "get events --field-selector involvedObject.kind=Pod",
            "get events --field-selector reason=Made,type=Normal",
            "get events --field-selector nothing=red",
        ],
    );
}

#[test]
fn conditions_are_waited_for() {
    furnish("waiting");
    check(
        "waiting",
        &[
            "wait --for=jsonpath='{.spec.hosts}'=12 net/red --timeout=60s",
            "wait --for=create net/red --timeout=60s",
            "wait --for=condition=Ready net/red --timeout=1s",
            "patch net red --subresource=status --type=merge \
             -p '{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}'",
            "wait --for=condition=Ready net/red --timeout=60s",
            "get net red",
            "wait --for=delete net/nobody --timeout=60s",
        ],
    );
}

#[test]
fn schemas_are_explained() {
    check(
        "default",
        &[
            "explain networks.spec.hosts",
            "explain networks.spec --recursive",
            "explain networks.absent",
            // The in-memory server describes no built-in fields.
            "explain lease.spec --recursive | sed '/^DESCRIPTION/,/^FIELDS/d'",
            "explain projects --api-version=sim.example.com/v1beta1 | grep -E '^[A-Z]+: '",
        ],
    );
}
