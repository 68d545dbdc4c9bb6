"""The same answer twice: perception anew on the pictures of a recording, message by message.

    report = verify(Path("drive.mcap"))
    print(report.passed, report.first_difference)

Where the fingerprint is the same the bytes must be, else numbers may differ by what `TOLERANCES`
states. Needs the extras [node] and [record].
"""

from cloudypoints.verify.anew import CameraReport, Question, Report, verify
from cloudypoints.verify.compare import TOLERANCES, Tolerance

__all__ = ["TOLERANCES", "CameraReport", "Question", "Report", "Tolerance", "verify"]
