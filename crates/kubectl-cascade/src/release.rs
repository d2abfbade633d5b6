//! `release`: taking an installation's holds off, so that nothing of ours keeps an upstream.

use std::{
    fmt,
    io::{self, BufRead, IsTerminal, Write},
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::ListParams};
use kube_cascade::{
    hold::{Held, HoldName, find},
    lease::{LeaseRecord, live_record},
};

use crate::{
    cli::{ReleaseOptions, Target},
    clusters::{Asker, Clusters},
    exit::{Exit, Failure, one_line},
    installation,
};

/// Releases the holds of one rule, or of all.
///
/// # Errors
/// The server could not be asked, or some holds could not be released; a rule that a live leader
/// serves is refused.
pub async fn run(options: ReleaseOptions) -> Result<Exit, Failure> {
    let clusters = Clusters::find(&options.connection, Asker::Person).await?;
    let client = clusters.upstream()?;
    let installation = &options.installation.name;
    let lease = LeasePlace {
        client: &client,
        server: clusters.upstream_url(),
        namespace: clusters.lease_namespace(options.installation.lease_namespace.as_ref()),
        name: installation::lease_name(installation),
    };
    let is_there = lease.find().await?;
    // Whoever makes a Lease after this look has begun to lead meanwhile.
    let before = if is_there {
        lease.holder().await?
    } else {
        None
    };
    if is_there {
        tell!("looking whether a controller holds Lease {lease} (up to 15 s) …");
        if let Some(leader) = lease.leader().await? {
            refuse_served(&options, &lease, &leader)?;
        }
    } else {
        tell!(
            "warning: no Lease {} anywhere, so no controller has led under this name; one that \
             runs with --leader-elect=false cannot be seen: make sure that none does",
            lease.name
        );
    }
    let target = options.target();
    let prefix = HoldName::prefix(installation);
    let wanted = move |finalizer: &str| match target {
        Target::All => finalizer.starts_with(&prefix),
        Target::Rule(rule) => finalizer == HoldName::new(installation, rule).as_str(),
    };
    let search = find(&client, wanted).await;
    if let Some(first) = search.errors.first() {
        tell!(
            "warning: {} kinds cannot be searched for holds, the first: {}; allow `list` on every \
             kind",
            search.errors.len(),
            one_line(first),
        );
    }
    if search.held.is_empty() {
        let server = clusters.upstream_url();
        match target {
            Target::All => tell!("no hold of installation {installation} found on {server}"),
            Target::Rule(rule) => {
                tell!("no hold of rule {rule} (installation {installation}) found on {server}");
            }
        }
    } else if !(options.yes || confirm(&clusters.upstream_url(), &search.held)?) {
        tell!("nothing was released");
        return Ok(Exit::Refused);
    }
    // A question can stand unanswered for long: a controller may have begun to lead meanwhile.
    let now = lease.holder().await?;
    if !search.held.is_empty() && now.is_some() && now != before {
        let error = format!(
            "{} has begun to lead meanwhile (Lease {lease}); nothing was released",
            now.unwrap_or_default()
        );
        return Err(Failure::new(Exit::Refused, error));
    }
    let failed = release(&client, &search.held).await;
    if failed || !search.errors.is_empty() {
        let error = "not all holds could be found or released; see above";
        return Err(Failure::new(Exit::Failure, error));
    }
    Ok(Exit::Done)
}

/// Where the Lease is looked for.
struct LeasePlace<'a> {
    client: &'a Client,
    server: String,
    namespace: String,
    name: String,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read Leases on {server}; check that it can be reached, and the credentials")]
struct Unreadable {
    server: String,
    source: kube::Error,
}

impl LeasePlace<'_> {
    /// Whether it is there. One that is elsewhere could hide a live leader.
    async fn find(&self) -> Result<bool, Failure> {
        let Self {
            namespace, name, ..
        } = self;
        let here = Api::<Lease>::namespaced(self.client.clone(), namespace);
        match here.get_metadata_opt(name).await {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(true),
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                let error = format!(
                    "Lease {self} may not be read ({}); give --lease-namespace if it is in \
                     another, or allow `get` on it",
                    status.message
                );
                return Err(Failure::new(Exit::Refused, error));
            }
            Err(error) => return Err(self.unreadable(error)),
        }
        let everywhere = Api::<Lease>::all(self.client.clone());
        let named = ListParams::default().fields(&format!("metadata.name={name}"));
        let elsewhere = match everywhere.list_metadata(&named).await {
            Ok(found) => found.items,
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                let error = format!(
                    "there is no Lease {self}, and whether it is in another namespace cannot be \
                     seen ({}); give --lease-namespace",
                    status.message
                );
                return Err(Failure::new(Exit::Refused, error));
            }
            Err(error) => return Err(self.unreadable(error)),
        };
        let namespaces = elsewhere
            .iter()
            .filter_map(|found| found.metadata.namespace.as_deref());
        match namespaces.min() {
            None => Ok(false),
            Some(other) => {
                let error = format!(
                    "there is no Lease {self}, but one in namespace {other}: give \
                     --lease-namespace {other}"
                );
                Err(Failure::new(Exit::Refused, error))
            }
        }
    }

    /// Who it names as its holder, dead or alive.
    async fn holder(&self) -> Result<Option<String>, Failure> {
        let leases = Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        let found = leases.get_opt(&self.name).await;
        let found = found.map_err(|error| self.unreadable(error))?;
        let holder = found.and_then(|lease| lease.spec?.holder_identity);
        Ok(holder.filter(|holder| !holder.is_empty()))
    }

    /// What it says, if its holder is alive.
    async fn leader(&self) -> Result<Option<LeaseRecord>, Failure> {
        live_record(self.client.clone(), &self.namespace, &self.name)
            .await
            .map_err(|error| Failure::new(Exit::Failure, error))
    }

    fn unreadable(&self, error: kube::Error) -> Failure {
        let error = Unreadable {
            server: self.server.clone(),
            source: error,
        };
        Failure::new(Exit::Failure, error)
    }
}

impl fmt::Display for LeasePlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A live leader would put the holds right back on.
fn refuse_served(
    options: &ReleaseOptions,
    lease: &LeasePlace<'_>,
    leader: &LeaseRecord,
) -> Result<(), Failure> {
    let served = installation::served_rules(leader);
    let holder = leader.holder().unwrap_or("somebody");
    let refused = |what: String| {
        let error = format!(
            "{holder} serves {what} (Lease {lease}) and would put the holds back on; \
             withdraw the rule or stop the controller first"
        );
        Err(Failure::new(Exit::Refused, error))
    };
    match options.target() {
        Target::All => refused("this installation".to_owned()),
        Target::Rule(rule) if served.contains(rule.as_str()) => refused(format!("rule {rule}")),
        Target::Rule(_) => Ok(()),
    }
}

/// Shows what would be released and asks; anything but yes is a no.
fn confirm(server: &str, held: &[Held]) -> Result<bool, Failure> {
    ask(server, held).map_err(|error| Failure::new(Exit::Failure, error))
}

fn ask(server: &str, held: &[Held]) -> io::Result<bool> {
    let mut screen = io::stderr();
    writeln!(screen, "on {server}, these holds would be released:")?;
    for held in held {
        for hold in held.holds() {
            writeln!(screen, "  {}  {hold}", held.object())?;
        }
    }
    if !io::stdin().is_terminal() {
        let why = "not a terminal, so nobody can be asked; give --yes to release them";
        writeln!(screen, "{why}")?;
        return Ok(false);
    }
    let question = "Release them? An upstream that is being deleted may go at once. [y/N] ";
    write!(screen, "{question}")?;
    screen.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// Releases each; one failure does not stop the others. Says whether any failed.
async fn release(client: &Client, held: &[Held]) -> bool {
    let mut failed = false;
    for held in held {
        match held.release(client).await {
            Ok(()) => {
                for hold in held.holds() {
                    // What is released is released, also where nobody can be told.
                    let _ = writeln!(io::stdout(), "{} released {hold}", held.object());
                }
            }
            Err(error) => {
                failed = true;
                tell!("error: {}", Failure::new(Exit::Failure, error));
            }
        }
    }
    failed
}
