"""What is asserted beside a real Istio: a function a case, a file a subject.

Owns the list. A case cleans up nothing: mesh.clear() does, after each.
"""
from . import doctoring, listening, quitting, stopping, waiting

CASES = {
    name: function
    for subject in (waiting, quitting, stopping, listening, doctoring)
    for name, function in vars(subject).items()
    if getattr(function, "is_case", False)
}
