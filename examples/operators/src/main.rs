//! Two operators of two services, and what happens when a Project is deleted.
//!
//! The region service has Networks, each for a Project. The compute service has Clusters, each on a
//! Network. Each object says so twice, because there are two things to be said:
//!
//! - By a **label** it *belongs* to another: when that is deleted, so is this one. Carrying it out
//!   is the business of the cascade controller, by the rules in `rules.yaml`.
//! - By a **reference**, a finalizer on the other, it *uses* that: as long as it does, the other is
//!   not taken down. Putting it on and off is the business of the operators, in `operator.rs`.
//!
//! So a deletion travels from the Project to the Clusters, and the taking down from the Clusters to
//! the Project:
//!
//! ```text
//!           label: deleted when it is         label: deleted when it is
//!   Project ─────────────────────▶ Network ─────────────────────▶ Cluster
//!   tenants ◀───────────────────── region  ◀───────────────────── compute
//!           reference: goes before it        reference: goes before it
//! ```
//!
//! ```console
//! $ cargo run -p example-operators                # all of it, on an API server in memory
//! $ cargo run -p example-operators -- --cluster   # on the cluster of your kubeconfig
//! $ cargo run -p example-operators -- region      # one operator, on the cluster of your kubeconfig
//! $ cargo run -p example-operators -- compute     # the other
//! ```

mod operator;
mod story;

use std::{env, error::Error, process::ExitCode};

use kube::{Client, Config};

use operator::{COMPUTE, REGION};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let ended = match arguments[..] {
        [] => story::in_memory().await,
        ["--cluster"] => story::tell(None).await,
        ["region", ref places @ ..] => operator::run(&REGION, places).await,
        ["compute", ref places @ ..] => operator::run(&COMPUTE, places).await,
        _ => Err("usage: example-operators [--cluster | region | compute]".into()),
    };
    if let Err(error) = ended {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The environment variable that names an API server without authentication.
const SERVER: &str = "EXAMPLE_SERVER";

/// A client of this server, else of the kubeconfig's cluster.
async fn client(server: Option<&str>) -> Result<Client> {
    let mut config = match server {
        Some(url) => Config::new(url.parse()?),
        None => Config::infer().await?,
    };
    config.default_retry = false; // queues try again by themselves, and know when
    Ok(Client::try_from(config)?)
}
