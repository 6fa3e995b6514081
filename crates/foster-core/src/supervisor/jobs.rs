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
use crate::spec::{Autostart, JobOverlap, JobPlan};
use crate::time::Instant;

/// A job of the plan.
#[derive(Debug, Clone)]
pub(super) struct Job {
    plan: JobPlan,
    table: Timetable,
    course: Course,
    /// Another run follows the present one.
    queued: bool,
}

/// Whether a job runs when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    On,
    Paused,
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
            let is_new = match self.jobs.get_mut(program) {
                Some(job) => {
                    if job.plan.timing != wanted.timing {
                        job.table = Timetable::new(Rc::clone(&wanted.timing), now, &self.clock);
                    }
                    job.plan = wanted.clone();
                    false
                }
                None => true,
            };
            if is_new {
                let table = Timetable::new(Rc::clone(&wanted.timing), now, &self.clock);
                let job = Job { plan: wanted.clone(), table, course: Course::On, queued: false };
                self.jobs.insert(program, job);
                if wanted.at_start == Autostart::Yes {
                    self.run_job(now, program, out);
                }
            }
        }
    }

    /// Runs what is due.
    pub(super) fn follow_jobs(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.phase.has_begun() {
            return;
        }
        for program in self.jobs.ids().collect::<Vec<_>>() {
            while let Some(job) = self.jobs.get_mut(program)
                && job.table.take_due(now, &self.clock).is_some()
            {
                // A paused job leaves its due times out.
                if !job.is_paused() {
                    self.run_job(now, program, out);
                }
            }
        }
    }

    fn run_job(&mut self, now: Instant, program: ProgramId, out: &mut Vec<Action>) {
        let at = self.positions_of(program).start;
        let Some(job) = self.jobs.get_mut(program) else { return };
        let Some(instance) = self.instances.get(at).filter(|instance| instance.id().program == program)
        else {
            return;
        };
        let id = instance.id();
        let is_on_its_way = instance.run().is_some()
            || instance.desired() == Desired::Rising && !instance.state().has_ended();
        match job.plan.overlap {
            _ if !is_on_its_way => self.start(now, at, out),
            JobOverlap::Kill if instance.run().is_some() => {
                self.set_desired(at, Desired::Cycle(CycleCause::Due));
            }
            JobOverlap::Wait if !job.queued => job.queued = true,
            JobOverlap::Skip | JobOverlap::Wait | JobOverlap::Kill => out.push(Action::ReportSkipped(id)),
        }
    }

    /// A run has ended, and the one that has waited for it starts.
    pub(super) fn follow_queue(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let Some(program) = self.instances.get(at).map(|instance| instance.id().program) else { return };
        let is_queued = self.jobs.get_mut(program).is_some_and(|job| core::mem::take(&mut job.queued));
        if is_queued && !self.phase.has_begun() {
            self.start(now, at, out);
        }
    }

    /// An operator's `stop` of a job ends its run and pauses it; `None`: it is not a job.
    pub(super) fn pause(&mut self, at: usize, id: OrderId, out: &mut Vec<Action>) -> Option<()> {
        let job = self.job_at(at)?;
        job.queued = false;
        if !job.is_paused() {
            job.course = Course::Paused;
            self.report_course(at, StateName::Idle, StateName::Paused, id, out);
        }
        Some(())
    }

    /// An operator's `start` of a job resumes it: it runs when it is due; `None`: it is not a job.
    pub(super) fn resume(
        &mut self,
        now: Instant,
        at: usize,
        id: OrderId,
        out: &mut Vec<Action>,
    ) -> Option<()> {
        let clock = self.clock;
        let job = self.job_at(at)?;
        if job.is_paused() {
            job.course = Course::On;
            // What was due meanwhile is not made up for.
            while job.table.take_due(now, &clock).is_some() {}
            if matches!(
                self.instances.get(at).map(Instance::desired),
                Some(Desired::Down(DownReason::Requested(_)))
            ) {
                self.set_desired(at, Desired::Down(DownReason::NotAutostarted));
            }
            self.report_course(at, StateName::Paused, StateName::Idle, id, out);
        }
        self.dirty = true;
        Some(())
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
