//! `CascadingDelete`: when a Project is deleted, the Networks of all namespaces that carry its name
//! in the label `example.com/project` are deleted, and the Project stays until they are gone.
//!
//! `cargo run -p kube-cascade --example cascade` shows it on an in-memory API.
//!
//! `cargo run -p kube-cascade --example cascade NAMESPACE` works on the cluster that kubectl uses,
//! for the Projects of that namespace. It ends with Ctrl-C; what was not finished goes on at the
//! next start. Its holds stay on the Projects, which then cannot be deleted:
//! `kubectl-cascade release --all --installation example` takes them off.

use std::{
    env,
    error::Error,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Method;
use kube::Client;
use kube_cascade::{
    CascadingDelete, Kind, Queue,
    cascade::{Hold, Scope, Selection, Upstream},
    hold::HoldName,
    kubernetes::{IdSource, KubernetesSource},
};
use kube_sim::ApiServer;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        None => {
            for gone in in_memory().await? {
                println!("{gone} is gone");
            }
            Ok(())
        }
        Some(namespace) => {
            let mut config = kube::Config::infer().await?;
            config.default_retry = false; // the queue tries again by itself
            let stop = async {
                let _ = tokio::signal::ctrl_c().await;
            };
            println!(
                "holding the Projects of namespace {namespace} until Ctrl-C; then, to take the \
                 holds off: kubectl-cascade release --all --installation example"
            );
            run(Client::try_from(config)?, namespace, stop).await
        }
    }
}

async fn run(
    client: Client,
    namespace: String,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Box<dyn Error>> {
    let project = Kind::new("identity.example.com", "Project");
    let network = Kind::new("region.example.com", "Network");
    let hold = HoldName::new(&"example".parse()?, &"project".parse()?);
    let projects = KubernetesSource::new(client.clone(), project.clone())
        .namespaces([namespace])
        .hold(hold.clone());
    let upstream = Upstream::kubernetes(client.clone(), project, IdSource::Name);
    let selection = Selection::label("example.com/project".parse()?, Scope::AllNamespaces);
    let cascade =
        CascadingDelete::dynamic(client, network, upstream, selection).hold(Hold::Keep(hold));

    let queue = Queue::builder(projects).consumer(cascade).build()?;
    Ok(queue.run(stop).await?)
}

/// Deletes a Project of an in-memory API; says what went, in that order.
async fn in_memory() -> Result<Vec<String>, Box<dyn Error>> {
    let server = ApiServer::new();
    let create = |path: &str, object: Value| server.request(&Method::POST, path, &object);
    for namespace in ["tenants", "region"] {
        let object = json!({"metadata": {"name": namespace}});
        create("/api/v1/namespaces", object)?;
    }
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    create(definitions, definition("identity", "Project", "projects"))?;
    create(definitions, definition("region", "Network", "networks"))?;
    let projects = "/apis/identity.example.com/v1/namespaces/tenants/projects";
    create(
        projects,
        object("identity", "Project", "apollo", &json!({})),
    )?;
    let networks = "/apis/region.example.com/v1/namespaces/region/networks";
    for (name, project) in [("blue", "apollo"), ("green", "apollo"), ("grey", "gemini")] {
        let labels = json!({"example.com/project": project});
        create(networks, object("region", "Network", name, &labels))?;
    }
    let gone = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&gone);
    server.on_write(move |write| {
        if write.after().is_none() {
            let object = format!("{}/{}", write.resource(), write.name());
            seen.lock().expect("nobody panics").push(object);
        }
    });

    // The whole story is what the queue is run until.
    let apollo = || {
        server.get(
            "identity.example.com",
            "projects",
            Some("tenants"),
            "apollo",
        )
    };
    let story = async {
        until(|| apollo().is_some_and(|project| !project["metadata"]["finalizers"].is_null()))
            .await;
        let deleted = server.request(&Method::DELETE, &format!("{projects}/apollo"), &json!({}));
        deleted.expect("it is there");
        until(|| apollo().is_none()).await;
    };
    let client = Client::new(server.clone(), "default");
    run(client, "tenants".to_owned(), story).await?;
    Ok(std::mem::take(&mut *gone.lock().expect("nobody panics")))
}

async fn until(condition: impl Fn() -> bool + Send) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn object(group: &str, kind: &str, name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": format!("{group}.example.com/v1"),
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
    })
}

fn definition(group: &str, kind: &str, plural: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}.example.com")},
        "spec": {
            "group": format!("{group}.example.com"),
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    #[tokio::test(start_paused = true)]
    async fn the_project_goes_after_its_networks_and_those_of_others_stay() {
        let gone = super::in_memory().await.expect("it runs");
        assert_eq!(gone, ["networks/blue", "networks/green", "projects/apollo"]);
    }
}
