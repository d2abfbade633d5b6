//! The binaries of the control plane: found, or built once per machine.
//!
//! They are looked for in the folder that `KUBEBUILDER_ASSETS` names, and nowhere else if that is
//! set. Otherwise they are built by Go from `tools/control-plane/go.mod` into
//! `$XDG_CACHE_HOME/kube-cascade/control-plane/<key>`, or that folder's usual place
//! `~/.cache`, where the key changes with everything that goes into them. That takes some
//! minutes and half a gigabyte; old keys are for the user to remove.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{self, Path, PathBuf},
    process::ExitStatus,
};

mod build;
#[cfg(test)]
mod tests;

/// All that a folder of assets holds.
const BINARIES: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kubectl",
];

/// A folder with `etcd`, `kube-apiserver`, `kube-controller-manager` and `kubectl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets {
    folder: PathBuf,
}

impl Assets {
    /// Finds the binaries, or builds them. Of several processes that do so at once one builds,
    /// and the others wait for it. Progress goes to standard error, past the test harness.
    pub fn find_or_build() -> Result<Self, AssetsError> {
        match given_by_environment("KUBEBUILDER_ASSETS") {
            Some(folder) => Self::at(folder),
            None => build::find_or_build(&cache()?, "go".as_ref(), say),
        }
    }

    /// The binaries in a folder.
    pub fn at(folder: impl Into<PathBuf>) -> Result<Self, AssetsError> {
        let folder = folder.into();
        // Components have working folders of their own.
        let folder = path::absolute(&folder).map_err(|source| AssetsError::Cache {
            path: folder,
            source,
        })?;
        let missing: Vec<_> = BINARIES
            .into_iter()
            .filter(|name| !is_executable(&folder.join(name)))
            .collect();
        if missing.is_empty() {
            Ok(Self { folder })
        } else {
            Err(AssetsError::Missing {
                folder,
                missing: missing.join(", "),
            })
        }
    }

    /// The folder that holds them.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The kubectl among them.
    #[must_use]
    pub fn kubectl(&self) -> PathBuf {
        self.folder.join("kubectl")
    }

    /// A search path that finds them before everything else.
    #[must_use]
    pub fn prepended_to(&self, path: Option<OsString>) -> OsString {
        let mut result = self.folder.clone().into_os_string();
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            result.push(":");
            result.push(path);
        }
        result
    }
}

/// Why there are no binaries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssetsError {
    /// A folder that was given, or just built, lacks some.
    #[error("{} has no executable {missing}", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The names of what it lacks.
        missing: String,
    },
    /// There is no Go to build them with.
    #[error(
        "the control plane's binaries are not built yet, and there is no Go to build them: \
         install Go {version} or later (https://go.dev/doc/install), \
         or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, \
         kube-controller-manager and kubectl"
    )]
    NoGo {
        /// The version that the modules ask for.
        version: &'static str,
    },
    /// Go failed.
    #[error("failed to build the control plane's binaries ({status}):\n{output}")]
    Build {
        /// How Go ended.
        status: ExitStatus,
        /// The last lines that it printed.
        output: String,
    },
    /// The cache could not be read or written.
    #[error("failed to use the cache of binaries at {}", path.display())]
    Cache {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Neither `XDG_CACHE_HOME` nor `HOME` says where a cache could be.
    #[error(
        "there is no place for a cache of binaries: set HOME, XDG_CACHE_HOME or KUBEBUILDER_ASSETS"
    )]
    NoCache,
}

/// The user's cache of all control planes.
fn cache() -> Result<PathBuf, AssetsError> {
    given_by_environment("XDG_CACHE_HOME")
        .or_else(|| Some(given_by_environment("HOME")?.join(".cache")))
        .map(|cache| cache.join("kube-cascade").join("control-plane"))
        .ok_or(AssetsError::NoCache)
}

fn given_by_environment(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Unlike `eprintln!`, this is seen while a test runs.
fn say(message: &str) {
    let _ = writeln!(io::stderr(), "control plane: {message}");
}
