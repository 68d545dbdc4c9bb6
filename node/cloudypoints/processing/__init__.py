"""Many drives, several at a time: each through the perception into a recording and a digest.

    outcomes = process([Job("drive.mp4", Path("out/drive.mcap"))], Pool(workers=2))

What comes out depends on the drive and the settings, never on how many workers there were or which
of them did it. Needs the extras [node] and [record]; a cluster needs [fleet].
"""

from cloudypoints.processing.drive import Job, Outcome, process_drive
from cloudypoints.processing.jobs import SUMMARY, jobs_for, load_outcome
from cloudypoints.processing.pool import Pool, process

__all__ = [
    "SUMMARY",
    "Job",
    "Outcome",
    "Pool",
    "jobs_for",
    "load_outcome",
    "process",
    "process_drive",
]
