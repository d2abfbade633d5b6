//! Which API servers a command talks to, and with which clients.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use kube_cascade::names::Namespace;

use crate::{
    cli::ConnectionOptions,
    exit::{Exit, Failure},
};

/// The namespace of the Lease where nothing says otherwise.
const SYSTEM: &str = "kube-system";

/// Who asks, which decides where a connection is looked for first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asker {
    /// A controller: the pod's own account, else what kubectl uses.
    Controller,
    /// A person: what kubectl uses, else the pod's own account.
    Person,
}

/// Clients for the upstreams' cluster and the dependents'; often they are one cluster.
///
/// None of the clients retries by itself: kube's own retries can hold a call for minutes, and the
/// queue knows better when to try again.
pub struct Clusters {
    upstream: Config,
    dependents: Config,
    /// The namespace of the pod, when the upstream's cluster is the one it runs in.
    own_namespace: Option<String>,
}

/// Why no connection could be made up; the server itself has not been asked anything yet.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A kubeconfig file is missing, unreadable or names what it does not hold.
    #[error("{flag}: cannot use {path}; give a kubeconfig file that kubectl can use")]
    Kubeconfig {
        /// The flag or variable that named the file.
        flag: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The kubeconfig holds no such context.
    #[error("--context: {found:?} is not in the kubeconfig; it holds: {known}")]
    Context {
        /// What was asked for.
        found: String,
        /// The contexts there are.
        known: String,
    },
    /// There is neither a kubeconfig nor a pod's account.
    #[error(
        "no cluster to talk to: there is no kubeconfig {paths}; give --kubeconfig, correct \
         KUBECONFIG, or run in a pod"
    )]
    Missing {
        /// The files that were looked for.
        paths: String,
    },
    /// A client could not be made from its configuration.
    #[error("cannot make a client for {url}")]
    Client {
        /// The server's address.
        url: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl Clusters {
    /// Reads the configuration of both clusters; asks no server anything.
    ///
    /// # Errors
    /// [`ConnectError`], which names the flag.
    pub async fn find(options: &ConnectionOptions, asker: Asker) -> Result<Self, ConnectError> {
        let (dependents, own_namespace) = dependents(options, asker).await?;
        match &options.upstream_kubeconfig {
            None => Ok(Self {
                upstream: dependents.clone(),
                dependents,
                own_namespace,
            }),
            Some(path) => {
                let upstream = read(path, "--upstream-kubeconfig", None).await?;
                Ok(Self {
                    upstream,
                    dependents,
                    own_namespace: None,
                })
            }
        }
    }

    /// A client for upstreams, and for all that is written about them.
    ///
    /// # Errors
    /// [`ConnectError::Client`].
    pub fn upstream(&self) -> Result<Client, ConnectError> {
        client(&self.upstream)
    }

    /// A client for dependents.
    ///
    /// # Errors
    /// [`ConnectError::Client`].
    pub fn dependents(&self) -> Result<Client, ConnectError> {
        client(&self.dependents)
    }

    /// The address of the dependents' API server.
    #[must_use]
    pub fn dependents_url(&self) -> String {
        self.dependents.cluster_url.to_string()
    }

    /// The address of the upstreams' API server.
    #[must_use]
    pub fn upstream_url(&self) -> String {
        self.upstream.cluster_url.to_string()
    }

    /// Where the Lease is: as told, else the pod's own namespace, else `kube-system`.
    #[must_use]
    pub fn lease_namespace(&self, told: Option<&Namespace>) -> String {
        let told = told.map(|namespace| namespace.as_str().to_owned());
        told.or_else(|| self.own_namespace.clone())
            .unwrap_or_else(|| SYSTEM.to_owned())
    }
}

async fn dependents(
    options: &ConnectionOptions,
    asker: Asker,
) -> Result<(Config, Option<String>), ConnectError> {
    if let Some(path) = &options.kubeconfig {
        let config = read(path, "--kubeconfig", options.context.clone()).await?;
        return Ok((config, None));
    }
    if asker == Asker::Controller
        && options.context.is_none()
        && let Ok(config) = Config::incluster()
    {
        let namespace = config.default_namespace.clone();
        return Ok((tune(config), Some(namespace)));
    }
    let (origin, listed) = usual_files();
    // What may not be looked at is no file that is missing.
    let existing = listed
        .iter()
        .filter(|path| path.try_exists().unwrap_or(true));
    let existing: Vec<_> = existing.collect();
    if !existing.is_empty() {
        let config = merged(origin, &existing, options.context.clone()).await?;
        return Ok((config, None));
    }
    let paths: Vec<_> = listed.iter().map(|path| path.to_string_lossy()).collect();
    let missing = ConnectError::Missing {
        paths: paths.join(", "),
    };
    match Config::incluster() {
        // A pod's own account is in no context.
        Ok(config) if options.context.is_none() => {
            let namespace = config.default_namespace.clone();
            Ok((tune(config), Some(namespace)))
        }
        _ => Err(missing),
    }
}

/// The files that kubectl reads: those in `KUBECONFIG`, else the one in the home folder.
fn usual_files() -> (&'static str, Vec<PathBuf>) {
    let listed = env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<_> = env::split_paths(&listed)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if listed.is_empty() {
        let home = env::home_dir().unwrap_or_default();
        ("~/.kube/config", vec![home.join(".kube/config")])
    } else {
        ("KUBECONFIG", listed)
    }
}

/// Of what occurs in several files, the first counts.
async fn merged(
    origin: &'static str,
    paths: &[&PathBuf],
    context: Option<String>,
) -> Result<Config, ConnectError> {
    let failed = |path: &str, source: Box<dyn Error + Send + Sync>| ConnectError::Kubeconfig {
        flag: origin,
        path: path.to_owned(),
        source,
    };
    let mut all = Kubeconfig::default();
    for path in paths {
        let next = Kubeconfig::read_from(path).and_then(|next| all.merge(next));
        all = next.map_err(|error| failed(&path.to_string_lossy(), error.into()))?;
    }
    let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
    configured(all, context, |source| failed(&paths.join(", "), source)).await
}

async fn read(
    path: &Path,
    flag: &'static str,
    context: Option<String>,
) -> Result<Config, ConnectError> {
    let failed = |source: Box<dyn Error + Send + Sync>| {
        let path = path.display().to_string();
        ConnectError::Kubeconfig { flag, path, source }
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| failed(error.into()))?;
    configured(kubeconfig, context, failed).await
}

async fn configured(
    kubeconfig: Kubeconfig,
    context: Option<String>,
    failed: impl Fn(Box<dyn Error + Send + Sync>) -> ConnectError,
) -> Result<Config, ConnectError> {
    check_context(&kubeconfig, context.as_deref())?;
    let choice = KubeConfigOptions {
        context,
        ..Default::default()
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &choice).await;
    config.map(tune).map_err(|error| failed(error.into()))
}

fn check_context(kubeconfig: &Kubeconfig, context: Option<&str>) -> Result<(), ConnectError> {
    let known: Vec<_> = kubeconfig
        .contexts
        .iter()
        .map(|context| context.name.as_str())
        .collect();
    match context {
        Some(found) if !known.contains(&found) => {
            let (found, known) = (found.to_owned(), known.join(", "));
            Err(ConnectError::Context { found, known })
        }
        _ => Ok(()),
    }
}

fn tune(mut config: Config) -> Config {
    config.default_retry = false;
    config
}

fn client(config: &Config) -> Result<Client, ConnectError> {
    Client::try_from(config.clone()).map_err(|source| ConnectError::Client {
        url: config.cluster_url.to_string(),
        source: Box::new(source),
    })
}
