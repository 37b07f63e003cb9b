"""What people do to jobs that exist: cancel them, remove what they left."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from vprotocol.ids import PayloadId
from vprotocol.reasons import Reason
from vprotocol.states import RunEvent
from vserver.jobs.model import Job, Run
from vserver.jobs.progress import FINAL_VALUES, Change, Notify
from vserver.payloads import service as payloads


def cancel(session: Session, notify: Notify, job_id: str, now: float) -> None:
    """Stop everything of the job that has not ended. Cancelling twice, or what has ended, changes nothing."""
    change = Change(session, notify, now, job_id)
    open_ = session.scalars(select(Run.id).where(Run.job_id == job_id, Run.state.not_in(FINAL_VALUES)))
    cancelled = change.move(list(open_), RunEvent.CANCEL, reason=Reason.CANCELLED.value)
    if not cancelled:
        return
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.cancelled_at.is_(None))
        .values(cancelled_at=now)
        .execution_options(synchronize_session=False)
    )
    change.settle(cancelled)


def delete(session: Session, notify: Notify, job_id: str, now: float) -> list[PayloadId]:
    """Stop the job and forget the bytes of everything that only it used; plan, receipts and digests stay.

    Answers the payloads whose files may be removed once this is committed.
    """
    cancel(session, notify, job_id, now)
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.deleted_at.is_(None))
        .values(deleted_at=now)
        .execution_options(synchronize_session=False)
    )
    return payloads.delete_of_job(session, job_id, now)
