//! Builds the binaries with Go, once per key.

use std::{
    collections::VecDeque,
    env::consts::{ARCH, OS},
    ffi::OsStr,
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use super::{Assets, AssetsError};

const GO_MOD: &str = include_str!("../../../../tools/control-plane/go.mod");
const GO_SUM: &str = include_str!("../../../../tools/control-plane/go.sum");

/// What Go is told besides the [`linker_flags`].
const ARGUMENTS: [&str; 4] = ["install", "-v", "-mod=readonly", "-trimpath"];

/// How many lines of a failed build are quoted.
const QUOTED: usize = 20;

/// How often the build says that it goes on.
const PROGRESS: Duration = Duration::from_secs(15);

/// Finds the binaries in the cache, or builds them into it with this `go`, telling how far it is.
pub(super) fn find_or_build(
    cache: &Path,
    go: &OsStr,
    say: fn(&str),
) -> Result<Assets, AssetsError> {
    let folder = cache.join(key());
    if let Ok(assets) = Assets::at(&folder) {
        return Ok(assets);
    }
    fs::create_dir_all(cache).map_err(in_cache(cache))?;
    let _lock = lock(cache, say)?;
    // Whoever had the lock before may have built them.
    if let Ok(assets) = Assets::at(&folder) {
        return Ok(assets);
    }
    remove_leftovers(cache)?;
    // Not the key's name alone: the Go of a builder that was killed may still be at work.
    let staging = cache.join(format!("{}.{}.partial", key(), std::process::id()));
    fs::create_dir(&staging).map_err(in_cache(&staging))?;
    let built = build(&staging, go, say).and_then(|()| Assets::at(staging.join("bin")));
    if let Ok(staged) = &built {
        // The only step that others see. Nobody else holds a folder of this name: under the lock
        // it was looked at, and found missing or incomplete.
        let _ = fs::remove_dir_all(&folder);
        fs::rename(staged.folder(), &folder).map_err(in_cache(&folder))?;
    }
    fs::remove_dir_all(&staging).map_err(in_cache(&staging))?;
    built.and_then(|_| Assets::at(folder))
}

/// Changes with everything that goes into the binaries: modules, recipe, machine.
fn key() -> String {
    let mut hash = Sha256::new();
    for part in [
        GO_MOD,
        GO_SUM,
        &ARGUMENTS.join(" "),
        &linker_flags(),
        OS,
        ARCH,
    ] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().fold(String::new(), |mut key, byte| {
        write!(key, "{byte:02x}").expect("a string takes everything");
        key
    })
}

fn build(staging: &Path, go: &OsStr, say: fn(&str)) -> Result<(), AssetsError> {
    for (name, content) in [("go.mod", GO_MOD), ("go.sum", GO_SUM)] {
        let path = staging.join(name);
        fs::write(&path, content).map_err(in_cache(&path))?;
    }
    let binaries = staging.join("bin");
    say(&format!(
        "building etcd and Kubernetes {}, some minutes, once",
        version_of("k8s.io/kubernetes")
    ));
    let started = Instant::now();
    let mut child = Command::new(go)
        .args(ARGUMENTS)
        .args(["-ldflags", &linker_flags(), "tool"])
        .current_dir(staging)
        .env("GOBIN", &binaries)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        // Of another system's binaries nothing would run here.
        .env_remove("GOOS")
        .env_remove("GOARCH")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => AssetsError::NoGo {
                version: go_version(),
            },
            _ => AssetsError::Cache {
                path: staging.to_owned(),
                source,
            },
        })?;
    let output = follow(&mut child, started, say);
    let status = child.wait().map_err(in_cache(staging))?;
    if !status.success() {
        return Err(AssetsError::Build { status, output });
    }
    say(&format!("built in {} s", started.elapsed().as_secs()));
    // Go names a binary for the last part of its package's path.
    let server = binaries.join("server");
    fs::rename(&server, binaries.join("etcd")).map_err(in_cache(&server))
}

/// Tells how far Go is, and returns its last lines.
fn follow(child: &mut Child, started: Instant, say: fn(&str)) -> String {
    let mut last_lines = VecDeque::new();
    let (mut lines, mut told) = (0, started);
    let output = BufReader::new(child.stderr.take().expect("it was asked for"));
    for line in output.lines().map_while(Result::ok) {
        lines += 1;
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            say(&format!(
                "{} s, {lines} modules and packages, now {line}",
                started.elapsed().as_secs()
            ));
        }
        last_lines.push_back(line);
        if last_lines.len() > QUOTED {
            last_lines.pop_front();
        }
    }
    last_lines.make_contiguous().join("\n")
}

/// Tells the server its version, which its releases are told by their build scripts.
fn linker_flags() -> String {
    let version = version_of("k8s.io/kubernetes");
    let mut numbers = version.trim_start_matches('v').split('.');
    let major = numbers.next().unwrap_or_default();
    let minor = numbers.next().unwrap_or_default();
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} \
         -X {package}.gitMinor={minor}"
    )
}

/// A module's version in `go.mod`.
fn version_of(module: &str) -> &'static str {
    let mut requirements = GO_MOD
        .lines()
        .filter_map(|line| line.trim().split_once(' '));
    let found = requirements.find(|(name, _)| *name == module);
    found
        .and_then(|(_, rest)| rest.split(' ').next())
        .expect("go.mod requires it")
}

/// The version of Go that `go.mod` asks for.
fn go_version() -> &'static str {
    GO_MOD
        .lines()
        .find_map(|line| line.strip_prefix("go "))
        .expect("go.mod has a go line")
}

fn lock(cache: &Path, say: fn(&str)) -> Result<File, AssetsError> {
    let path = cache.join("lock");
    let lock = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(in_cache(&path))?;
    match lock.try_lock() {
        Err(fs::TryLockError::WouldBlock) => {
            say("waiting for another build of it");
            lock.lock().map_err(in_cache(&path))?;
        }
        Err(fs::TryLockError::Error(source)) => return Err(AssetsError::Cache { path, source }),
        Ok(()) => {}
    }
    Ok(lock)
}

/// Removes what killed builders left; the caller has the lock, so none is at work.
fn remove_leftovers(cache: &Path) -> Result<(), AssetsError> {
    for entry in fs::read_dir(cache).map_err(in_cache(cache))?.flatten() {
        if entry.path().extension() == Some(OsStr::new("partial")) {
            // An orphaned Go may be writing there; what cannot be removed now can be next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn in_cache(path: &Path) -> impl FnOnce(io::Error) -> AssetsError {
    let path: PathBuf = path.to_owned();
    |source| AssetsError::Cache { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_the_version_that_go_mod_requires() {
        let flags = linker_flags();
        let version = version_of("k8s.io/kubernetes");
        let (minor, _) = version.trim_start_matches("v1.").split_once('.').unwrap();
        assert!(
            flags.contains(&format!(".gitVersion={version} ")),
            "{flags}"
        );
        assert!(flags.ends_with(&format!(".gitMinor={minor}")), "{flags}");
    }

    #[test]
    fn the_modules_name_no_registry_and_replace_nothing_by_a_folder() {
        for line in GO_MOD.lines().chain(GO_SUM.lines()) {
            assert!(!line.contains("://") && !line.contains("=> ."), "{line}");
        }
    }
}
