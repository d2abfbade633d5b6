use std::{
    future::pending,
    io::Write,
    sync::{Arc, Mutex},
};

use super::{
    screen::{Look, Size},
    *,
};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is shown of the whole demo.
async fn shown(live: bool, size: fn() -> Size) -> String {
    let buffer = Buffer::default();
    let look = Look {
        live,
        colours: false,
    };
    let screen = Screen::new(Box::new(buffer.clone()), look, size);
    let (mut platform, changes) = Platform::in_process();
    let play = Play::new(changes, screen, Box::pin(pending()));
    show(&mut platform, play)
        .await
        .expect("it comes to its end");
    buffer.text()
}

/// The place of the one line that contains this.
fn place(lines: &[&str], part: &str) -> usize {
    let mut found = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains(part));
    let (place, _) = found.next().unwrap_or_else(|| panic!("{part}: {lines:#?}"));
    assert!(found.next().is_none(), "{part} twice: {lines:#?}");
    place
}

#[tokio::test(start_paused = true)]
async fn the_project_goes_last_and_what_is_not_its_own_stays() {
    let begun = Instant::now();
    let text = shown(false, || (80, 24)).await;
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    let lines: Vec<_> = text.lines().collect();
    for (earlier, later) in [
        (
            "holds Project tenants/apollo",
            "you           kubectl delete project apollo: terminating",
        ),
        (
            "kubectl delete project apollo: terminating",
            "kube-cascade  DELETE Cluster compute/web: terminating",
        ),
        (
            "DELETE Cluster compute/web",
            "collector     DELETE Machine compute/web-0: gone",
        ),
        ("Machine compute/web-0: gone", "Cluster compute/web is gone"),
        ("Machine compute/web-1: gone", "Cluster compute/web is gone"),
        (
            "Cluster compute/web is gone: shut down",
            "Network region/blue is gone: Cluster web uses it no more",
        ),
        (
            "Network region/blue is gone",
            "Project tenants/apollo is gone",
        ),
        (
            "Volume storage/data is gone",
            "Project tenants/apollo is gone",
        ),
        (
            "DELETE Volume storage/logs",
            "Project tenants/apollo is gone",
        ),
        ("Project tenants/apollo is gone", "Project apollo went last"),
    ] {
        let (first, second) = (place(&lines, earlier), place(&lines, later));
        assert!(first < second, "{earlier} before {later}: {lines:#?}");
    }
    for stranger in ["gemini", "batch", "grey", "uplink"] {
        let deleted = |line: &&&str| line.contains(stranger) && line.contains("DELETE");
        assert_eq!(lines.iter().find(deleted), None);
    }
    assert!(
        text.contains("left 8 objects behind: 4 by label, 4 owned"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_screen_of_a_small_terminal_shows_the_end_of_everything() {
    let text = shown(true, || (80, 24)).await;
    let last = text.rsplit("\x1b[?25l").next().unwrap_or_default();
    let lines: Vec<_> = last.lines().collect();
    assert!(lines.len() <= 24, "{}: {last}", lines.len());
    assert!(
        last.contains("Project apollo         gone         deleted by you"),
        "{last}"
    );
    assert!(
        last.contains("\x1b[?25h\r\n\r\x1b[K\nProject apollo went last"),
        "{last}"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_it_gets_the_terminal_back() {
    let buffer = Buffer::default();
    let look = Look {
        live: true,
        colours: true,
    };
    let screen = Screen::new(Box::new(buffer.clone()), look, || (80, 24));
    let (mut platform, changes) = Platform::in_process();
    let stop = Box::pin(tokio::time::sleep(Duration::from_secs(3)));
    let ended = show(&mut platform, Play::new(changes, screen, stop)).await;
    assert!(matches!(ended, Err(Ended::Stopped)), "{ended:?}");
    assert!(buffer.text().ends_with("\x1b[?25h\r\n\r\x1b[K"));
}

#[test]
fn a_word_for_a_shell_is_quoted_where_it_must_be() {
    assert_eq!(quoted("/tmp/demo-1/kubeconfig"), "/tmp/demo-1/kubeconfig");
    assert_eq!(quoted("/tmp/a b/it's"), r"'/tmp/a b/it'\''s'");
}
