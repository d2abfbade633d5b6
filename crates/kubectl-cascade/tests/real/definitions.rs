//! Upstreams whose definition is deleted or replaced: nobody deleted them one by one.

use crate::{
    fixtures::{
        CustomKind, NETWORK, Object, admin, control_plane, install, namespaced, unique, until,
    },
    rig::{LABEL, RuleDraft, Setup, two_namespaces},
};

/// An upstream of a kind of its own, with one dependent.
struct Scene {
    kind: CustomKind,
    upstream: Object,
    network: Object,
    tenants: String,
    region: String,
}

async fn scene(kind: CustomKind) -> Scene {
    tokio::task::spawn_blocking(move || install(control_plane(), &[kind]))
        .await
        .expect("the kind is installed");
    let client = admin().await;
    let (tenants, region) = two_namespaces(&client).await;
    let upstream = kind
        .named(unique("u"))
        .within(&tenants)
        .create(&client)
        .await;
    let network = NETWORK
        .named("n")
        .within(&region)
        .labelled(LABEL, &upstream.name)
        .create(&client)
        .await;
    Scene {
        kind,
        upstream,
        network,
        tenants,
        region,
    }
}

#[tokio::test]
async fn fault_61_deleting_the_definition_of_the_upstreams_parks_their_cascades() {
    let kind = namespaced("doomed.example.com", "Doomed", "doomeds");
    let Scene {
        upstream,
        network,
        tenants,
        region,
        ..
    } = scene(kind).await;
    let rule = RuleDraft::of("doomed", kind, &tenants).takes(NETWORK, &region);
    let controller = Setup::of(rule).ready().await;
    until("it is held", async || {
        !upstream.finalizers().await.is_empty()
    })
    .await;
    control_plane()
        .kubectl(["delete", "crd", &kind.definition_name(), "--wait=false"])
        .expect("the definition is deleted");
    until("it terminates", async || upstream.terminates().await).await;
    controller
        .until_metric("kube_cascade_parked", &["DefinitionTerminating"])
        .await;
    assert!(network.lives().await && upstream.terminates().await);
    controller.stop().await;
    upstream.set_finalizers(&[]).await;
}

#[tokio::test]
async fn fault_63_replacing_the_definition_of_the_upstreams_deletes_nothing() {
    let kind = namespaced("replaced.example.com", "Replaced", "replaceds");
    let Scene {
        upstream,
        network,
        tenants,
        region,
        kind,
    } = scene(kind).await;
    let upstream_spec = format!("scope: {{namespaces: [{tenants}]}}, hold: false");
    let rule = RuleDraft::scoped("replaced", kind, &upstream_spec).takes(NETWORK, &region);
    let controller = Setup::of(rule).ready().await;
    let manifest = control_plane().folder().join("replaced.json");
    std::fs::write(&manifest, kind.definition().to_string()).expect("the folder is writable");
    control_plane()
        .kubectl([
            "replace",
            "--force",
            "--filename",
            &manifest.display().to_string(),
        ])
        .expect("the definition is replaced");
    until(
        "the kind is served again, without the upstream",
        async || {
            let list = control_plane().kubectl(["get", kind.plural, "-n", &tenants, "-o", "name"]);
            list.is_ok_and(|list| list.trim().is_empty())
        },
    )
    .await;
    until("it is parked, or reported as an orphan", async || {
        controller
            .metric("kube_cascade_parked", &["DefinitionChanged"])
            .await
            > 0.0
            || controller
                .metric("kube_cascade_orphans", &["replaced"])
                .await
                > 0.0
    })
    .await;
    assert!(upstream.is_gone().await && network.lives().await);
    controller.stop().await;
}
