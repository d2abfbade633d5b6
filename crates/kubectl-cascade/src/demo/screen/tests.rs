use std::sync::{Arc, Mutex};

use super::*;

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

fn look(is_terminal: bool, variables: &[(&str, &str)]) -> (bool, bool) {
    let found = |name: &str| {
        let mut variables = variables.iter();
        let variable = variables.find(|(other, _)| *other == name);
        variable.map(|(_, value)| (*value).to_owned())
    };
    let Look { live, colours } = Look::of(is_terminal, found);
    (live, colours)
}

#[test]
fn a_terminal_is_drawn_on_in_colours_unless_somebody_objects() {
    assert_eq!(look(true, &[]), (true, true));
    assert_eq!(look(true, &[("NO_COLOR", "1")]), (true, false));
    assert_eq!(look(true, &[("NO_COLOR", "")]), (true, true));
    assert_eq!(look(true, &[("CLICOLOR", "0")]), (true, false));
    assert_eq!(look(true, &[("TERM", "dumb")]), (false, false));
}

#[test]
fn a_pipe_gets_lines_and_colours_only_by_force() {
    assert_eq!(look(false, &[]), (false, false));
    assert_eq!(look(false, &[("CLICOLOR", "1")]), (false, false));
    assert_eq!(look(false, &[("CLICOLOR_FORCE", "1")]), (false, true));
    assert_eq!(look(false, &[("CLICOLOR_FORCE", "0")]), (false, false));
    let both = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
    assert_eq!(look(false, &both), (false, false));
}

#[test]
fn a_screen_is_drawn_over_and_hides_the_cursor_no_longer() {
    let buffer = Buffer::default();
    let look = Look {
        live: true,
        colours: false,
    };
    let mut screen = Screen::new(Box::new(buffer.clone()), look, || (20, 10));
    screen
        .open(vec![Line::plain("one")], &Stage::default())
        .unwrap();
    screen.draw(&Stage::default()).unwrap();
    let drawn = "\x1b[?25lone\x1b[K\x1b[J\x1b[?25h\r\n";
    let over = "\x1b[?25l\x1b[1A\rone\x1b[K\x1b[J\x1b[?25h\r\n";
    assert_eq!(buffer.text(), format!("{drawn}{over}"));
    drop(screen);
    assert_eq!(buffer.text(), format!("{drawn}{over}\r\x1b[K"));
}

#[test]
fn a_pipe_gets_no_control_characters() {
    let buffer = Buffer::default();
    let look = Look {
        live: false,
        colours: false,
    };
    let mut screen = Screen::new(Box::new(buffer.clone()), look, || (20, 10));
    let stage = Stage::default();
    screen.open(vec![Line::bold("head")], &stage).unwrap();
    screen.draw(&stage).unwrap();
    screen.close(&stage, &[Line::dim("end")]).unwrap();
    drop(screen);
    assert_eq!(buffer.text(), "head\n\n\nend\n");
}

#[test]
fn what_a_narrower_terminal_has_folded_is_drawn_over_too() {
    assert_eq!(rows(&[0, 10, 20, 21], 20), 1 + 1 + 1 + 2);
    assert_eq!(rows(&[40], 0), 40);
}
