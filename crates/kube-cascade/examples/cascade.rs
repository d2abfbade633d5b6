//! `CascadingDelete` on a cluster: when a Project in NAMESPACE is deleted, the Networks of all
//! namespaces that carry its name in the label `example.com/project` are deleted, and the Project
//! stays until they are gone. Ends with Ctrl-C; what was not finished goes on at the next start.
//!
//! `cargo run -p kube-cascade --example cascade NAMESPACE`

use std::{env, error::Error};

use kube_cascade::{
    CascadingDelete, Kind, Queue,
    cascade::{Hold, Scope, Selection, Upstream},
    hold::HoldName,
    kubernetes::{IdSource, KubernetesSource},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let namespace = env::args().nth(1).ok_or("usage: cascade NAMESPACE")?;
    let mut config = kube::Config::infer().await?;
    config.default_retry = false; // the queue tries again by itself
    let client = kube::Client::try_from(config)?;

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
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    Ok(queue.run(stop).await?)
}
