"""The researcher's side: seal a question, wait for the answer, check it, open it."""

from vclient.client import Client
from vclient.errors import JobFailed
from vclient.images import ImageRef
from vclient.job import Job
from vclient.workflow import Workflow, broadcast, gather, order
from vprotocol.workflow.definition import Delegate

__all__ = ["Client", "Delegate", "ImageRef", "Job", "JobFailed", "Workflow", "broadcast", "gather", "order"]
