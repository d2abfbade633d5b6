//! `release`: taking an installation's holds off, so that nothing of ours keeps an upstream.

use std::io::{self, BufRead, IsTerminal, Write};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::ListParams};
use kube_cascade::{
    hold::{Held, HoldName, find},
    lease::live_record,
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
    let namespace = clusters.lease_namespace(options.installation.lease_namespace.as_ref());
    let lease = installation::lease_name(installation);
    find_lease(&client, &namespace, &lease).await?;
    tell!("looking whether a controller holds Lease {namespace}/{lease} (up to 15 s) …");
    let before = holder(&client, &namespace, &lease).await?;
    let leader = live_record(client.clone(), &namespace, &lease)
        .await
        .map_err(|error| Failure::new(Exit::Failure, error))?;
    if let Some(leader) = leader {
        refuse_served(&options, &namespace, &lease, &leader)?;
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
    let now = holder(&client, &namespace, &lease).await?;
    if !search.held.is_empty() && now.is_some() && now != before {
        let error = format!(
            "{} has begun to lead meanwhile (Lease {namespace}/{lease}); nothing was released",
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

/// Who the Lease names as its holder, dead or alive.
async fn holder(client: &Client, namespace: &str, lease: &str) -> Result<Option<String>, Failure> {
    let leases = Api::<Lease>::namespaced(client.clone(), namespace);
    let found = leases.get_opt(lease).await;
    let found = found.map_err(|error| Failure::new(Exit::Failure, error))?;
    let holder = found.and_then(|lease| lease.spec?.holder_identity);
    Ok(holder.filter(|holder| !holder.is_empty()))
}

/// A Lease that is not where we look could hide a live leader.
async fn find_lease(client: &Client, namespace: &str, lease: &str) -> Result<(), Failure> {
    let failed = |error: kube::Error| Failure::new(Exit::Failure, error);
    let here = Api::<Lease>::namespaced(client.clone(), namespace);
    if here
        .get_metadata_opt(lease)
        .await
        .map_err(failed)?
        .is_some()
    {
        return Ok(());
    }
    let everywhere = Api::<Lease>::all(client.clone());
    let named = ListParams::default().fields(&format!("metadata.name={lease}"));
    let elsewhere = match everywhere.list_metadata(&named).await {
        Ok(found) => found.items,
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            let error = format!(
                "there is no Lease {namespace}/{lease}, and whether it is in another namespace \
                 cannot be seen ({}); give --lease-namespace",
                status.message
            );
            return Err(Failure::new(Exit::Refused, error));
        }
        Err(error) => return Err(failed(error)),
    };
    let namespaces = elsewhere
        .iter()
        .filter_map(|found| found.metadata.namespace.as_deref());
    if let Some(other) = namespaces.min() {
        let error = format!(
            "there is no Lease {namespace}/{lease}, but one in namespace {other}: give \
             --lease-namespace {other}"
        );
        return Err(Failure::new(Exit::Refused, error));
    }
    tell!("no Lease {lease} anywhere: no controller has led under this name");
    Ok(())
}

/// A live leader would put the holds right back on.
fn refuse_served(
    options: &ReleaseOptions,
    namespace: &str,
    lease: &str,
    leader: &kube_cascade::lease::LeaseRecord,
) -> Result<(), Failure> {
    let served = installation::served_rules(leader);
    let holder = leader.holder().unwrap_or("somebody");
    let refused = |what: String| {
        let error = format!(
            "{holder} serves {what} (Lease {namespace}/{lease}) and would put the holds back on; \
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
