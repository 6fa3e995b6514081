//! Jobs: what follows when one is due.
//!
//! Each run of a job is an ordinary run of its instance, which is ready by its success and is not restarted. This file only
//! decides when it starts; [`Timetable`] knows when it is due. Next: `schedule/timetable.rs`.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::Supervisor;
use crate::action::{Action, Cause, Change, Part, StateName};
use crate::ids::{OrderId, ProgramId};
use crate::program::{CycleCause, Desired, DownReason, Instance};
use crate::schedule::{Timetable, WallClock};
use crate::spec::{Autostart, JobOverlap, JobPlan, Kind};
use crate::time::Instant;

/// A job of the plan.
#[derive(Debug, Clone)]
pub(super) struct Job {
    plan: JobPlan,
    table: Timetable,
    course: Course,
}

/// What follows when a job is due, or a run of it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// It runs when it is due.
    On,
    /// The same, and another run follows the present one.
    Queued,
    /// It does not run when it is due.
    Paused,
}

/// What became of a due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It has a run.
    Taken,
    /// It has none, because a run is under way.
    LeftOut,
}

impl Job {
    pub(super) fn is_paused(&self) -> bool {
        self.course == Course::Paused
    }

    pub(super) fn table(&self) -> &Timetable {
        &self.table
    }
}

impl Supervisor {
    /// When the next job is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waits = |job: &&Job| !job.is_paused() && !self.phase.has_begun();
        self.jobs.values().filter(waits).filter_map(|job| job.table.deadline(&self.clock)).min()
    }

    /// The wall clock shows this time.
    pub(super) fn set_clock(&mut self, now: Instant, unix_ms: i64, out: &mut Vec<Action>) {
        self.clock = WallClock { at: now, unix_ms };
        for job in self.jobs.values_mut() {
            job.table.clock_set(now, &self.clock);
        }
        self.follow_jobs(now, out);
    }

    /// The jobs are those of the plan. One whose times are the same keeps its place in them.
    pub(super) fn schedule_jobs(&mut self, now: Instant, out: &mut Vec<Action>) {
        let plan = Rc::clone(&self.plan);
        let is_job = |id: &ProgramId| {
            !plan.is_leaving(*id) && plan.program(*id).is_some_and(|spec| spec.job.is_some())
        };
        for gone in self.jobs.ids().filter(|id| !is_job(id)).collect::<Vec<_>>() {
            self.jobs.remove(gone);
        }
        for (program, spec) in plan.programs().iter().filter(|(id, _)| is_job(id)) {
            let Some(wanted) = &spec.job else { continue };
            let table = Timetable::new(Rc::clone(&wanted.timing), now, &self.clock);
            if let Some(job) = self.jobs.get_mut(program) {
                if job.plan.timing != wanted.timing {
                    job.table = table;
                }
                job.plan = wanted.clone();
                continue;
            }
            // An earlier foster of this process may have paused it, or run it at its own start.
            let known = self.instances_of(program).first();
            let is_paused =
                known.is_some_and(|it| matches!(it.desired(), Desired::Down(DownReason::Requested(_))));
            let has_run = known.is_some_and(|it| it.last_run() > 0);
            let course = if is_paused { Course::Paused } else { Course::On };
            self.jobs.insert(program, Job { plan: wanted.clone(), table, course });
            if wanted.at_start == Autostart::Yes && !is_paused && !has_run {
                self.run_job(now, program, out);
            }
        }
    }

    /// Runs what is due.
    pub(super) fn follow_jobs(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.phase.has_begun() {
            return;
        }
        for program in self.jobs.ids().collect::<Vec<_>>() {
            let mut left_out = 0;
            while let Some(job) = self.jobs.get_mut(program).filter(|job| !job.is_paused())
                && job.table.take_due(now, &self.clock).is_some()
            {
                if self.run_job(now, program, out) == Outcome::LeftOut {
                    left_out += 1;
                }
            }
            // A clock that is set forward may make many due at once: one line for all of them.
            if left_out > 0 {
                out.push(Action::ReportSkipped { program, times: left_out });
            }
        }
    }

    fn run_job(&mut self, now: Instant, program: ProgramId, out: &mut Vec<Action>) -> Outcome {
        let at = self.positions_of(program).start;
        let Some(instance) = self.instances.get(at) else { return Outcome::LeftOut };
        let (is_live, has_ended) = (instance.run().is_some(), instance.state().has_ended());
        let is_on_its_way = is_live || instance.desired() == Desired::Rising && !has_ended;
        let Some(job) = self.jobs.get_mut(program) else { return Outcome::LeftOut };
        match (job.plan.overlap, job.course) {
            _ if !is_on_its_way => self.start(now, at, out),
            (JobOverlap::Kill, _) if is_live => self.set_desired(at, Desired::Cycle(CycleCause::Due)),
            (JobOverlap::Wait, Course::On) => job.course = Course::Queued,
            (JobOverlap::Skip | JobOverlap::Wait | JobOverlap::Kill, _) => return Outcome::LeftOut,
        }
        Outcome::Taken
    }

    /// A run has ended, and the one that has waited for it starts.
    pub(super) fn follow_queue(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let Some(job) = self.job_at(at).filter(|job| job.course == Course::Queued) else { return };
        job.course = Course::On;
        if !self.phase.has_begun() {
            self.start(now, at, out);
        }
    }

    pub(super) fn is_job(&self, at: usize) -> bool {
        self.instances.get(at).is_some_and(|instance| self.jobs.contains(instance.id().program))
    }

    /// An operator's `stop` pauses a job.
    pub(super) fn pause(&mut self, at: usize, id: OrderId, out: &mut Vec<Action>) {
        let Some(job) = self.job_at(at).filter(|job| !job.is_paused()) else { return };
        job.course = Course::Paused;
        let from = self.instances.get(at).map_or(StateName::Idle, |it| it.state().name().of(Kind::Job));
        self.report_course(at, from, StateName::Paused, id, out);
    }

    /// An operator's `start` resumes a job: it runs when it is due. What was due meanwhile has no run.
    pub(super) fn resume(&mut self, now: Instant, at: usize, id: OrderId, out: &mut Vec<Action>) {
        let clock = self.clock;
        self.dirty = true;
        let Some(job) = self.job_at(at).filter(|job| job.is_paused()) else { return };
        job.course = Course::On;
        job.table.leave_out(now, &clock);
        let desired = self.instances.get(at).map(Instance::desired);
        if matches!(desired, Some(Desired::Down(DownReason::Requested(_)))) {
            self.set_desired(at, Desired::Down(DownReason::NotAutostarted));
        }
        self.report_course(at, StateName::Paused, StateName::Idle, id, out);
    }

    fn report_course(&self, at: usize, from: StateName, to: StateName, id: OrderId, out: &mut Vec<Action>) {
        let Some(instance) = self.instances.get(at) else { return };
        let (instance, cause) = (instance.id(), Cause::Requested(id));
        out.push(Action::Report(Change { instance, run: None, part: Part::Serving, from, to, cause }));
    }

    fn job_at(&mut self, at: usize) -> Option<&mut Job> {
        let program = self.instances.get(at)?.id().program;
        self.jobs.get_mut(program)
    }
}
