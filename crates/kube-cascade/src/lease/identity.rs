//! A name for one start of a process.

/// `<host>_<16 random hexadecimal digits>`.
pub(super) fn fresh() -> String {
    format!("{}_{:016x}", host(), rand::random::<u64>())
}

/// For people who look at the Lease: the pod's name in a cluster. Never relied on for uniqueness.
fn host() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let from_shell = || std::env::var("HOSTNAME").ok();
    let from_windows = || std::env::var("COMPUTERNAME").ok();
    let host = from_kernel
        .or_else(from_shell)
        .or_else(from_windows)
        .unwrap_or_default();
    match host.trim() {
        "" => "localhost".to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_starts_have_two_names_that_begin_with_the_host() {
        let (one, other) = (fresh(), fresh());
        assert_ne!(one, other);
        for name in [one, other] {
            let (host, random) = name.rsplit_once('_').expect("host and digits");
            assert!(!host.is_empty(), "{name}");
            assert!(
                random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit()),
                "{name}"
            );
        }
    }
}
