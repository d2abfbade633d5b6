use std::{os::unix::fs::OpenOptionsExt, thread};

use super::*;

/// Stands for Go: writes empty binaries, and a line into `calls` for every call.
const BUILDS: &str = r#"
echo called >> "${0%/*}/calls"
mkdir -p "$GOBIN"
for binary in server kube-apiserver kube-controller-manager kubectl; do
    printf '#!/bin/sh\n' > "$GOBIN/$binary"
    chmod +x "$GOBIN/$binary"
done
"#;

struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn with_go(script: &str) -> Self {
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let script = format!("#!/bin/sh\n{script}");
        // Through a process of its own: a script that a fork of this process has open for
        // writing cannot be executed, and other tests fork.
        let mut copy = std::process::Command::new("/bin/sh")
            .args(["-c", "umask 022; cat > \"$0\" && chmod +x \"$0\""])
            .arg(fixture.go())
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        io::Write::write_all(&mut copy.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(copy.wait().unwrap().success());
        fixture
    }

    fn go(&self) -> PathBuf {
        self.folder.path().join("go")
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn find_or_build(&self) -> Result<Assets, AssetsError> {
        build::find_or_build(&self.cache(), self.go().as_os_str(), |_| ())
    }

    fn calls(&self) -> usize {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        calls.lines().count()
    }

    /// What the cache holds besides the lock.
    fn cached(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        entries.filter(|path| !path.ends_with("lock")).collect()
    }
}

#[test]
fn the_binaries_are_built_once() {
    let fixture = Fixture::with_go(BUILDS);
    let built = fixture.find_or_build().unwrap();
    let found = fixture.find_or_build().unwrap();
    assert_eq!(built, found);
    assert_eq!(fixture.calls(), 1);
    assert_eq!(fixture.cached(), [built.folder()]);
}

#[test]
fn builders_at_the_same_time_build_once() {
    let fixture = Fixture::with_go(BUILDS);
    thread::scope(|scope| {
        let builders: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| fixture.find_or_build()))
            .collect();
        for builder in builders {
            builder.join().unwrap().unwrap();
        }
    });
    assert_eq!(fixture.calls(), 1);
}

#[test]
fn a_failed_build_is_quoted_and_leaves_nothing() {
    let fixture = Fixture::with_go("echo 'no such module' >&2; exit 1");
    let error = fixture.find_or_build().unwrap_err();
    assert!(error.to_string().contains("no such module"), "{error}");
    assert!(fixture.cached().is_empty());
}

#[test]
fn an_incomplete_build_is_an_error_that_names_what_lacks() {
    let fixture = Fixture::with_go(&format!("{BUILDS}\nrm \"$GOBIN/kubectl\""));
    let error = fixture.find_or_build().unwrap_err();
    assert!(
        error.to_string().ends_with("has no executable kubectl"),
        "{error}"
    );
    assert!(fixture.cached().is_empty());
}

#[test]
fn what_a_killed_builder_left_is_removed() {
    let fixture = Fixture::with_go(BUILDS);
    fs::create_dir_all(fixture.cache().join("key.1.partial/bin")).unwrap();
    let built = fixture.find_or_build().unwrap();
    assert_eq!(fixture.cached(), [built.folder()]);
}

#[test]
fn without_go_the_error_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("there-is-no-go");
    let error = build::find_or_build(folder.path(), go.as_os_str(), |_| ()).unwrap_err();
    assert!(error.to_string().contains("install Go 1."), "{error}");
    assert!(error.to_string().contains("KUBEBUILDER_ASSETS"), "{error}");
}

#[test]
fn a_folder_without_all_binaries_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, mode) in [("etcd", 0o755), ("kube-apiserver", 0o644)] {
        let path = folder.path().join(name);
        fs::File::options()
            .create(true)
            .append(true)
            .mode(mode)
            .open(path)
            .unwrap();
    }
    let error = Assets::at(folder.path()).unwrap_err().to_string();
    let expected = "has no executable kube-apiserver, kube-controller-manager, kubectl";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn the_binaries_come_first_in_a_search_path() {
    let assets = Assets {
        folder: "/assets".into(),
    };
    assert_eq!(
        assets.prepended_to(Some("/bin:/usr/bin".into())),
        "/assets:/bin:/usr/bin"
    );
    assert_eq!(assets.prepended_to(Some("".into())), "/assets");
    assert_eq!(assets.prepended_to(None), "/assets");
}
