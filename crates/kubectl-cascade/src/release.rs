//! `release`: taking an installation's holds off, so that nothing of ours keeps an upstream.

use std::io::{BufRead, IsTerminal, Write};

use kube_cascade::{
    hold::{Held, HoldName, find},
    lease::live_record,
};

use crate::{
    cli::{ReleaseOptions, Target},
    clusters::{Asker, Clusters},
    exit::{Exit, Failure},
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
    for error in &search.errors {
        eprintln!("warning: {error}; holds there are not found");
    }
    if search.held.is_empty() {
        eprintln!("no holds found on {}", clusters.upstream_url());
    } else if !(options.yes || confirm(&clusters.upstream_url(), &search.held)?) {
        eprintln!("nothing was released");
        return Ok(Exit::Refused);
    }
    let failed = release(&client, &search.held).await;
    if failed || !search.errors.is_empty() {
        let error = "not all holds could be found or released; see above";
        return Err(Failure::new(Exit::Failure, error));
    }
    Ok(Exit::Done)
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
    let failed = |error: std::io::Error| Failure::new(Exit::Failure, error);
    eprintln!("on {server}, these holds would be released:");
    for held in held {
        for hold in held.holds() {
            eprintln!("  {}  {hold}", held.object());
        }
    }
    if !std::io::stdin().is_terminal() {
        eprintln!("not a terminal, so nobody can be asked; give --yes to release them");
        return Ok(false);
    }
    eprint!("Release them? An upstream that is being deleted may go at once. [y/N] ");
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(failed)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// Releases each; one failure does not stop the others. Says whether any failed.
async fn release(client: &kube::Client, held: &[Held]) -> bool {
    let mut failed = false;
    for held in held {
        match held.release(client).await {
            Ok(()) => {
                for hold in held.holds() {
                    println!("{} released {hold}", held.object());
                }
            }
            Err(error) => {
                failed = true;
                eprintln!("error: {}", Failure::new(Exit::Failure, error));
            }
        }
    }
    failed
}
