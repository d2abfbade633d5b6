//! Who may talk to the API server: tokens, kubeconfigs, the key of service accounts.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde_json::json;

/// How many users without rights a control plane knows. The token file is read once, at start.
pub(crate) const USERS: usize = 64;

/// A user of the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    token: String,
    kubeconfig: PathBuf,
}

impl User {
    /// The name that RBAC subjects refer to.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bearer token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A kubeconfig file with this user's token.
    #[must_use]
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }
}

/// All that a control plane's folder holds of credentials.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// In the group `system:masters`.
    pub(crate) admin: User,
    /// Nobody grants them anything but tests.
    pub(crate) users: Vec<User>,
}

impl Credentials {
    /// Makes new ones and writes the API server's files into `folder`.
    pub(crate) fn create(folder: &Path, server: &Server) -> io::Result<Self> {
        let credentials = Self {
            admin: new_user(folder, "admin")?,
            users: (1..=USERS)
                .map(|number| new_user(folder, &format!("user-{number:02}")))
                .collect::<io::Result<_>>()?,
        };
        write(&token_file(folder), credentials.tokens().as_bytes())?;
        write(&service_account_key(folder), pem(random()?).as_bytes())?;
        for user in credentials.users.iter().chain([&credentials.admin]) {
            write(&user.kubeconfig, kubeconfig(server, user).as_bytes())?;
        }
        Ok(credentials)
    }

    /// The format of `--token-auth-file`: token, user, UID and, quoted, groups.
    fn tokens(&self) -> String {
        let admin = format!("{},admin,admin,\"system:masters\"\n", self.admin.token);
        let users = self
            .users
            .iter()
            .map(|user| format!("{},{name},{name}\n", user.token, name = user.name));
        std::iter::once(admin).chain(users).collect()
    }
}

/// What a kubeconfig says about the server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) ca: PathBuf,
}

/// Where `--token-auth-file` is.
pub(crate) fn token_file(folder: &Path) -> PathBuf {
    folder.join("tokens.csv")
}

/// Where the key is that signs the tokens of service accounts.
pub(crate) fn service_account_key(folder: &Path) -> PathBuf {
    folder.join("service-accounts.key")
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn new_user(folder: &Path, name: &str) -> io::Result<User> {
    let folder = folder.join("kubeconfigs");
    fs::create_dir_all(&folder)?;
    let token = format!("{:032x}", u128::from_le_bytes(random()?));
    Ok(User {
        name: name.to_owned(),
        token,
        kubeconfig: folder.join(name),
    })
}

fn kubeconfig(server: &Server, user: &User) -> String {
    // JSON is YAML, and needs no thought about quoting.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "control-plane",
            "cluster": { "server": server.url, "certificate-authority": server.ca },
        }],
        "users": [{ "name": user.name, "user": { "token": user.token } }],
        "contexts": [{
            "name": user.name,
            "context": { "cluster": "control-plane", "user": user.name },
        }],
        "current-context": user.name,
    });
    format!("{config:#}\n")
}

/// A private key for ECDSA on P-256, as PEM.
///
/// Any number below the group's order is one, so this needs no cryptography: the public half,
/// which the format (SEC 1, appendix C.4) makes optional, is for the reader to compute.
fn pem(mut secret: [u8; 32]) -> String {
    // The order starts with 32 one bits; without the topmost bit the number is below it. The
    // lowest bit keeps it from being zero.
    secret[0] &= 0x7f;
    secret[31] |= 1;
    let version = [0x02, 0x01, 0x01];
    let private_key = [&[0x04, 0x20][..], &secret].concat();
    let curve = [
        0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    let sequence = [&[0x30, 0x31][..], &version, &private_key, &curve].concat();
    format!(
        "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n",
        base64(&sequence)
    )
}

/// Base 64 (RFC 4648) of whole groups of three bytes, which is all that [`pem`] needs.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (groups, rest) = bytes.as_chunks::<3>();
    debug_assert!(rest.is_empty(), "padding is not implemented");
    let digits = groups.iter().flat_map(|&[a, b, c]| {
        let group = u32::from_be_bytes([0, a, b, c]);
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(group >> shift & 63) as usize]))
    });
    digits.collect()
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_key_is_a_well_formed_pem_file() {
        let pem = pem([0xff; 32]);
        let lines: Vec<_> = pem.lines().collect();
        assert_eq!(lines[0], "-----BEGIN EC PRIVATE KEY-----");
        assert_eq!(lines[1].len(), 51 * 4 / 3);
        assert!(lines[1].starts_with("MDECAQEEIH"), "{pem}");
        assert!(lines[1].ends_with("oAoGCCqGSM49AwEH"), "{pem}");
        assert_eq!(lines[2], "-----END EC PRIVATE KEY-----");
    }

    #[test]
    fn base64_encodes_the_examples_of_its_specification() {
        assert_eq!(base64(b"foo"), "Zm9v");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }

    #[test]
    fn only_the_admin_is_in_a_group() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server {
            url: "https://127.0.0.1:1".into(),
            ca: "/ca".into(),
        };
        let credentials = Credentials::create(folder.path(), &server).unwrap();
        let tokens = fs::read_to_string(token_file(folder.path())).unwrap();
        let grouped: Vec<_> = tokens.lines().filter(|line| line.contains('"')).collect();
        assert_eq!(
            grouped,
            [format!(
                "{},admin,admin,\"system:masters\"",
                credentials.admin.token
            )]
        );
        assert_eq!(tokens.lines().count(), 1 + USERS);
    }

    #[test]
    fn a_kubeconfig_carries_the_token_of_its_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server {
            url: "https://127.0.0.1:1".into(),
            ca: "/ca".into(),
        };
        let Credentials { admin, users } = Credentials::create(folder.path(), &server).unwrap();
        let kubeconfig = fs::read_to_string(users[0].kubeconfig_path()).unwrap();
        assert!(kubeconfig.contains(users[0].token()));
        assert!(!kubeconfig.contains(admin.token()));
    }
}
