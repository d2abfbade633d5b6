//! The story: both operators and the controller are started, a Project is deleted, and what happens
//! to it, to its Network and to the Cluster on that is told as it happens.

use std::{env, future, process::Stdio, time::Duration};

use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, PostParams},
    core::GroupVersionKind,
    discovery::pinned_kind,
};
use kube_sim::ApiServer;
use kubectl_cascade::{controller::Controller, rules};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{Result, SERVER, client};

/// How often the teller looks.
const GLANCE: Duration = Duration::from_millis(100);

/// How long it may take: a garbage collector learns of new kinds every 30 s only.
const PATIENCE: Duration = Duration::from_secs(120);

/// The story on an API server in memory: behind a socket, so that processes can be its clients.
pub(crate) async fn in_memory() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(ApiServer::new().serve(listener, future::pending()));
    tell(Some(&url)).await
}

/// The story on this server, else on the cluster of the kubeconfig, where kinds and namespaces stay.
pub(crate) async fn tell(server: Option<&str>) -> Result<()> {
    timeout(PATIENCE, tell_all(server)).await?
}

async fn tell_all(server: Option<&str>) -> Result<()> {
    let client = client(server).await?;
    apply(&client, include_str!("../platform.yaml")).await?;

    // All of these end with this function, the task and the processes.
    let rules = rules::parse("rules.yaml", include_str!("../rules.yaml"))?;
    let controller = Controller::new(rules, "example".parse()?, client.clone(), client.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(controller.run(future::pending()));
    let _operators = [operator("region", server)?, operator("compute", server)?];

    let actors = apply(&client, include_str!("../objects.yaml")).await?;
    let gone = Vec::new();
    let mut cast = Cast { actors, gone };
    // The Project gets a reference and a hold, the Network these and its operator's own finalizer,
    // the Cluster only the latter.
    let complete = |cast: &Cast| {
        let finalizers = cast.actors.iter().map(|actor| actor.finalizers);
        finalizers.eq([2, 3, 1])
    };
    cast.watch_until(complete).await?;
    println!("\nProject apollo is deleted.");
    let project = &cast.actors[0];
    #[expect(
        clippy::disallowed_methods,
        reason = "this is somebody with kubectl; the operators delete nothing"
    )]
    project
        .api
        .delete(&project.name, &DeleteParams::background())
        .await?;
    cast.watch_until(|cast| cast.gone.len() == 3).await?;
    if cast.gone != ["Cluster web", "Network blue", "Project apollo"] {
        return Err(format!("gone in a wrong order: {:?}", cast.gone).into());
    }
    println!("\nThe Cluster went first, then the Network, and the Project last.");
    Ok(())
}

/// This program again, as one of the operators.
fn operator(name: &str, server: Option<&str>) -> Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(name).stdin(Stdio::null()).kill_on_drop(true);
    if let Some(url) = server {
        command.env(SERVER, url);
    }
    Ok(command.spawn()?)
}

/// Creates what is not there yet, as soon as its kind is served.
async fn apply(client: &Client, yaml: &str) -> Result<Vec<Actor>> {
    let mut actors = Vec::new();
    for object in serde_saphyr::from_multiple::<DynamicObject>(yaml)? {
        let kind = object.types.clone().unwrap_or_default();
        let gvk = GroupVersionKind::try_from(&kind)?;
        let resource = loop {
            match pinned_kind(client, &gvk).await {
                Ok((resource, _)) => break resource,
                Err(_) => sleep(GLANCE).await,
            }
        };
        let api = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        match api.create(&PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            created => drop(created?),
        }
        actors.push(Actor {
            api,
            kind: kind.kind,
            name: object.metadata.name.unwrap_or_default(),
            finalizers: 0,
            told: String::new(),
        });
    }
    Ok(actors)
}

/// One of whom the story tells, as it was seen last.
struct Actor {
    api: Api<DynamicObject>,
    kind: String,
    name: String,
    finalizers: usize,
    told: String,
}

/// All of them, and who is gone, in that order.
struct Cast {
    actors: Vec<Actor>,
    gone: Vec<String>,
}

impl Cast {
    async fn watch_until(&mut self, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        while !is_so(self) {
            self.look().await?;
            sleep(GLANCE).await;
        }
        Ok(())
    }

    /// From the last to go to the first: whoever is gone while a later one is still found, went first.
    async fn look(&mut self) -> Result<()> {
        let mut gone = Vec::new();
        for actor in &mut self.actors {
            let name = format!("{} {}", actor.kind, actor.name);
            if self.gone.contains(&name) {
                continue;
            }
            let Some(found) = actor.api.get_opt(&actor.name).await? else {
                gone.push(name);
                continue;
            };
            let finalizers = found.metadata.finalizers.unwrap_or_default();
            actor.finalizers = finalizers.len();
            let mut told = match finalizers.as_slice() {
                [] => format!("{name} has no finalizer"),
                held => format!("{name} has {}", held.join(" ")),
            };
            if let Some(waits) = found.data["status"]["conditions"][0]["message"].as_str() {
                told = format!("{told}\n    ({waits})");
            }
            if told != actor.told {
                println!("{told}");
                actor.told = told;
            }
        }
        for name in gone.into_iter().rev() {
            println!("{name} is gone");
            self.gone.push(name);
        }
        Ok(())
    }
}
