use std::time::Duration;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn election(identity: &str) -> Election {
    Election::new(identity.into(), LeaseTiming::default())
}

#[test]
fn a_first_look_decides_by_the_holder_alone() {
    let now = Instant::now();
    let rows = [
        (None, Step::Create),
        (Some(LeaseRecord::held("", 1)), Step::TakeOver),
        (Some(LeaseRecord::held("us", 1)), Step::Renew),
        (
            Some(LeaseRecord::held("them", 1)),
            Step::Wait {
                until: now + SECOND * 15,
            },
        ),
        (
            Some(LeaseRecord::held("them", 1).lasting(0)),
            Step::Wait {
                until: now + SECOND * 15,
            },
        ),
        (
            Some(LeaseRecord::held("them", 1).lasting(1)),
            Step::Wait {
                until: now + SECOND * 15,
            },
        ),
        (
            Some(LeaseRecord::held("them", 1).lasting(60)),
            Step::Wait {
                until: now + SECOND * 60,
            },
        ),
    ];
    for (record, step) in rows {
        assert_eq!(
            election("us").decide(record.as_ref(), now),
            step,
            "{record:?}"
        );
    }
}

#[test]
fn an_unchanged_record_expires_after_its_duration_and_not_before() {
    let start = Instant::now();
    let record = LeaseRecord::held("them", 1);
    let mut election = election("us");
    let wait = Step::Wait {
        until: start + SECOND * 15,
    };
    assert_eq!(election.decide(Some(&record), start), wait);
    let last = start + SECOND * 15 - Duration::from_nanos(1);
    assert_eq!(election.decide(Some(&record), last), wait);
    assert_eq!(
        election.decide(Some(&record), start + SECOND * 15),
        Step::TakeOver
    );
}

#[test]
fn any_change_of_the_record_starts_the_wait_again() {
    let changed = [
        LeaseRecord::held("them", 2),
        LeaseRecord::held("others", 1),
        LeaseRecord::held("them", 1).renewed_at("2020-01-01T00:00:00Z"),
        LeaseRecord::held("them", 1).lasting(14),
    ];
    for record in changed {
        let start = Instant::now();
        let mut election = election("us");
        election.decide(Some(&LeaseRecord::held("them", 1)), start);
        let later = start + SECOND * 14;
        assert_eq!(
            election.decide(Some(&record), later),
            Step::Wait {
                until: later + SECOND * 15
            },
            "{record:?}"
        );
    }
}

#[test]
fn a_lease_deleted_under_a_live_holder_is_not_taken_from_it() {
    let start = Instant::now();
    let mut standby = election("us");
    standby.decide(Some(&LeaseRecord::held("them", 1)), start);
    let wait = Step::Wait {
        until: start + SECOND * 15,
    };
    assert_eq!(standby.decide(None, start + SECOND), wait);
    assert_eq!(standby.decide(None, start + SECOND * 15), Step::Create);

    let mut holder = election("them");
    holder.won(start);
    assert_eq!(holder.decide(None, start + SECOND), Step::Create);
}

#[test]
fn leading_ends_with_the_deadline_and_with_anybody_elses_record() {
    let start = Instant::now();
    let ours = LeaseRecord::held("us", 1);
    // what is read, seconds after the last renewal, decision
    let rows = [
        (Some(ours.clone()), 9, Step::Renew),
        (None, 9, Step::Create),
        (Some(ours), 10, Step::Lost),
        (None, 10, Step::Lost),
        (Some(LeaseRecord::held("them", 2)), 1, Step::Lost),
        (Some(LeaseRecord::held("", 2)), 1, Step::Lost),
    ];
    for (record, after, step) in rows {
        let mut election = election("us");
        assert_eq!(election.won(start), start + SECOND * 10);
        assert_eq!(
            election.decide(record.as_ref(), start + SECOND * after),
            step,
            "{record:?}"
        );
        assert_eq!(election.leads(), step != Step::Lost);
    }
}

/// What one contender does next, in milliseconds of its own waiting.
#[derive(Clone, Copy, Debug)]
struct Turn {
    contender: usize,
    pause: u64,
    /// How long the request travels to the server, and its answer back.
    there: u64,
    back: u64,
    /// Whether the request never arrives, or its answer never does.
    lost_there: bool,
    lost_back: bool,
    /// The contender's idea of the hour.
    skew: i64,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let travel = prop_oneof![9 => 0_u64..500, 1 => 0_u64..20_000];
    let turn = (
        0_usize..3,
        0_u64..4_000,
        travel.clone(),
        travel,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        -3_600_i64..3_600,
    )
        .prop_map(
            |(contender, pause, there, back, lost_there, lost_back, skew)| Turn {
                contender,
                pause,
                there,
                back,
                lost_there,
                lost_back,
                skew,
            },
        );
    prop::collection::vec(turn, 1..200)
}

/// A write on its way to the server.
struct Write {
    arrives: Instant,
    who: usize,
    sent: Instant,
    replaces: Option<LeaseRecord>,
    record: LeaseRecord,
    answer_arrives: Option<Instant>,
}

/// The answer to a write that was carried out, on its way back.
struct Answer {
    arrives: Instant,
    who: usize,
    sent: Instant,
}

/// A server with one Lease, and its contenders.
struct World {
    epoch: Instant,
    now: Instant,
    record: Option<LeaseRecord>,
    version: u64,
    contenders: Vec<Election>,
    writes: Vec<Write>,
    answers: Vec<Answer>,
}

impl World {
    fn new() -> Self {
        let epoch = Instant::now();
        Self {
            epoch,
            now: epoch,
            record: None,
            version: 0,
            contenders: ["a", "b", "c"].map(election).into(),
            writes: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn name(contender: usize) -> &'static str {
        ["a", "b", "c"][contender]
    }

    /// Lets everything arrive that does by then.
    fn pass(&mut self, until: Instant) {
        self.writes.sort_by_key(|write| write.arrives);
        for write in self.writes.extract_if(.., |write| write.arrives <= until) {
            if self.record == write.replaces {
                self.record = Some(write.record);
                let Write { who, sent, .. } = write;
                self.answers
                    .extend(
                        write
                            .answer_arrives
                            .map(|arrives| Answer { arrives, who, sent }),
                    );
            }
        }
        // After the writes: no answer decides what the server does with another.
        self.answers.sort_by_key(|answer| answer.arrives);
        for answer in self
            .answers
            .extract_if(.., |answer| answer.arrives <= until)
        {
            self.contenders[answer.who].won(answer.sent);
        }
        self.now = until;
    }

    fn take(&mut self, turn: Turn) {
        self.pass(self.now + Duration::from_millis(turn.pause));
        let who = turn.contender;
        let seen = self.record.clone();
        let step = self.contenders[who].decide(seen.as_ref(), self.now);
        if matches!(step, Step::Wait { .. } | Step::Lost) {
            return;
        }
        self.version += 1;
        let hour = i64::try_from((self.now - self.epoch).as_secs()).unwrap_or(0) + turn.skew;
        let arrives = self.now + Duration::from_millis(turn.there);
        if !turn.lost_there {
            self.writes.push(Write {
                arrives,
                who,
                sent: self.now,
                replaces: seen,
                record: LeaseRecord::held(Self::name(who), self.version)
                    .renewed_at(&hour.to_string()),
                answer_arrives: (!turn.lost_back)
                    .then(|| arrives + Duration::from_millis(turn.back)),
            });
        }
    }

    fn leaders(&self) -> Vec<&'static str> {
        self.contenders
            .iter()
            .enumerate()
            .filter(|(_, e)| e.leads_until.is_some_and(|until| self.now < until))
            .map(|(who, _)| Self::name(who))
            .collect()
    }
}

proptest! {
    #[test]
    fn there_is_never_more_than_one_leader_whatever_is_delayed_or_lost(turns in turns()) {
        let mut world = World::new();
        for turn in turns {
            world.take(turn);
            let leaders = world.leaders();
            prop_assert!(leaders.len() <= 1, "{leaders:?} at {:?}", world.now - world.epoch);
        }
    }

    #[test]
    fn fault_47_the_hours_in_the_record_decide_nothing(
        looks in prop::collection::vec((0_u64..8_000, 0_u64..3), 1..50),
        right in any::<i64>(),
        wrong in any::<i64>(),
    ) {
        let mut now = Instant::now();
        let (mut one, mut other) = (election("us"), election("us"));
        let mut version = 0_u64;
        for (pause, renewals) in looks {
            now += Duration::from_millis(pause);
            version += renewals;
            let record = |clock: i64| {
                let hour = clock.wrapping_mul(version.cast_signed());
                LeaseRecord::held("them", version).renewed_at(&hour.to_string())
            };
            prop_assert_eq!(
                one.decide(Some(&record(right)), now),
                other.decide(Some(&record(wrong)), now)
            );
        }
    }
}
