//! What is true in a schedule: which processes live, who waits, what was observed, and which law was broken.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use portcullis::config::ServerSpec;
use portcullis::upstream::{Phase, StateChange};
use tokio::task::Id;
use tokio::time::Instant;

use super::phases::Phases;

/// What a schedule came to.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) schedules: u64,
    pub(super) launched: u64,
    pub(super) abandoned: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) backed_off: u64,
    pub(super) gave_up: u64,
    pub(super) violations: Vec<String>,
    pub(super) history: Vec<String>,
}

impl Summary {
    pub(super) fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.launched += other.launched;
        self.abandoned += other.abandoned;
        self.answered += other.answered;
        self.failed += other.failed;
        self.backed_off += other.backed_off;
        self.gave_up += other.gave_up;
    }

    /// Whether the schedules together met what they are there to meet.
    pub(super) fn reached_everything(&self) -> bool {
        let counts = [
            self.launched,
            self.abandoned,
            self.answered,
            self.failed,
            self.backed_off,
            self.gave_up,
        ];
        counts.iter().all(|count| *count > 0)
    }
}

/// A process that lives.
#[derive(Debug)]
struct Life {
    /// The task that started it: its supervisor.
    owner: Option<Id>,
    killed_at: Option<Instant>,
    is_abandoned: bool,
}

pub(super) struct World {
    facts: Mutex<Facts>,
    began: Instant,
    grace: Duration,
    starting_max: usize,
    live_max: usize,
}

struct Facts {
    lives: BTreeMap<u32, Life>,
    last_pid: u32,
    launching: usize,
    waiting: u64,
    is_hurried: bool,
    phases: Phases,
    summary: Summary,
}

impl World {
    pub(super) fn new(spec: &ServerSpec, starting_max: usize) -> Self {
        let facts = Facts {
            lives: BTreeMap::new(),
            last_pid: 1000,
            launching: 0,
            waiting: 0,
            is_hurried: false,
            phases: Phases::new(spec.restart.clone()),
            summary: Summary {
                schedules: 1,
                ..Summary::default()
            },
        };
        Self {
            facts: Mutex::new(facts),
            began: Instant::now(),
            grace: spec.stop_grace,
            starting_max,
            live_max: spec.instances_max,
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().expect("no holder panics")
    }

    pub(super) fn note(&self, what: impl Into<String>) {
        let at = self.began.elapsed().as_secs_f64();
        self.facts()
            .summary
            .history
            .push(format!("{at:>9.3} {}", what.into()));
    }

    pub(super) fn broken(&self, law: impl Into<String>) {
        let law = law.into();
        self.note(format!("BROKEN: {law}"));
        let at = self.began.elapsed().as_secs_f64();
        self.facts().summary.violations.push(format!("{at:>9.3} {law}"));
    }

    pub(super) fn observe(&self, change: &StateChange) {
        self.note(format!(
            "instance {} {} -> {} ({})",
            change.instance, change.from, change.state.phase, change.cause
        ));
        let broken = {
            let mut facts = self.facts();
            facts.summary.backed_off += u64::from(change.state.phase == Phase::Backoff);
            facts.summary.gave_up += u64::from(change.state.phase == Phase::Failed);
            facts.phases.observe(change, Instant::now())
        };
        for law in broken {
            self.broken(law);
        }
    }

    pub(super) fn forgive_all(&self) {
        self.facts().phases.forgive_all();
    }

    pub(super) fn hurried(&self) {
        self.note("hurry");
        self.facts().is_hurried = true;
    }

    pub(super) fn launch_begins(&self) {
        let launching = {
            let mut facts = self.facts();
            facts.launching += 1;
            facts.launching
        };
        if launching > self.starting_max {
            self.broken(format!("{launching} servers start at once"));
        }
    }

    pub(super) fn launch_over(&self) {
        self.facts().launching -= 1;
    }

    /// A launch was given up before it returned; nobody may do that to one that could have a process.
    pub(super) fn launch_dropped(&self, age: Duration) {
        if !self.facts().is_hurried && age < Duration::from_secs(30) {
            self.broken("a launch was dropped while a process was being started");
        }
    }

    /// A process begins to live; returns its pid.
    pub(super) fn born(&self) -> u32 {
        let owner = tokio::task::try_id();
        let (pid, of_owner, live) = {
            let mut facts = self.facts();
            facts.last_pid += 1;
            let pid = facts.last_pid;
            let life = Life {
                owner,
                killed_at: None,
                is_abandoned: false,
            };
            facts.lives.insert(pid, life);
            facts.summary.launched += 1;
            let lives = facts.lives.values().filter(|life| !life.is_abandoned);
            let of_owner = lives.clone().filter(|life| life.owner == owner).count();
            (pid, of_owner, lives.count())
        };
        self.note(format!("process {pid} begins"));
        if of_owner > 1 {
            self.broken(format!("an instance has {of_owner} processes"));
        }
        if live > self.live_max {
            self.broken(format!("the server has {live} processes"));
        }
        pid
    }

    pub(super) fn killed(&self, pid: u32) {
        if let Some(life) = self.facts().lives.get_mut(&pid) {
            life.killed_at.get_or_insert_with(Instant::now);
        }
    }

    pub(super) fn ended(&self, pid: u32) {
        self.note(format!("process {pid} ended"));
        self.facts().lives.remove(&pid);
    }

    /// The handle of a process was dropped. If it still lives, it must have had its grace after SIGKILL.
    pub(super) fn let_go(&self, pid: u32) {
        let too_early = {
            let mut facts = self.facts();
            let grace = self.grace;
            let Some(life) = facts.lives.get_mut(&pid) else {
                return;
            };
            life.is_abandoned = true;
            let too_early = life.killed_at.is_none_or(|at| at.elapsed() < grace);
            facts.summary.abandoned += 1;
            too_early
        };
        if too_early {
            self.broken(format!("process {pid} was let go alive"));
        }
    }

    /// Returns the processes that live and that somebody still watches.
    pub(super) fn watched(&self) -> Vec<u32> {
        let facts = self.facts();
        let watched = facts.lives.iter().filter(|(_, life)| !life.is_abandoned);
        watched.map(|(pid, _)| *pid).collect()
    }

    pub(super) fn ticket_opened(&self) {
        self.facts().waiting += 1;
    }

    pub(super) fn ticket_closed(&self, answered: bool) {
        let mut facts = self.facts();
        facts.waiting -= 1;
        facts.summary.answered += u64::from(answered);
        facts.summary.failed += u64::from(!answered);
    }

    /// The laws that hold when everything is over.
    pub(super) fn finish(&self) -> Summary {
        let (lives, launching, waiting, open) = {
            let facts = self.facts();
            let lives: Vec<u32> = facts.lives.keys().copied().collect();
            (lives, facts.launching, facts.waiting, facts.phases.open())
        };
        if !lives.is_empty() || launching > 0 {
            self.broken(format!(
                "left are the processes {lives:?} and {launching} launches"
            ));
        }
        if waiting > 0 {
            self.broken(format!("{waiting} requests were never answered"));
        }
        for instance in open {
            self.broken(instance);
        }
        std::mem::take(&mut self.facts().summary)
    }
}
